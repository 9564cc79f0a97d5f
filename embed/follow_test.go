package embed

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestFollowGap: a follower whose position was trimmed away while it was not there is told.
func TestFollowGap(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	startArchive(t, l)
	appendMany(t, l, "a", "1", "2", "3")
	appendMany(t, l, "b", "1")
	last := appendMany(t, l, "c", "1", "2")
	if err := l.Trim(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	type gap struct{ from, to uint64 }
	run := func(from uint64, after time.Duration) (gaps []gap, entries int) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_ = l.Follow(ctx, from, Follower{
			Entry:    func(Entry) { entries++ },
			CaughtUp: func(uint64) { cancel() },
			Gap:      func(from, to uint64) { gaps = append(gaps, gap{from, to}) },
			GapAfter: after,
		})
		return gaps, entries
	}
	if gaps, n := run(1, 0); len(gaps) != 0 || n != 1 {
		t.Errorf("from the start: %v, %d entries", gaps, n)
	}
	if gaps, n := run(3, 0); fmt.Sprint(gaps) != fmt.Sprintf("[{3 %d}]", last-1) || n != 1 {
		t.Errorf("from 3: %v, %d entries", gaps, n)
	}
	if gaps, n := run(last, 0); len(gaps) != 0 || n != 1 {
		t.Errorf("from what is there: %v, %d entries", gaps, n)
	}
	// One that was away for too long is told where the stream ends, whatever is there.
	var told gap
	r := &follow{l: l, stream: l.callsStream(), next: last, caughtUp: true, alive: time.Now().Add(-time.Hour)}
	r.f = Follower{GapAfter: time.Minute, Gap: func(from, to uint64) { told = gap{from, to} }}
	if err := r.look(t.Context()); err != nil || told != (gap{last, last}) {
		t.Errorf("away for an hour: %v, %v", told, err)
	}
	if keys, err := l.Keys(t.Context()); err != nil || fmt.Sprint(keys) != "map[c:1]" {
		t.Errorf("keys %v, %v", keys, err)
	}
}

// TestFollowAtHome: a follower's consumer is on the server that it is connected to, if that has the stream.
func TestFollowAtHome(t *testing.T) {
	t.Parallel()
	for _, m := range startMembers(t, 3) {
		r := &follow{l: m.log, stream: m.log.callsStream(), next: 1, caughtUp: true}
		if err := r.look(t.Context()); err != nil || !r.local {
			t.Fatalf("%s: local %v, %v", m.name, r.local, err)
		}
		// The server picks at random, and passes over those that it takes for slow.
		eventually(t, "a consumer at home", func() bool {
			c := &consumer{follow: r}
			if err := c.place(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.log.dropConsumer(r.stream, c.name)
			return c.atHome
		})
	}
}
