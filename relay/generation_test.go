package relay

import (
	"runtime"
	"sync/atomic"
	"testing"

	"rtpjet/relay/plan"
)

// TestFirstPacketMeetsPlans has plans that know more and more come while the call is permitted and its first packets arrive.
// All of the call must go by one state from the first packet on, which is no older than the last plan that was in force before.
func TestFirstPacketMeetsPlans(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 100
	}
	const plans = 20
	met := map[bool]int{}
	for round := range rounds {
		a, b := twoParties()
		a.Encrypt, b.Encrypt = secretFor("AEAD_AES_128_GCM", "k"), secretFor("AEAD_AES_128_GCM", "k") // they share a sender
		a.Signalled, b.Signalled = addr("1:5000"), addr("2:5000")
		told := func(roc uint32) (plan.Stream, plan.Stream) {
			a, b := a, b
			for _, st := range []*plan.Stream{&a, &b} {
				keys := *st.Encrypt
				keys.Rollovers = []plan.Rollover{{SSRC: 0x01020304, ROC: roc, Seq: 1, Index: 10_000 * roc}}
				st.Encrypt = &keys
			}
			return a, b
		}
		sc := newBareScript(1024, a, b)
		until, _ := sc.float()
		sc.set(told(0))

		var inForce atomic.Uint32
		var ended atomic.Bool
		go func() {
			defer ended.Store(true)
			for roc := range uint32(plans) {
				sc.set(told(roc + 1))
				inForce.Store(roc + 1)
			}
		}()
		sa, sb := sc.streams[a.Local], sc.streams[b.Local]
		for inForce.Load() < uint32(round%plans) { // waits; must not be touched
			sc.handle(sa, voice, a.Signalled, 1)
			runtime.Gosched()
		}
		until.Store(1)
		before := inForce.Load()
		sc.handle(sa, jump(0), a.Signalled, 2)
		by := sb.cur.Load().out
		began := by.Rollovers()[0]
		if sc.out.sent != 1 || began.ROC < before {
			t.Fatalf("%d sent, the first under rollover counter %d, though %d was in force", sc.out.sent, began.ROC, before)
		}
		report := []byte{0x80, 201, 0, 1, 1, 2, 3, 4}
		for done := false; !done; runtime.Gosched() {
			done = ended.Load()
			sc.handle(sa, report, a.Signalled, 3)
			sc.handle(sb, report, b.Signalled, 3)
			if got := [3]any{sa.cur.Load().out, sb.cur.Load().out, by}; got[0] != got[2] || got[1] != got[2] {
				t.Fatalf("three senders for one key: %p", got)
			}
		}
		if sb.route.Load().out != by || sa.route.Load().out != by {
			t.Fatal("a later plan has begun anew")
		}
		sent := uint32(sc.out.sent) - 1
		if got := by.Rollovers()[0]; got.Index != 10_000*began.ROC+1024+sent {
			t.Fatalf("index %d after %d reports from rollover counter %d on: one was used twice", got.Index, sent, began.ROC)
		}
		met[began.ROC < plans]++
	}
	if testing.Short() {
		return
	}
	if met[true] == 0 {
		t.Errorf("no plan came after the first packet, in %d rounds", rounds)
	}
}

// TestStreamsLeaveAWaitingCall: what a plan no longer names carries nothing, even if its old route is still in place.
func TestStreamsLeaveAWaitingCall(t *testing.T) {
	a, b := twoParties()
	sc := newBareScript(4, a, b)
	until, _ := sc.float()
	sc.set(a, b)
	old := sc.streams[b.Local].route.Load()
	sc.set(a) // as Set does before it retires b
	until.Store(1)
	sc.handle(sc.streams[b.Local], voice, b.Signalled, 1)
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 1)
	if sc.out.sent != 0 || sc.pools[0].in.Packets != 1 || sc.pools[0].in.Errors != 1 || old.take() != nil {
		t.Errorf("%d sent, received %+v", sc.out.sent, sc.pools[0].in)
	}
}

// TestCallsThatDoNotFloatHaveNoGeneration, whatever is added to them: packets may have gone by their first routes.
func TestCallsThatDoNotFloatHaveNoGeneration(t *testing.T) {
	a, b := twoParties()
	sc := newScript(4, a, b)
	sc.float()
	sc.set(a, b)
	if sc.call.gen != nil || sc.streams[a.Local].route.Load().gen != nil {
		t.Error("a call that did not float has a generation")
	}
}
