package embed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rtpjet/embed/internal/names"
)

// TestEach: all that the live stream has, and all that was archived since a time.
func TestEach(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	live := func() (keys []string) {
		t.Helper()
		if err := l.EachLive(t.Context(), func(e Entry) { keys = append(keys, fmt.Sprint(e.Seq, e.Key)) }); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	archived := func(since time.Time) (keys []string) {
		t.Helper()
		if err := l.EachArchived(t.Context(), since, func(e Entry) { keys = append(keys, fmt.Sprint(e.Seq, e.Key)) }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(keys) // those of one key are in order, and none is promised for all
		return keys
	}
	began := time.Now().Add(-time.Minute)
	if a, b := live(), archived(began); len(a)+len(b) != 0 {
		t.Errorf("nothing: %v, %v", a, b)
	}
	last := appendMany(t, l, "a", "offer", "answer")
	appendMany(t, l, "b", "offer")
	if got := fmt.Sprint(live()); got != "[1a 2a 3b]" {
		t.Errorf("live: %s", got)
	}
	startArchive(t, l)
	if err := l.Trim(t.Context(), last+1); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(live()); got != "[3b]" {
		t.Errorf("live, after the trim: %s", got)
	}
	eventually(t, "all is archived", func() bool { seq, err := l.Archived(t.Context()); return err == nil && seq == 3 })
	if got := fmt.Sprint(slices.Compact(archived(began))); got != "[1a 2a 3b]" {
		t.Errorf("archived: %s", got)
	}
	if got := archived(time.Now().Add(time.Hour)); len(got) != 0 {
		t.Errorf("archived in the future: %v", got)
	}
	if head, err := l.Head(t.Context()); err != nil || head != 3 {
		t.Errorf("the end is %d, %v", head, err)
	}
}

// TestThin: the oldest history goes, and what is left says how far the live stream is archived.
func TestThin(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	keys := fillArchive(t, l, 9000, 100)
	newest := keys[len(keys)-1]
	whole, err := l.History(t.Context(), newest)
	if err != nil || len(whole) != 3 {
		t.Fatalf("%d entries, %v", len(whole), err)
	}
	before := archiveState(t, l)
	l.starved.Store(true)
	l.relieve(t.Context())
	first := archiveState(t, l)
	if want := (before[1] - before[0]) / thinShare; first[0]-before[0] != want+1 || first[1] != before[1] {
		t.Errorf("from %d to %d, was from %d to %d", first[0], first[1], before[0], before[1])
	}
	l.relieve(t.Context()) // nobody was refused since
	if got := archiveState(t, l); got != first {
		t.Errorf("thinned again without need: %v, was %v", got, first)
	}
	l.starved.Store(true)
	l.relieve(t.Context())
	if again := archiveState(t, l); again[0]-first[0] <= first[0]-before[0] {
		t.Errorf("a second time soon after removes %d, and %d before", again[0]-first[0], first[0]-before[0])
	}
	left, err := l.History(t.Context(), newest)
	if err != nil || len(left) == 0 || show(left) != show(whole[len(whole)-len(left):]) {
		t.Errorf("of %d entries the last ones are to be left: %d, %v", len(whole), len(left), err)
	}
}

// archiveState is where the archive begins and ends.
func archiveState(t *testing.T, l *Log) [2]uint64 {
	t.Helper()
	info := &streamReply{}
	stream := names.Archive(l.cfg.Region)
	if err := l.callAPI(t.Context(), "look at", stream, "STREAM.INFO."+stream, nil, info); err != nil {
		t.Fatal(err)
	}
	return [2]uint64{info.State.FirstSeq, info.State.LastSeq}
}
