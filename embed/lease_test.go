package embed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"rtpjet/embed/internal/names"
)

func TestLeases(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	ctx := t.Context()
	if lease, err := l.GetLease(ctx, "node.n1"); err != nil || lease.Revision != 0 {
		t.Errorf("before the first: %+v, %v", lease, err)
	}
	one, err := l.PutLease(ctx, "node.n1", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.PutLease(ctx, "node.n1", []byte("one"), 0); err != nil || again != one {
		t.Errorf("the same again: %d, %v, want %d", again, err, one)
	}
	if _, err := l.PutLease(ctx, "node.n1", []byte("other"), 0); !errors.Is(err, ErrConflict) {
		t.Errorf("another: %v", err)
	}
	two, err := l.PutLease(ctx, "node.n1", []byte("two"), one)
	if err != nil || two <= one {
		t.Fatalf("%d, %v", two, err)
	}
	if lease, err := l.GetLease(ctx, "node.n1"); err != nil || lease.Revision != two || string(lease.Value) != "two" {
		t.Errorf("%+v, %v", lease, err)
	}
	if err := l.DeleteLease(ctx, "node.n1", one); !errors.Is(err, ErrConflict) {
		t.Errorf("delete what is newer: %v", err)
	}
	if err := l.DeleteLease(ctx, "node.n1", two); err != nil {
		t.Error(err)
	}
	if err := l.DeleteLease(ctx, "node.n1", two); err != nil {
		t.Errorf("delete twice: %v", err)
	}
	if lease, err := l.GetLease(ctx, "node.n1"); err != nil || lease.Revision != 0 {
		t.Errorf("deleted: %+v, %v", lease, err)
	}
	if three, err := l.PutLease(ctx, "node.n1", []byte("three"), 0); err != nil || three <= two {
		t.Errorf("after a deletion: %d, %v", three, err)
	}
}

// leaseRecorder is the other end of FollowLeases.
type leaseRecorder struct {
	events chan string
}

func followLeases(t testing.TB, l *Log) *leaseRecorder {
	t.Helper()
	r := &leaseRecorder{events: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- l.FollowLeases(ctx, func(lease Lease, deleted bool) {
			if deleted {
				r.events <- lease.Key + " deleted"
				return
			}
			r.events <- fmt.Sprintf("%s=%s", lease.Key, lease.Value)
		}, func() { r.events <- "caught up" })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func (r *leaseRecorder) want(t testing.TB, list ...string) {
	t.Helper()
	for _, want := range list {
		select {
		case got := <-r.events:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no %q", want)
		}
	}
}

// TestFollowLeases: present keys, then changes, and a deleted bucket is one in which all is deleted.
func TestFollowLeases(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	ctx := t.Context()
	put := func(key, value string, revision uint64) uint64 {
		t.Helper()
		next, err := l.PutLease(ctx, key, []byte(value), revision)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	a := put("node.a", "1", 0)
	r := followLeases(t, l)
	r.want(t, "node.a=1", "caught up")
	a = put("node.a", "2", a)
	if err := l.DeleteLease(ctx, "node.a", a); err != nil {
		t.Fatal(err)
	}
	put("node.b", "1", 0)
	r.all(t, map[string]bool{"node.a deleted": true, "node.b=1": true})
	id, err := l.InstanceID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.all(t, map[string]bool{clusterKey + "=" + id: true})
	if err := l.js.DeleteStream(ctx, names.LeasesStream("r")); err != nil {
		t.Fatal(err)
	}
	// The deletions in any order, and the identity that is put again; a follower that had to begin anew tells things twice.
	wanted := map[string]bool{"node.b deleted": true, clusterKey + " deleted": true, clusterKey + "=" + id: true}
	r.all(t, wanted)
	var last error
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last error was %v", last)
		}
	})
	eventually(t, "the new bucket takes leases", func() bool {
		_, last = l.PutLease(ctx, "node.b", []byte("2"), 0)
		return last == nil
	})
	r.all(t, map[string]bool{"node.b=2": true})
}

// all waits until everything wanted was told, whatever else was.
func (r *leaseRecorder) all(t testing.TB, wanted map[string]bool) {
	t.Helper()
	for len(wanted) > 0 {
		select {
		case e := <-r.events:
			delete(wanted, e)
		case <-time.After(30 * time.Second):
			t.Fatalf("not told: %v", wanted)
		}
	}
}

// TestLeaseRace: of many nodes that claim the same, one wins, whichever server it asks.
func TestLeaseRace(t *testing.T) {
	t.Parallel()
	members := startMembers(t, 3)
	var revision uint64
	for round := range 20 {
		wins := make(chan uint64, 12)
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				next, err := members[i%3].log.PutLease(t.Context(), "float.x", fmt.Appendf(nil, "%d-%d", round, i), revision)
				if err == nil {
					wins <- next
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(wins) != 1 {
			t.Fatalf("round %d: %d winners", round, len(wins))
		}
		revision = <-wins
	}
}
