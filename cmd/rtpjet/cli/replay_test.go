package cli

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/history"
	"rtpjet/projection/replay"
)

// entry is one entry of the log of a call, of which a second passes with each sequence.
func entry(key string, seq uint64, data string) embed.Entry {
	return embed.Entry{Key: key, Seq: seq, Data: []byte(data), Time: time.Unix(int64(seq), 0)}
}

// ended is the end of a call, as the log has it.
func ended(t *testing.T, callID string) string {
	t.Helper()
	data, err := events.Encode(events.Envelope{Call: callID, Gen: 1, Node: "n1", At: 1, Event: events.Ended{Reason: events.ReasonDeleted}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSweeper: each life of a call is run once, when its end is there, in the order of its events, each of them once.
func TestSweeper(t *testing.T) {
	end := ended(t, "call-a")
	for name, tt := range map[string]struct {
		since   time.Time
		entries []embed.Entry
		want    string
	}{
		"one that has not ended":       {time.Time{}, []embed.Entry{entry("a", 1, "x"), entry("a", 2, "y")}, "a:1,2"},
		"one that has":                 {time.Time{}, []embed.Entry{entry("a", 1, "x"), entry("a", 2, end)}, "call-a:1,2"},
		"out of order and twice":       {time.Time{}, []embed.Entry{entry("a", 3, "z"), entry("a", 1, "x"), entry("a", 3, "z")}, "a:1,3"},
		"two lives":                    {time.Time{}, []embed.Entry{entry("a", 1, end), entry("a", 2, "x")}, "call-a:1 a:2"},
		"archived and still in it":     {time.Time{}, []embed.Entry{entry("a", 1, "x"), entry("a", 2, end), entry("a", 1, "x"), entry("a", 2, end)}, "call-a:1,2"},
		"of the last time":             {time.Unix(3, 0), []embed.Entry{entry("a", 1, "x"), entry("a", 2, end), entry("b", 2, "x"), entry("b", 4, "y")}, "b:2,4"},
		"nothing":                      {time.Time{}, nil, ""},
		"one whose begin is not there": {time.Unix(1, 0), []embed.Entry{entry("a", 9, end)}, "call-a:9"},
	} {
		var got []string
		s := sweeper{since: tt.since, calls: map[string][]replay.Record{}, done: map[string]uint64{}, rerun: func(callID string, list []replay.Record) error {
			var seqs []string
			for _, r := range list {
				seqs = append(seqs, string(rune('0'+r.Seq)))
			}
			got = append(got, callID+":"+strings.Join(seqs, ","))
			return nil
		}}
		for _, e := range tt.entries {
			s.add(e)
		}
		for key := range s.calls {
			s.run(key)
		}
		if text := strings.Join(got, " "); text != tt.want || s.err != nil {
			t.Errorf("%s: %q, %v, want %q", name, text, s.err, tt.want)
		}
	}
}

// TestSweeperFails: after a failure nothing more is run.
func TestSweeperFails(t *testing.T) {
	failed := errors.New("the pipe is closed")
	runs := 0
	s := sweeper{calls: map[string][]replay.Record{}, done: map[string]uint64{}, rerun: func(string, []replay.Record) error { runs++; return failed }}
	end := ended(t, "a")
	s.add(entry("a", 1, end))
	s.add(entry("b", 2, end))
	s.run("b")
	if runs != 1 || !errors.Is(s.err, failed) {
		t.Errorf("%d runs, %v", runs, s.err)
	}
}

func TestWriteLines(t *testing.T) {
	same := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = " same"
		}
		return out
	}
	for name, tt := range map[string]struct {
		lines []string
		want  string
	}{
		"nothing":       {nil, ""},
		"all differ":    {[]string{"-a", "+b"}, "    SDP (- then, + now)\n      -a\n      +b\n"},
		"near":          {append(append(same(1), "-a"), same(2)...), "    SDP (- then, + now)\n       same\n      -a\n       same\n       same\n"},
		"far":           {append(append(same(4), "-a"), same(4)...), "    SDP (- then, + now)\n      …\n       same\n       same\n      -a\n       same\n       same\n"},
		"in two places": {append(append([]string{"-a"}, same(7)...), "+b"), "    SDP (- then, + now)\n      -a\n       same\n       same\n      …\n       same\n       same\n      +b\n"},
	} {
		var b strings.Builder
		writeLines(&b, "SDP", tt.lines)
		if b.String() != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, &b, tt.want)
		}
	}
}

func TestWriteReport(t *testing.T) {
	report := &replay.Report{Call: "a\tcall", Events: 9, Rerun: 7}
	var b strings.Builder
	writeReport(&b, report)
	if want := "call \"a\\tcall\": 9 events, 7 decisions made again: no difference\n"; b.String() != want || differs(report) != nil {
		t.Errorf("%s, %v", &b, differs(report))
	}
	b.Reset()
	report.Steps = []replay.Outcome{
		{Seq: 4, Command: "offer", Node: "n1", At: 1_785_578_400_000_000, Decision: []replay.Difference{{Path: "owner", Then: "n1"}, {Path: "epoch", Now: "2"}}, SDP: []string{"-m=audio 1", "+m=audio 2"}},
		{Seq: 5, Command: "delete", Node: "n1", At: 1_785_578_401_000_000, Error: "it is refused"},
	}
	writeReport(&b, report)
	for _, want := range []string{
		"9 events, 7 decisions made again: 2 differ\n", "  event 4, offer at n1, 2026-08-01 10:00:00.000\n", "    owner: n1 then, nothing now\n",
		"    epoch: nothing then, 2 now\n", "    SDP (- then, + now)\n      -m=audio 1\n      +m=audio 2\n", "    it is refused\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nlacks %q", &b, want)
		}
	}
	if err := differs(report); err == nil || err.Error() != "2 of 7 decisions come out otherwise in this build" {
		t.Error(err)
	}
}

func TestWriteChanges(t *testing.T) {
	list := []history.Change{{Path: "owner", Was: "n1", Is: "n2"}, {Path: "tag", Is: "bob"}, {Path: "blocked", Was: "yes"}, {Path: "seen", Is: "3", Minor: true}}
	for _, tt := range []struct {
		list []history.Change
		full bool
		want string
	}{
		{list, false, " ~ owner: n1, now n2\n + tag: bob\n - blocked: yes\n (1 things that count or remember; --full shows them)\n"},
		{list, true, " ~ owner: n1, now n2\n + tag: bob\n - blocked: yes\n + seen: 3\n"},
		{list[3:], false, " (1 things that count or remember; --full shows them)\n"},
		{nil, false, " nothing differs\n"},
	} {
		var b strings.Builder
		if err := writeChanges(&b, " ", tt.list, tt.full); err != nil || b.String() != tt.want {
			t.Errorf("%v\n%s\nwant\n%s", err, &b, tt.want)
		}
	}
}

func TestHeadless(t *testing.T) {
	for n, want := range map[int]string{0: "", 2: "2 of the calls had no decision to make again: they began before that time, or their events cannot be read\n"} {
		var b strings.Builder
		(&Tally{Headless: n}).headless(&b)
		if b.String() != want {
			t.Errorf("%d: %q", n, &b)
		}
	}
}

// failing is a terminal that is gone.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the terminal is gone") }

// TestOutputFails: a command whose output cannot be written says so.
func TestOutputFails(t *testing.T) {
	list := history.Moments("call", ordinary().History())
	ladder := history.NewLadder("call", list)
	v := viewer{id: "call", json: true, w: failing{}}
	if err := v.lines(ladder, 0); err == nil {
		t.Error("no error of the ladder")
	}
	if err := v.state(list, 0); err == nil {
		t.Error("no error of the state")
	}
	if err := printNodes(failing{}, nil); err == nil {
		t.Error("no error of the table")
	}
}
