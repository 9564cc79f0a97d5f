package report

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
		if got := Median(c.in); got != c.want {
			t.Errorf("of %v: %v, want %v", c.in, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("nothing has a median")
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[float64]string{0: "0.0", 999.94: "999.9", 1000: "1,000.0", 1234567.25: "1,234,567.2", -1234: "-1234.0"} {
		if got := Number("%.1f", in); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	if got := Number("%.1f%%", 12.34); got != "12.3%" {
		t.Errorf("a unit: %s", got)
	}
}

func TestReplaceBlock(t *testing.T) {
	doc, err := ReplaceBlock("# Title\n\nwords\n", "bench", "relay", "first\n")
	if err != nil {
		t.Fatal(err)
	}
	if doc, err = ReplaceBlock(doc, "bench", "control", "other"); err != nil {
		t.Fatal(err)
	}
	again, err := ReplaceBlock(doc, "bench", "relay", "second")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(again, "first") || !strings.Contains(again, "second") || !strings.Contains(again, "other") || !strings.HasPrefix(again, "# Title\n\nwords\n") {
		t.Errorf("after a second writing:\n%s", again)
	}
	if same, err := ReplaceBlock(again, "bench", "relay", "second\n\n"); err != nil || same != again {
		t.Errorf("writing the same again changes the document (%v):\n%s", err, same)
	}
	if _, err := ReplaceBlock("<!-- x: begin; written by `go tool task bench` -->\n", "bench", "x", ""); err == nil {
		t.Error("a block without an end is taken")
	}
	if _, err := ReplaceBlock("<!-- x: end -->\n", "bench", "x", ""); err == nil {
		t.Error("a block without a beginning is taken")
	}
}
