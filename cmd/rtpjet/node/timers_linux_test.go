package node_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/projection"
)

// ended returns the reason for which a call has ended, once it has.
func (n *testNode) ended(id string) events.Reason {
	n.ng.t.Helper()
	var reason events.Reason
	eventually(n.ng.t, "the call does not end", func() error {
		all := n.events(id)
		end, ok := all[len(all)-1].Event.(events.Ended)
		reason = end.Reason
		return when(ok)
	})
	return reason
}

// swept returns when the timers of all calls were looked at after the present time of the node's clock: calls that were
// due by then have ended, one sweep after the other.
func (n *testNode) swept() {
	n.ng.t.Helper()
	for range 3 {
		id := "canary"
		n.sdp(offer(id, newPhone(n.ng.t).body()))
		n.ok(remove(id, dict{"delete delay": 1}))
		n.clock.advance(time.Second)
		eventually(n.ng.t, "no sweep", func() error { return when(!slices.Contains(n.calls(), id)) })
	}
}

func (n *testNode) alive(id string) {
	n.ng.t.Helper()
	n.swept()
	if !slices.Contains(n.calls(), id) {
		n.ng.t.Fatalf("%q is gone: %v", id, n.ended(id))
	}
}

func TestTimeoutMedia(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("quiet")
	c.talk()
	n.clock.advance(50 * time.Second)
	n.alive(c.id)
	n.clock.advance(time.Minute)
	if got := n.ended(c.id); got != events.ReasonTimeout {
		t.Errorf("ended by %s", got)
	}
	all := n.events(c.id)
	if end := all[len(all)-1].Event.(events.Ended); end.RTP.Packets != 2 || end.ZeroWay != 0 || end.OneWay != 0 {
		t.Errorf("the last event sums up %+v", end)
	}
	n.idle()
	n.refused(dict{"command": "query", "call-id": c.id}, "Unknown call-id")
}

// One stream that is heard keeps a call, and signalling does.
func TestTimeoutRefreshed(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("kept")
	n.clock.advance(50 * time.Second)
	n.sdp(with(c.offer, dict{"to-tag": "B", "o": "x"}))
	n.clock.advance(50 * time.Second)
	n.alive(c.id)
	n.clock.advance(time.Minute)
	n.ended(c.id)
	n.idle()
}

// On hold nobody sends: the silent timeout counts.
func TestTimeoutSilent(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("muted")
	n.sdp(offer(c.id, c.a.body("a=inactive"), dict{"to-tag": "B"}))
	n.sdp(answer(c.id, c.b.body("a=inactive")))
	n.clock.advance(50 * time.Minute)
	n.alive(c.id)
	n.clock.advance(time.Hour)
	if got := n.ended(c.id); got != events.ReasonSilentTimeout {
		t.Errorf("ended by %s", got)
	}
	n.idle()
}

// A call that is not answered lives as long as it may ring.
func TestTimeoutOffer(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.sdp(offer("ringing", newPhone(t).body()))
	n.clock.advance(50 * time.Minute)
	n.alive("ringing")
	n.clock.advance(time.Hour)
	if got := n.ended("ringing"); got != events.ReasonOfferTimeout {
		t.Errorf("ended by %s", got)
	}
	n.idle()
}

// The final timeout counts from the beginning, whatever happens.
func TestTimeoutFinal(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(s *settings) {
		s.Timeouts = projection.Timeouts{Final: time.Hour.Microseconds()}
	})
	c := n.place("long")
	n.clock.advance(50 * time.Minute)
	n.alive(c.id)
	n.sdp(with(c.offer, dict{"to-tag": "B"}))
	n.clock.advance(10 * time.Minute)
	if got := n.ended(c.id); got != events.ReasonFinalTimeout {
		t.Errorf("ended by %s", got)
	}
	n.idle()
}

func TestDeleteDelay(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c, kept := n.place("delayed"), n.place("kept")
	early := offer("early", newPhone(t).body())
	n.sdp(early)
	for _, id := range []string{c.id, kept.id, "early"} {
		n.ok(remove(id, dict{"delete delay": nil})) // the configured 30 s
	}
	c.talk() // media goes on until then
	n.clock.advance(20 * time.Second)
	n.sdp(kept.offer) // signalling keeps the call
	n.sdp(early)      // even the very same
	n.alive(c.id)
	c.talk()
	n.clock.advance(20 * time.Second)
	if got := n.ended(c.id); got != events.ReasonDeleted {
		t.Errorf("ended by %s", got)
	}
	n.alive(kept.id)
	n.alive("early")
	kept.talk()
	n.ok(remove(kept.id))
	n.ok(remove("early"))
	n.idle()
}

// What is to be deleted of a call is a branch: signalling for it keeps the branch.
func TestDeleteDelayOfBranch(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	id, a, b1, b2 := "branches", newPhone(t), newPhone(t), newPhone(t)
	one := offer(id, a.body(), dict{"via-branch": "z9hG4bK1"})
	two := offer(id, a.body(), dict{"via-branch": "z9hG4bK2"})
	at1 := legs(t, n.sdp(one))[0]
	at2 := legs(t, n.sdp(two))[0]
	for _, b := range []string{"z9hG4bK2", "z9hG4bK1"} {
		n.ok(remove(id, dict{"via-branch": b, "delete delay": 10}))
		n.sdp(map[string]dict{"z9hG4bK1": one, "z9hG4bK2": two}[b]) // the same command as before, under a new cookie
	}
	n.clock.advance(20 * time.Second)
	n.swept()
	atA := legs(t, n.sdp(answer(id, b1.body(), dict{"to-tag": "B1", "via-branch": "z9hG4bK1"})))[0]
	pass(t, b1.rtp, at1.rtp, a.rtp, atA.rtp)
	atA = legs(t, n.sdp(answer(id, b2.body(), dict{"to-tag": "B2", "via-branch": "z9hG4bK2"})))[0]
	pass(t, b2.rtp, at2.rtp, a.rtp, atA.rtp)
}

func TestMaxSessions(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(s *settings) { s.MaxSessions = 2 })
	one, two := n.place("one"), n.place("two")
	third := offer("three", newPhone(t).body())
	last := n.last()
	n.refused(third, "Parallel session limit reached")
	reply := n.do(with(offer("four", newPhone(t).body()), dict{"supports": []any{"load limit"}}))
	if reply["result"] != "load limit" || reply["message"] != "Parallel session limit reached" {
		t.Errorf("a client that supports it gets %v", reply)
	}
	if got := n.last(); got != last {
		t.Errorf("refused calls appended %d events", got-last)
	}
	n.sdp(with(one.offer, dict{"to-tag": "B"})) // known calls go on
	n.sdp(two.answer)
	n.ok(remove(two.id))
	n.sdp(third)
	if got := dig(n.ok(dict{"command": "statistics"}), "statistics", "totalstatistics", "rejectedsessions"); got != int64(2) {
		t.Errorf("statistics count %v rejected sessions", got)
	}
	for _, id := range []string{"one", "three"} {
		n.ok(remove(id))
	}
	n.idle()
}

// A minute after its end a call leaves the live stream and the memory, and its history stays.
func TestRetire(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("old")
	n.ok(remove(c.id))
	if entries, _, err := n.log.Since(t.Context(), events.Key(c.id), 0); err != nil || len(entries) != 3 {
		t.Fatalf("%d entries in the live stream, %v", len(entries), err)
	}
	n.clock.advance(2 * time.Minute)
	eventually(t, "the call does not leave the live stream", func() error {
		entries, _, err := n.log.Since(t.Context(), events.Key(c.id), 0)
		if err != nil {
			return err
		}
		return when(len(entries) == 0)
	})
	n.sdp(c.offer) // the call-id can be used again
	n.sdp(c.answer)
	n.ok(remove(c.id))
	if got := len(n.events(c.id)); got != 6 {
		t.Errorf("%d events of the call in all, want 6", got)
	}
	n.idle()
}

// A call lasts from its first offer to its delete. That its sockets stay open for a while is no part of it, and who has hung up
// is not silent.
func TestDurationEndsWithTheDelete(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(s *settings) { s.LegSilence = 20 * time.Second })
	c := n.place("short")
	c.talk()
	n.clock.advance(10 * time.Second)
	n.ok(remove(c.id, dict{"delete delay": 50}))
	n.clock.advance(30 * time.Second)
	n.alive(c.id) // and its silence was looked at
	n.clock.advance(30 * time.Second)
	if got := n.ended(c.id); got != events.ReasonDeleted {
		t.Errorf("ended by %s", got)
	}
	var at, until int64
	for _, env := range n.events(c.id) {
		switch ev := env.Event.(type) {
		case events.DeletionScheduled:
			at = env.At
		case events.LegSilent:
			t.Errorf("who has hung up is silent: %+v", ev)
		case events.Ended:
			if until = ev.Until; env.At-until < 50_000_000 || until-ev.Created < 10_000_000 || until-ev.Created > 30_000_000 {
				t.Errorf("ended at %d: %+v", env.At, ev)
			}
		}
	}
	if at == 0 || until != at {
		t.Errorf("deleted at %d, over at %d", at, until)
	}
	want := 0.0
	for _, id := range []string{c.id, "canary"} {
		for _, env := range n.events(id) {
			if ev, ok := env.Event.(events.Ended); ok {
				want += float64(ev.Until-ev.Created) / 1e6
			}
		}
	}
	totals := n.ok(dict{"command": "statistics"})["statistics"].(dict)["totalstatistics"].(dict)
	if got := totals["totalcallsduration"]; got != fmt.Sprintf("%.6f", want) || totals["managedsessions"] != int64(4) {
		t.Errorf("the calls lasted for %f s; statistics say %v", want, totals)
	}
}
