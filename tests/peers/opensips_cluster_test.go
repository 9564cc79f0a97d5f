//go:build unix

package peers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"rtpjet/tests/lab"
)

// TestOpensips has OpenSIPS' commands move between nodes in the middle of calls,
// away from the one they began at and back, as the set of nodes changes; a node
// is killed, and started again. No call may notice but by a re-INVITE.
func TestOpensips(t *testing.T) {
	lab.Only(t, "three nodes, of which one is killed")
	const size = 100
	s := startCluster(t)
	n1, n2, n3 := s.nodes[0], s.nodes[1], s.nodes[2]
	o := newOpensips(s)
	calls := make([]*dialog, size)
	for i := range calls {
		calls[i] = &dialog{o: o, s: s, callID: fmt.Sprintf("%016x@opensips", rand.Uint64()), alice: newPhone(t), bob: newPhone(t)}
	}

	all(t, calls, "offer at three nodes", func(d *dialog) error { return d.offer(request{"from-tag": "alice"}) })
	o.enable(n1, n3)
	all(t, calls, "answer at two", func(d *dialog) error {
		if err := d.answer(); err != nil {
			return err
		}
		return d.speak()
	})
	all(t, calls, "Alice's re-INVITE at two", func(d *dialog) error { return d.stays(false) })
	o.enable(n2)
	all(t, calls, "Bob's re-INVITE at one", func(d *dialog) error { return d.stays(true) })
	o.enable(n1, n2, n3)
	all(t, calls, "Bob's re-INVITE at three", func(d *dialog) error { return d.stays(true) })
	all(t, calls, "query", (*dialog).query)

	// Where each call is when the node dies: those elsewhere must stay there.
	type place struct {
		owner *server
		a, b  netip.AddrPort
	}
	places := map[*dialog]place{}
	count := map[*server]int{}
	for _, d := range calls {
		places[d] = place{s.owner(d.relayA), d.relayA, d.relayB}
		count[s.owner(d.relayA)]++
	}
	if len(count) != clusterSize {
		t.Fatalf("calls by node: %v", count)
	}
	dead := n2
	var done atomic.Int32
	var once sync.Once
	all(t, calls, "re-INVITE while a node is killed", func(d *dialog) error {
		if done.Add(1) > size/3 {
			once.Do(func() { dead.kill(t) })
		}
		return d.reinvite(false)
	})
	if o.moved.Load() == 0 {
		t.Error("no command was for the killed node")
	}
	all(t, calls, "Bob's re-INVITE at the survivors", func(d *dialog) error {
		if err := d.reinvite(true); err != nil {
			return err
		}
		was := places[d]
		if was.owner == dead == (d.relayA == was.a && d.relayB == was.b) {
			return fmt.Errorf("%s was at %s, %v and %v, and is at %v and %v", d.callID, was.owner.ng, was.a, was.b, d.relayA, d.relayB)
		}
		return d.speak()
	})
	all(t, calls, "Alice's re-INVITE at the survivors", func(d *dialog) error { return d.stays(false) })

	dead.launch(t)
	dead.answers(t)
	o.enable(n1, n2, n3)
	all(t, calls, "re-INVITE with the node back", func(d *dialog) error { return d.stays(true) })
	all(t, calls, "delete", (*dialog).hangUp)
	for _, n := range s.nodes {
		for _, d := range calls {
			if n.knows(t, d.callID) {
				t.Errorf("%s knows %s after its end", n.ng, d.callID)
			}
		}
	}
	s.idle(t)
}

// all runs a step of all calls, some at a time, and fails with what failed.
func all(t *testing.T, calls []*dialog, what string, step func(*dialog) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	errs := make([]error, len(calls))
	for i, d := range calls {
		group.Go(func() error {
			errs[i] = step(d)
			return nil
		})
	}
	_ = group.Wait()
	failed, late := 0, 0
	for _, d := range calls {
		late = max(late, d.late)
		d.late = 0
	}
	if late > 1 { // the last one may just be on its way
		t.Logf("%s: up to %d packets lost, sent 10 ms apart after a reply", what, late)
	}
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	if failed > 0 {
		t.Fatalf("%s: %d of %d failed:\n%v", what, failed, len(calls), errors.Join(errs...))
	}
}
