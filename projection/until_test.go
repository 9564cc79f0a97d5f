package projection_test

import (
	"net/netip"
	"reflect"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// untilWorld is a call of a caller (0) and as many others as a test wants; all talk to the caller.
type untilWorld struct {
	t    *testing.T
	call projection.Call
	seq  uint64
}

func untilCall(t *testing.T, others int) *untilWorld {
	w := &untilWorld{t: t}
	w.offer(1*second, others)
	return w
}

func (w *untilWorld) offer(at int64, others int) {
	s := events.Signalling{To: 1, Parties: []events.Party{{ID: 0, Tag: "a"}}}
	if w.seq == 0 {
		s.Owner = "n1"
	}
	for id := 1; id <= others; id++ {
		s.Parties[0].Peers = append(s.Parties[0].Peers, id)
		s.Parties = append(s.Parties, events.Party{ID: id, Tag: string(rune('a' + id)), Peers: []int{0}})
	}
	w.apply(at, events.Offered{Signalling: s})
}

func (w *untilWorld) apply(at int64, ev events.Event) {
	w.seq++
	w.call.Apply(w.seq, events.Envelope{Call: "c", Gen: 1, Node: "n1", At: at, Event: ev})
}

func (w *untilWorld) expect(want int64) {
	w.t.Helper()
	if w.call.Until != want {
		w.t.Fatalf("the call was over at %d, want %d", w.call.Until, want)
	}
}

// end ends the call as the sweep does, and has the event folded by one who knows the log, by one who knows nothing but the
// end, and, without what the event says, as older logs have it.
func (w *untilWorld) end(at, want int64) {
	w.t.Helper()
	ev := w.call.Totals(events.Ended{Reason: events.ReasonDeleted}, func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false })
	if ev.Until != want {
		w.t.Errorf("the end says %d, want %d", ev.Until, want)
	}
	late, old := projection.Call{}, w.call.Snapshot()
	env := events.Envelope{Call: "c", Gen: 1, Node: "n1", At: at, Event: ev}
	late.Apply(w.seq+1, env)
	ev.Until = 0
	env.Event = ev
	old.Apply(w.seq+1, env)
	w.apply(at, w.call.Totals(ev, func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }))
	w.expect(want)
	if late.Until != want || !reflect.DeepEqual(old, &w.call) {
		w.t.Errorf("who knows the end only has %d; of an older log comes\n%+v\nwant\n%+v", late.Until, old, &w.call)
	}
}

func TestUntilTheDelete(t *testing.T) {
	w := untilCall(t, 1)
	w.expect(0)
	w.apply(6*second, events.DeletionScheduled{At: 36 * second})
	w.expect(6 * second)
	w.apply(7*second, events.DeletionScheduled{At: 37 * second}) // the other side's BYE
	w.expect(6 * second)
	w.end(37*second, 6*second)
}

func TestUntilAtOnce(t *testing.T) {
	w := untilCall(t, 1)
	w.end(6*second, 0)
	if w.call.EndedAt != 6*second {
		t.Errorf("ended at %d", w.call.EndedAt)
	}
}

// TestUntilSignalled: what comes after a delete keeps the call, and it was never over.
func TestUntilSignalled(t *testing.T) {
	w := untilCall(t, 1)
	w.apply(6*second, events.DeletionScheduled{At: 36 * second})
	w.offer(9*second, 1)
	w.expect(0)
	w.apply(20*second, events.DeletionScheduled{At: 21 * second})
	w.end(21*second, 20*second)
}

// TestUntilTheLastTwo: with several parties the call is over when the last two who talk are told to go.
func TestUntilTheLastTwo(t *testing.T) {
	w := untilCall(t, 2)
	w.apply(5*second, events.DeletionScheduled{Parties: []int{1}, At: 65 * second})
	w.expect(0)
	w.apply(8*second, events.DeletionScheduled{Parties: []int{2}, At: 9 * second})
	w.expect(8 * second)
	w.apply(9*second, events.PartiesRemoved{Parties: []int{2}})
	w.expect(8 * second)
	w.end(65*second, 8*second)

	w = untilCall(t, 2)
	w.apply(5*second, events.DeletionScheduled{Parties: []int{1}, At: 65 * second})
	w.apply(7*second, events.PartiesRemoved{Parties: []int{2}}) // a delete without delay
	w.end(65*second, 7*second)
}

// TestUntilBeatsTimers: a call that was deleted did not time out, though its streams fell silent before its delay was over.
func TestUntilBeatsTimers(t *testing.T) {
	w := silenceCall(t)
	limits := projection.Timeouts{Media: 20 * second, Silent: 20 * second, Offer: 20 * second}
	never := func(netip.AddrPort) int64 { return 0 }
	if why, over := w.call.Timeout(limits, never, 25*second); !over || why != events.ReasonTimeout {
		t.Fatalf("%t for %q", over, why)
	}
	w.apply(15*second, events.DeletionScheduled{At: 75 * second})
	why, over := w.call.Timeout(limits, never, 25*second)
	if alive := w.call.WhyAlive(limits, never); !over || why != events.ReasonDeleted || alive.Why != why || alive.Ends != 20*second {
		t.Errorf("%t for %q, foretold %+v", over, why, alive)
	}
}
