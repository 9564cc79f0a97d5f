package main

import (
	"math"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.in); got != c.want {
			t.Errorf("of %v: %v, want %v", c.in, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

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

func TestNumber(t *testing.T) {
	for in, want := range map[float64]string{0: "0.0", 999.94: "999.9", 1000: "1,000.0", 1234567.25: "1,234,567.2", -1234: "-1234.0"} {
		if got := number("%.1f", in); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	if got := number("%.1f%%", 12.34); got != "12.3%" {
		t.Errorf("a unit: %s", got)
	}
}

func TestReplaceBlock(t *testing.T) {
	doc, err := replaceBlock("# Title\n\nwords\n", "relay", "first\n")
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = replaceBlock(doc, "control", "other"); err != nil {
		t.Fatal(err)
	}
	again, err := replaceBlock(doc, "relay", "second")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(again, "first") || !strings.Contains(again, "second") || !strings.Contains(again, "other") || !strings.HasPrefix(again, "# Title\n\nwords\n") {
		t.Errorf("after a second writing:\n%s", again)
	}
	if same, err := replaceBlock(again, "relay", "second\n\n"); err != nil || same != again {
		t.Errorf("writing the same again changes the document (%v):\n%s", err, same)
	}
	if _, err := replaceBlock("<!-- x: begin; written by `go tool task bench` -->\n", "x", ""); err == nil {
		t.Error("a block without an end is taken")
	}
	if _, err := replaceBlock("<!-- x: end -->\n", "x", ""); err == nil {
		t.Error("a block without a beginning is taken")
	}
}
