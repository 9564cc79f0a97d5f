package main

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rtpjet/ngserver/bencode"
)

// someRuns is a run of each scene.
func someRuns() runs {
	s := setting{DelayMS: 40, Rate: 100, Calls: 2000}
	spreads := func(factor float64) map[string]spread {
		all := map[string]spread{}
		for i, command := range order[:5] {
			var ms []float64
			for n := range 1000 {
				ms = append(ms, factor*(float64(i+1)+40*math.Pow(float64(n)/1000, 20)))
			}
			all[command] = spreadOf(ms)
		}
		return all
	}
	cuts := &cutsOutcome{Commands: spreads(1), Mirrors: []mirrorOutcome{{At: "eu", Of: "us", Calls: 40, Equal: true}}}
	for i, c := range tenCuts {
		at := 3 + 15*float64(i)
		cuts.Cuts = append(cuts.Cuts, cutOutcome{Name: c.name, At: at, HealedAt: at + 8, Noticed: 4.2, AllKnow: 5.1, CaughtUp: 2.5})
	}
	for i := range 400 {
		t := float64(i) * 0.4
		m := moment{T: t, At: "eu", Of: "us", State: stateUp, Lag: i % 3, AgeMS: 300}
		if in := math.Mod(t-3, 15); t > 3 && in < 8 {
			m.AgeMS, m.State = in*1000, stateCut
		} else if t > 3 && in < 9 {
			m.Lag = 300
		}
		cuts.Course = append(cuts.Course, m)
	}
	return runs{
		{Scene: "home", setting: s, Home: &homeOutcome{Joined: &homeRound{Commands: spreads(1.3), CPUms: 3}, CutOff: &homeRound{Commands: spreads(1.1), CPUms: 3}, Alone: &homeRound{Commands: spreads(1), CPUms: 2.9}}},
		{Scene: "foreign", Starts: []float64{2, 4}, setting: s, Foreign: &foreignOutcome{Commands: spreads(80)}},
		{Scene: "cuts", setting: s, Cuts: cuts},
		{Scene: "adopt", setting: s, Adopt: &adoptOutcome{Calls: 2000, Said: 2000, Owned: 2000, EndedIn: -1}},
		{Scene: "history", setting: s, History: &historyOutcome{Ladder: "a ladder\n"}},
	}
}

func TestRunsAreKeptAndShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "regions.jsonl")
	all := someRuns()
	if err := all.write(file); err != nil {
		t.Fatal(err)
	}
	known, err := readRuns(file)
	if err != nil || len(known) != len(all) {
		t.Fatalf("%d runs, %v", len(known), err)
	}
	text := known.section()
	for _, want := range []string{
		"80 ms round trip", "| 1.30, 1.10 |", "eu ↔ us", "each alone", "1 of 1 mirrors", "a ladder", "3.0 s in the median, 4.0 at worst", "never", "| re-offer | 320.0 (4.00) |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if left := known.without(all[0].key()); len(left) != len(all)-1 {
		t.Errorf("%d runs without one kind", len(left))
	}
	var b bytes.Buffer
	if err := known.figure().WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">re-offer<", ">99.9 %<", ">of us<", ">each alone<"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in the figure", want)
		}
	}
	for _, o := range known {
		if !strings.HasPrefix(o.String(), o.Scene+" (") {
			t.Errorf("%s", &o)
		}
	}
}

func TestCourseIsThinnedWhereNothingHappens(t *testing.T) {
	var course []moment
	for i := range 100 {
		course = append(course, moment{T: float64(i) / 10, At: "eu", Of: "us", State: stateUp, AgeMS: 300})
	}
	course[55].State = stateCut
	some := thinned(course)
	if len(some) < 10 || len(some) > 15 || !slices.Contains(some, course[55]) || !slices.Contains(some, course[56]) {
		t.Errorf("%d of %d moments are left", len(some), len(course))
	}
}

func TestSpread(t *testing.T) {
	tl := newTally()
	for i := range 100 {
		tl.note("offer", time.Duration(i+1)*time.Millisecond, nil)
	}
	tl.note("offer", time.Second, errNoReply)
	s := tl.spreads()["offer"]
	if s.N != 101 || s.Failed != 1 || s.P50 != 51 || s.P99 != 100 || s.Worst != 1000 || len(s.Levels) != len(levels) {
		t.Errorf("%+v", s)
	}
	if sent, failed := tl.commands(); sent != 101 || failed != 1 || tl.why() == "" {
		t.Errorf("%d sent, %d failed, %q", sent, failed, tl.why())
	}
	if s := spreadOf(nil); s.N != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDifferencesAreNamed(t *testing.T) {
	list := func(text string) map[string]json.RawMessage {
		all := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	home := list(`{"a":{"ID":"a","Seq":1,"Owner":"eu1"},"b":{"ID":"b"}}`)
	if d := differences(home, home); d != nil {
		t.Errorf("%q", d)
	}
	d := differences(home, list(`{"a":{"ID":"a","Seq":2,"Owner":"us1"},"c":{"ID":"c"}}`))
	want := []string{"a: [Owner Seq] differ", "b is missing", "c is not there at home"}
	if !slices.Equal(d, want) {
		t.Errorf("%q, want %q", d, want)
	}
}

func TestLadderNamesAllRegions(t *testing.T) {
	if words := missing("call history-eu-0: offer at eu1, answer at us1, offer at eu1"); !slices.Equal(words, []string{"delete", "ap"}) {
		t.Errorf("missing %q", words)
	}
	if words := missing("offer at eu1, answer via us/us1, delete via ap/ap2"); words != nil {
		t.Errorf("missing %q", words)
	}
}

func TestCommandsAreThoseOfNG(t *testing.T) {
	at := netip.MustParseAddrPort("10.97.0.10:20000")
	c := call{"id", at, at}
	for name, d := range map[string]*bencode.Dict{"offer": c.offer(), "answer": c.answer(), "query": c.query(), "delete": c.remove()} {
		b, err := bencode.Append(nil, d)
		if err != nil {
			t.Fatal(err)
		}
		back, rest, err := bencode.DecodeDict(b)
		if err != nil || len(rest) > 0 || text(back, "command") != name || text(back, "call-id") != "id" {
			t.Errorf("%s: %q", name, b)
		}
	}
	if err := outcomeOf([]byte("d6:result2:oke")); err != nil {
		t.Error(err)
	}
	if err := outcomeOf([]byte("d6:result5:error12:error-reason3:whye")); err == nil || !strings.Contains(err.Error(), "why") {
		t.Error(err)
	}
}

func TestCutsTouchWhatTheySay(t *testing.T) {
	if len(tenCuts) != 10 {
		t.Errorf("%d cuts", len(tenCuts))
	}
	for _, c := range tenCuts {
		want := 6
		switch {
		case strings.Contains(c.name, "↔"):
			want = 2
		case strings.Contains(c.name, "→"):
			want = 1
		case c.name != "each alone":
			want = 4
		}
		if len(c.ways) != want {
			t.Errorf("%s cuts %v", c.name, c.ways)
		}
	}
}
