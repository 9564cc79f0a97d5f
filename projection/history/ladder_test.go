package history_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"rtpjet/events"
	"rtpjet/events/eventstest"
	"rtpjet/projection/history"
	"rtpjet/projection/history/historytest"
)

var update = flag.Bool("update", false, "write golden files anew")

func ladder(s *historytest.Story) *history.Ladder {
	return history.NewLadder("call", history.Moments("call", s.History()))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func drawn(t *testing.T, l *history.Ladder, lay history.Layout) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Draw(&b, lay); err != nil {
		t.Fatal(err)
	}
	width := lay.Width
	if width == 0 {
		width = 100
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("a line of %d columns, and the terminal has %d: %s", n, width, line)
		}
	}
	return b.String()
}

// ordinary is a call with a phone behind NAT, a takeover in its middle, and an end.
func ordinary() *historytest.Story {
	s := historytest.New()
	s.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
	s.Wait(2_300_000)
	s.Do("answer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SDP("198.51.100.2", 6000))
	s.Wait(80_000)
	s.Learn(0, 0, "203.0.113.9:4711")
	s.Learn(1, 0, "198.51.100.2:6000")
	s.Wait(61_000_000)
	s.TakeOver("n2", "owner gone")
	s.Do("offer", "from-tag", "bob", "to-tag", "alice", "sdp", historytest.SDP("198.51.100.2", 6000, "a=sendonly"))
	s.Do("answer", "from-tag", "bob", "to-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000, "a=recvonly"))
	s.Wait(40_000_000)
	s.Do("block media", "from-tag", "alice")
	s.Do("delete", "from-tag", "alice")
	s.Wait(29_999_000)
	s.Note(events.Ended{Reason: events.ReasonDeleted, RTP: events.Counters{Packets: 6400, Bytes: 1100800}, OneWay: 1})
	return s
}

func TestLadder(t *testing.T) {
	l := ladder(ordinary())
	golden(t, "ordinary.txt", drawn(t, l, history.Layout{}))
	golden(t, "ordinary80.txt", drawn(t, l, history.Layout{Width: 80}))
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", " ")
	if err := enc.Encode(l); err != nil {
		t.Fatal(err)
	}
	golden(t, "ordinary.json", b.String())
}

// long is a call of 500 events: session refreshes, rollovers, and a phone that hops between two addresses.
func long() *historytest.Story {
	s := historytest.New()
	s.Owner = "float.192.0.2.100"
	s.Do("offer", "from-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
	s.Wait(1_000_000)
	s.Do("answer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SDP("198.51.100.2", 6000))
	rolled := func(n uint32) {
		s.Note(events.RolledOver{Party: 0, SSRC: 0xdecafbad, ROC: n / 2, Seq: uint16(n%2) << 15, Key: 1})
		s.Note(events.RolledOver{Party: 1, Out: true, SSRC: 0xdecafbad, ROC: n / 2, Seq: uint16(n%2) << 15, Key: 1})
	}
	for i := range 60 {
		s.Wait(600_000_000)
		rolled(uint32(i))
		s.Wait(300_000_000)
		s.Do("offer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SDP("198.51.100.1", 4000))
		s.Do("answer", "from-tag", "alice", "to-tag", "bob", "sdp", historytest.SDP("198.51.100.2", 6000))
	}
	s.Node = "n2"
	for i := range 250 {
		s.Wait(1_500_000)
		s.Learn(0, 0, fmt.Sprintf("203.0.113.%d:4711", 9+i%2))
	}
	s.Do("offer", "from-tag", "bob", "to-tag", "alice", "sdp", historytest.SDP("198.51.100.7", 6100))
	s.Do("answer", "from-tag", "bob", "to-tag", "alice", "sdp", historytest.SDP("198.51.100.1", 4000))
	for i := range 4 {
		rolled(uint32(60 + i))
	}
	s.Do("delete", "from-tag", "alice", "delete-delay", 0)
	return s
}

func TestLongLadder(t *testing.T) {
	s := long()
	if n := len(s.Entries); n < 500 {
		t.Fatalf("%d events", n)
	}
	l := ladder(s)
	text := drawn(t, l, history.Layout{})
	golden(t, "long.txt", text)
	if n := strings.Count(text, "\n"); n > 60 {
		t.Errorf("%d lines", n)
	}
	covered := 0
	for i, r := range l.Rows {
		covered += r.Last - r.First + 1
		if i > 0 && r.First != l.Rows[i-1].Last+1 {
			t.Errorf("row %d begins at step %d, and the one before ends at %d", i, r.First, l.Rows[i-1].Last)
		}
	}
	if covered != len(l.Steps) {
		t.Errorf("the rows have %d steps of %d", covered, len(l.Steps))
	}
	if full := drawn(t, l, history.Layout{Unfolded: true}); strings.Count(full, "\n") < 500 {
		t.Error("the unfolded ladder lacks events")
	}
}

// crowd is a call with many forks, two lives, and something that cannot be read.
func TestCrowd(t *testing.T) {
	s := historytest.New()
	for i := range 6 {
		tag := fmt.Sprintf("a-phone-with-a-long-tag-%d", i)
		s.Do("offer", "from-tag", "alice", "via-branch", fmt.Sprint(i), "sdp", historytest.SDP("198.51.100.1", 4000))
		s.Do("answer", "from-tag", "alice", "to-tag", tag, "via-branch", fmt.Sprint(i), "sdp", historytest.SDP("198.51.100.2", 6000+2*i))
	}
	s.Do("delete", "from-tag", "alice", "delete-delay", 0)
	s.Wait(5_000_000)
	s.Do("offer", "from-tag", "carol\x1b[31m", "sdp", historytest.SecureSDP("198.51.100.3", 4000, "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"))
	entries := s.History()
	entries = append(entries, history.Entry{Seq: entries[len(entries)-1].Seq + 1, Stored: s.Now, Err: fmt.Errorf("event of a newer version: 2")})
	l := history.NewLadder("call", history.Moments("call", entries))
	text := drawn(t, l, history.Layout{Width: 80})
	golden(t, "crowd.txt", text)
	if strings.Contains(text, "\x1b") || strings.Contains(text, "d0Rm") {
		t.Error("a tag or a key got through to the terminal")
	}
	if len(l.Lives) != 2 || l.Unreadable != 1 {
		t.Errorf("%d lives, %d unreadable", len(l.Lives), l.Unreadable)
	}
}

func TestDiff(t *testing.T) {
	list := history.Moments("call", ordinary().History())
	var out strings.Builder
	show := func(a, b int) {
		fmt.Fprintf(&out, "%d to %d\n", list[a].Seq, list[b].Seq)
		for _, c := range history.Diff(list[a].Call, list[b].Call) {
			if !c.Minor {
				fmt.Fprintf(&out, "  %s: %q, now %q\n", c.Path, c.Was, c.Is)
			}
		}
	}
	show(0, 1)
	show(1, 3)
	show(3, 6)
	show(7, 9)
	golden(t, "diff.txt", out.String())
	for i := range list {
		if d := history.Diff(list[i].Call, list[i].Call); len(d) > 0 {
			t.Errorf("a state differs from itself: %v", d)
		}
	}
}

func TestAt(t *testing.T) {
	list := history.Moments("call", ordinary().History())
	if i := history.AtSeq(list, list[2].Seq+1); i != 2 {
		t.Errorf("between the third event and the fourth the call is as after number %d", i+1)
	}
	if i := history.AtSeq(list, 1); i != -1 {
		t.Errorf("before its begin the call is as after number %d", i+1)
	}
	if i := history.AtTime(list, list[4].At-1); i != 3 {
		t.Errorf("a moment before the fifth event the call is as after number %d", i+1)
	}
}

// TestMomentsStay checks that what is folded later does not change what was folded before.
func TestMomentsStay(t *testing.T) {
	entries := ordinary().History()
	all := history.Moments("call", entries)
	for i := range entries {
		some := history.Moments("call", entries[:i+1])
		a, _ := json.Marshal(all[i].Call)
		b, _ := json.Marshal(some[i].Call)
		if !bytes.Equal(a, b) {
			t.Errorf("event %d: %s\nand by itself %s", i, a, b)
		}
	}
}

// TestAnew: a stream that was made anew counts from 1 again.
func TestAnew(t *testing.T) {
	s := ordinary()
	entries := s.History()
	again := ordinary().History()
	for i := range again {
		again[i].Seq = uint64(i + 1)
		again[i].At += 1e12
	}
	list := history.Moments("call", append(entries, again...))
	last := list[len(list)-1].Call
	if !last.Ended || last.Seq != again[len(again)-1].Seq {
		t.Errorf("the second call is at %d, ended %t", last.Seq, last.Ended)
	}
	if l := history.NewLadder("call", list); len(l.Lives) != 2 {
		t.Errorf("%d lives", len(l.Lives))
	}
}

// TestRegionsLadder: commands that came to other regions pass the nodes there.
func TestRegionsLadder(t *testing.T) {
	list := ordinary().History()
	via := map[events.Kind]string{events.KindAnswered: "us/n1", events.KindDeletionScheduled: "ap/n1"}
	for i := range list {
		if c := list[i].Cause; c != nil {
			cause := *c
			cause.Via = via[events.KindOf(list[i].Event)]
			list[i].Cause = &cause
		}
	}
	l := history.NewLadder("call", history.Moments("call", list))
	golden(t, "regions.txt", drawn(t, l, history.Layout{Width: 140}))
}

// TestEveryKindIsTold: no kind of this build is one that it does not know.
func TestEveryKindIsTold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := ordinary()
		s.Entries = s.Entries[:2]
		ev := eventstest.Event().Draw(rt, "event")
		if _, unknown := ev.(events.Unknown); unknown {
			return
		}
		s.Note(ev)
		if l := ladder(s); l.Unreadable > 0 {
			rt.Fatalf("%s is unknown", events.KindOf(ev))
		}
	})
}
