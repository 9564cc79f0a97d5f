package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rtpjet/cmd/rtpjet-bench/bench"
	"rtpjet/tests/lab/plot"
)

var small = scene{Calls: 100, Fast: 100, SlowRate: 1, Media: "RTP"}

func outcomeOf(system, fault string, longest float64) outcome {
	return outcome{
		System: system, Fault: fault, scene: small,
		SilenceSummary: bench.SilenceSummary{LongestMS: longest, MedianLongestMS: longest / 2, LostMedian: 1, LostWorst: 2},
		LongestNG:      700,
	}
}

func sampleRuns() runs {
	bad := outcomeOf(bestEngine, "freeze", 61)
	bad.Duplicates, bad.OverlapMS, bad.Unknown, bad.OneWay, bad.NewCall = 225, 1.25, 3, 1, "no reply"
	return runs{
		outcomeOf("rtpjet", "kill", 40), outcomeOf("rtpjet", "kill", 44), outcomeOf("rtpjet", "kill", 39),
		outcomeOf(bestEngine, "kill", 52), bad, outcomeOf("rtpengine:cold", "kill", 120),
	}
}

func TestTableShowsMedianAndWorst(t *testing.T) {
	r := sampleRuns()
	got := r.table(small, r.systems(small))
	for _, want := range []string{
		"| kill -9 of the process | rtpjet | 40 / 44 | 20 / 22 | 1 / 2 | 0.0 / 0.0 | 0, 0 | never | 0 | 0 | 700 / 700 |\n",
		"| kill -9 of the process | rtpengine + Redis + keepalived | 52 / 52 |",
		"| frozen host, thawed later | rtpengine + Redis + keepalived | 61 / 61 | 30 / 30 | 1 / 2 | 0.0 / 0.0 | 1, 0 | 1.2, 225 | 3 | 1 | 700 / 700 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "cold") || strings.Contains(got, "cut cable") {
		t.Errorf("there is too much in\n%s", got)
	}
	if text := r.table(scene{Calls: 7}, []string{"rtpjet"}); text != "" {
		t.Errorf("a scene without runs has a table: %q", text)
	}
}

func TestSectionSaysWhatWasMeasured(t *testing.T) {
	r := sampleRuns()
	for i := range r {
		r[i].scene = scene{Calls: 2000, Fast: 100, SlowRate: 1, Media: "SRTP"}
	}
	got := r.section(r[0].scene)
	for _, want := range []string{
		"### Failover, 2,000 calls with SRTP\n", "100 of them, evenly spread", "13,800 packets/s in all", "of 1 to 3 runs",
		"(failover-2000-srtp.svg)", "`go tool task lab:failover -- --calls 2000 --fast 100 --slow-rate 1 --media SRTP`",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestShapesAreShownOnlyIfThereAreSeveral(t *testing.T) {
	r := sampleRuns()
	if got := r.shapes(); !strings.Contains(got, "| rtpengine:cold | 120 / 120 |") || !strings.Contains(got, "| rtpengine:hot-cli (shown above) |") {
		t.Errorf("the shapes:\n%s", got)
	}
	if got := r[:4].shapes(); got != "" {
		t.Errorf("one shape:\n%s", got)
	}
}

func TestRunsSurviveTheirFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs")
	if none, err := readRuns(file); err != nil || len(none) != 0 {
		t.Errorf("no file: %v, %v", none, err)
	}
	r := sampleRuns()
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	got, err := readRuns(file)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v (%v)\nwant %+v", got, err, r)
	}
	if left := r.without(r[0].key()); len(left) != 3 || left[0].System != bestEngine {
		t.Errorf("without the first kind: %+v", left)
	}
}

func TestFigureHasAStripForEachSystem(t *testing.T) {
	r := sampleRuns()
	f := r.figure(small, r.systems(small))
	if len(f.Kinds) != 2 || len(f.Rows) != 2 || len(f.Rows[0].Values[0]) != 3 || len(f.Rows[1].Values[0]) != 0 || f.Rows[1].Values[1][0] != 61 {
		t.Errorf("%+v", f)
	}
	dir := t.TempDir()
	if err := plot.WriteFiles(f, dir, "x"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x.svg", "x.png"} {
		if some, err := filepath.Glob(filepath.Join(dir, name)); err != nil || len(some) != 1 {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestADisturbedRunIsRepeated(t *testing.T) {
	o := outcomeOf("rtpjet", "kill", 4000)
	if o.disturbed() {
		t.Error("what a fault did counts as a disturbance")
	}
	o.BeforeMS = 60
	if !o.disturbed() {
		t.Error("silence before the fault does not count")
	}
	o.BeforeMS, o.CanaryMS = 25, 40
	if !o.disturbed() {
		t.Error("a machine without time does not count")
	}
}

func TestEveryFaultHasATitle(t *testing.T) {
	for _, name := range faultNames() {
		found := false
		for _, title := range titles {
			found = found || title.name == name
		}
		if !found {
			t.Errorf("%s has none", name)
		}
	}
}
