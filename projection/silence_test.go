package projection_test

import (
	"net/netip"
	"testing"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// silenceWorld is a call of two parties, and what their sockets have counted.
type silenceWorld struct {
	t     *testing.T
	call  projection.Call
	seq   uint64
	heard map[netip.AddrPort]plan.Stats
	floor int64
}

var (
	silentA = netip.MustParseAddrPort("192.0.2.10:30000") // our socket towards the first party
	silentB = netip.MustParseAddrPort("192.0.2.10:30002")
)

func silenceCall(t *testing.T) *silenceWorld {
	w := &silenceWorld{t: t, heard: map[netip.AddrPort]plan.Stats{}}
	w.signal(0, events.SendRecv, true)
	return w
}

// signal folds an offer, with the direction of the first party; answered says that the second one has answered.
func (w *silenceWorld) signal(at int64, dir events.Direction, answered bool) {
	media := func(local, remote netip.AddrPort, dir events.Direction) []events.Media {
		return []events.Media{{
			Type: "audio", Protocol: "RTP/AVP", Local: events.Ports{RTP: local}, Remote: events.Ports{RTP: remote}, Direction: dir, SignalAt: at,
		}}
	}
	b := events.Party{ID: 1, Tag: "b", Peers: []int{0}, Medias: media(silentB, netip.MustParseAddrPort("198.51.100.2:4000"), events.SendRecv)}
	if !answered {
		b.Medias[0].Remote = events.Ports{}
	}
	owner := ""
	if w.seq == 0 {
		owner = "n1"
	}
	w.apply(at, events.Offered{Signalling: events.Signalling{Owner: owner, From: 0, To: 1, Parties: []events.Party{
		{ID: 0, Tag: "a", Peers: []int{1}, Medias: media(silentA, netip.MustParseAddrPort("198.51.100.1:4000"), dir)}, b,
	}}})
}

func (w *silenceWorld) apply(at int64, ev events.Event) {
	w.seq++
	w.call.Apply(w.seq, events.Envelope{Call: "c", Gen: 1, Node: "n1", At: at, Event: ev})
}

func (w *silenceWorld) packet(local netip.AddrPort, at int64) {
	st := w.heard[local]
	st.In.Packets++
	st.LastPacket = at
	w.heard[local] = st
}

const second = 1_000_000

// due returns who is silent at a time for 20 s, and puts it into the log; empty if nobody new is.
func (w *silenceWorld) due(at int64) string {
	w.t.Helper()
	ev, next, ok := w.call.DueSilence(20*second, w.floor, func(a netip.AddrPort) (plan.Stats, bool) { st, ok := w.heard[a]; return st, ok }, at)
	if !ok {
		if next <= at {
			w.t.Fatalf("at %d nothing is due, and next at %d", at, next)
		}
		return ""
	}
	w.apply(at, ev)
	return ev.Tag
}

func (w *silenceWorld) expect(at int64, want string) {
	w.t.Helper()
	if got := w.due(at); got != want {
		w.t.Fatalf("at %d s %q is silent, want %q", at/second, got, want)
	}
}

func TestSilenceIsToldOnce(t *testing.T) {
	w := silenceCall(t)
	w.packet(silentA, 1*second)
	w.packet(silentB, 19*second)
	w.expect(19*second, "")
	w.expect(21*second, "a")
	w.expect(22*second, "")
	w.expect(39*second, "b")
	w.expect(1000*second, "")
	w.packet(silentA, 1001*second)
	w.expect(1020*second, "")
	w.expect(1021*second, "a")
	w.expect(2000*second, "")
}

func TestSilenceOfNobodyHeard(t *testing.T) {
	w := silenceCall(t)
	w.expect(20*second, "a")
	w.expect(20*second, "b")
	w.expect(60*second, "")
}

// TestSilenceOnHold: a party on hold is not expected to speak, and is again when it comes back.
func TestSilenceOnHold(t *testing.T) {
	w := silenceCall(t)
	w.packet(silentB, 500*second)
	w.expect(20*second, "a")
	w.signal(30*second, events.Inactive, true)
	w.expect(200*second, "")
	w.signal(300*second, events.SendRecv, true)
	w.expect(319*second, "")
	w.expect(320*second, "a")
	w.expect(400*second, "")
}

// TestSilenceOfRefresh: the same offer again is no news.
func TestSilenceOfRefresh(t *testing.T) {
	w := silenceCall(t)
	w.packet(silentB, 500*second)
	w.expect(20*second, "a")
	w.signal(30*second, events.SendRecv, true)
	w.expect(100*second, "")
}

// TestSilenceAfterRestart: what was told stays told, and what was not is counted from the start of the node.
func TestSilenceAfterRestart(t *testing.T) {
	w := silenceCall(t)
	w.packet(silentB, 100*second)
	w.expect(20*second, "a")
	w.heard, w.floor = map[netip.AddrPort]plan.Stats{}, 105*second
	w.expect(110*second, "")
	w.expect(125*second, "b")
	w.expect(300*second, "")
}

func TestSilenceOfNoConcern(t *testing.T) {
	w := &silenceWorld{t: t, heard: map[netip.AddrPort]plan.Stats{}}
	w.signal(0, events.SendRecv, false) // nobody has answered
	w.expect(1000*second, "")
	w.signal(0, events.SendOnly, true) // the second has nobody to speak to
	w.packet(silentA, 1000*second)
	w.expect(1000*second, "")
	w.apply(1001*second, events.LegSilent{Party: 7, Media: 0})
	w.apply(1001*second, events.LegSilent{Party: 0, Media: 9})
	if len(w.call.Silent) != 0 {
		t.Errorf("noted %v", w.call.Silent)
	}
	w.apply(1002*second, events.Ended{})
	w.expect(2000*second, "")
}

// TestSilenceOfAHangUp: who was deleted has hung up, and so has who talked to nobody else. Signalling brings them back.
func TestSilenceOfAHangUp(t *testing.T) {
	for name, ev := range map[string]events.DeletionScheduled{
		"the call": {At: 500 * second}, "the party": {Parties: []int{0}, At: 500 * second}, "its only peer": {Parties: []int{1}, At: 500 * second},
	} {
		w := silenceCall(t)
		w.packet(silentA, 10*second)
		w.packet(silentB, 10*second)
		w.apply(11*second, ev)
		w.expect(400*second, "")
		if name == "the call" {
			w.signal(400*second, events.SendRecv, true)
			w.expect(419*second, "")
			w.expect(420*second, "a")
			w.expect(420*second, "b")
		}
	}
}

// TestSilenceOfAFork: a fork that goes takes the silence of nobody else with it.
func TestSilenceOfAFork(t *testing.T) {
	w := silenceCall(t)
	other := events.Party{ID: 2, Tag: "c", Peers: []int{0}, Medias: []events.Media{{
		Type: "audio", Protocol: "RTP/AVP", Direction: events.SendRecv,
		Local:  events.Ports{RTP: netip.MustParseAddrPort("192.0.2.10:30004")},
		Remote: events.Ports{RTP: netip.MustParseAddrPort("198.51.100.3:4000")},
	}}}
	a := *w.call.Party(0)
	a.Peers = []int{1, 2}
	w.apply(0, events.Offered{Signalling: events.Signalling{From: 0, To: 2, Parties: []events.Party{a, *w.call.Party(1), other}}})
	w.call.Parties[1].Peers = []int{0} // both forks hear the caller
	w.packet(silentB, 100*second)
	w.apply(5*second, events.DeletionScheduled{Parties: []int{2}, At: 500 * second})
	w.expect(20*second, "a")
	w.expect(60*second, "")
}
