package main

import "testing"

func TestTableShowsMediansAndRatios(t *testing.T) {
	got := table([]string{"a", "b"},
		[]metric{{"CPU", "cpu", "%.1f", "at most 1.0", true}, {"lost", "lost", "%.0f", "none", false}, {"absent", "x", "%.0f", "", true}},
		map[string][]results{
			"a": {{"cpu": 5, "lost": 0}, {"cpu": 7, "lost": 0}, {"cpu": 6, "lost": 1}},
			"b": {{"cpu": 12, "lost": 1234567}},
		})
	want := `| what | a | b | a ÷ b | wanted |
|---|--:|--:|--:|---|
| CPU | 6.0 | 12.0 | 0.50 | at most 1.0 |
| lost | 0 | 1,234,567 | | none |
| absent | – | – | – |  |
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
