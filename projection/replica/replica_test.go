package replica_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/replica"
)

// same compares calls as the web page would show them: a slice may be nil here and empty there.
func same(a, b *projection.Call) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}

// What a relay learns in the time after an offer is not cut short by a writer whose clock is behind, and not drawn out by a restart.
func TestRoutesSkew(t *testing.T) {
	n := newFakeNode(&fakeLog{})
	if _, err := n.act(offered("n1", 100)); err != nil {
		t.Fatal(err)
	}
	def := projection.RouteDefaults{}
	plain := n.Call.Routes(def, n.now)
	for _, c := range []struct {
		late  int64
		fresh bool
		want  int64
	}{{5e6, false, 0}, {3e6, true, 3e6}, {9e6, true, 3e6}, {9e6, false, 3e6}} {
		for i, s := range n.Routes(def, n.now+c.late, c.fresh) {
			if got := s.LearnUntil - plain[i].LearnUntil; got != c.want {
				t.Errorf("%+v: the time for learning is %d µs longer", c, got)
			}
		}
	}
}

func TestInboxCollect(t *testing.T) {
	n := newFakeNode(&fakeLog{})
	n.other(offered("n1", 100))
	n.other(events.Ended{Reason: events.ReasonDeleted})
	n.other(offered("n1", 100))
	var in replica.Inbox
	for _, e := range n.log.entries {
		in.Collect(e)
	}
	if list := in.Take(); len(list) != 2 || list[0].Seq != 2 || in.Len() != 0 {
		t.Errorf("%d entries, from %d", len(list), list[0].Seq)
	}
}

func socketsAt(numbers ...uint16) (list []netip.AddrPort) {
	for _, p := range numbers {
		list = append(list, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), p))
	}
	return list
}

// Sockets of decisions whose outcome is not known are given back once, and none that a call has adopted.
func TestGrants(t *testing.T) {
	var g replica.Grants
	want := func(what string, got, want []netip.AddrPort) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	g.Return("a", socketsAt(1)) // of the process before
	g.Adopted("a", socketsAt(1))
	g.Add("a", socketsAt(1, 2), 10)
	g.Add("a", socketsAt(3, 4), 20)
	g.Add("b", socketsAt(5), 10)
	g.Add("c", socketsAt(6, 7), 30)
	if got := g.Due(9); len(got) != 0 || g.Len() != 4 {
		t.Errorf("%v are due at once, of %d", got, g.Len())
	}
	if got := g.Due(10); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Errorf("due: %v", got)
	}
	g.Adopted("a", socketsAt(1)) // one of a pair: the other one is still nobody's
	want("a's first", g.Settle("a", 10), socketsAt(2))
	want("a's first, again", g.Settle("a", 10), nil)
	want("not needed", g.Return("a", socketsAt(4)), socketsAt(3, 4))
	want("not needed, again", g.Return("a", socketsAt(3)), nil)
	g.Adopted("c", socketsAt(7, 6))
	want("adopted", g.Settle("c", 100), nil)
	want("b's", g.Settle("b", 100), socketsAt(5))
	if g.Len() != 0 || len(g.Due(1000)) != 0 {
		t.Errorf("%d are left", g.Len())
	}
}
