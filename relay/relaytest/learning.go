package relaytest

import (
	"net/netip"
	"time"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// believeAfter is how many packets that fit together make a source believed.
const believeAfter = 3

// speak has a phone send so many packets to the stream of party A as make it believed. All of them arrive.
func (p *pair) speak(from *Phone) {
	p.Helper()
	for range believeAfter {
		p.toB(from, p.b)
	}
}

// speakUntil has a phone send to the stream of party A until it is believed.
func (p *pair) speakUntil(from *Phone) {
	p.Helper()
	for start := time.Now(); p.stats(p.sa.Local).Remote != from.Addr(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			p.Fatalf("%v is never believed", from.Addr())
		}
		from.Send(p.sa.Local, p.next())
	}
}

// strangers awaits the number of packets, in all, that were refused because of who sent them.
func (f *fixture) strangers(want uint64) {
	f.Helper()
	for start := time.Now(); ; {
		if err := f.Answers(f.Context()); err != nil {
			f.Fatal(err)
		}
		got := f.Totals().Shed[relay.ShedSource]
		switch {
		case got == want:
			return
		case got > want || time.Since(start) > patience:
			f.Fatalf("%d packets of strangers were refused, want %d", got, want)
		}
	}
}

func learnHeuristic(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	natted := NewPhone(f, loopback4) // same address, other port
	p.toB(natted, p.b)
	p.toA(p.b, p.a) // one packet shows nothing
	p.toB(natted, p.b)
	p.toB(natted, p.b)
	p.toA(p.b, natted)
	if l := f.learned(); l != (plan.Learned{Call: "call", Local: p.sa.Local, Remote: natted.Addr(), Epoch: 1, Confirmed: true}) {
		f.Errorf("learned %+v, want %v, confirmed", l, natted.Addr())
	}
	p.toA(p.b, natted)
	if l := f.learned(); l != (plan.Learned{Call: "call", Local: p.sb.Local, Remote: p.b.Addr(), Epoch: 1, Confirmed: true}) {
		f.Errorf("learned %+v, want %v, confirmed", l, p.b.Addr())
	}
	p.speak(p.a) // the signalled address wins at any time
	p.toA(p.b, p.a)
	natted.Send(p.sa.Local, p.next())
	f.strangers(1)
	p.toB(p.a, p.b)
	if l := f.learned(); l != (plan.Learned{Call: "call", Local: p.sa.Local, Remote: p.a.Addr(), Epoch: 1, Confirmed: true}) {
		f.Errorf("learned %+v, want %v, confirmed", l, p.a.Addr())
	}
	if st := f.stats(p.sa.Local); st.In.Packets != 7 || st.In.Errors != 0 {
		f.Errorf("%+v, want 7 packets and no error: a stranger's is not the party's", st.In)
	}
}

// learnSeen: the address from which the SIP came is the next best, whatever the port; a port that agrees is worth nothing.
func learnSeen(f *fixture) {
	p := newPair(f, "call")
	seen, stranger := NewPhone(f, loopback4.Next()), NewPhone(f, loopback4.Next().Next())
	p.sa.Signalled, p.sa.Seen = netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), stranger.Addr().Port()), loopback4.Next()
	p.apply()
	p.toB(stranger, p.b) // it may be the only sound that there is
	p.toB(stranger, p.b)
	p.toB(stranger, p.b)
	if st := f.stats(p.sa.Local); st.Remote != p.sa.Signalled || st.LastPacket != 0 {
		f.Errorf("%+v, want the signalled address and no sign of life", st)
	}
	p.speak(seen)
	p.toA(p.b, seen)
	stranger.Send(p.sa.Local, p.next())
	stranger.Send(p.sa.Local, RTCP(203, "bye"))
	f.strangers(2)
	p.toB(seen, p.b)
}

// learnUnknown: where the party cannot be at the signalled address and nobody knows where it is, the first is believed.
func learnUnknown(f *fixture) {
	p := newPair(f, "call")
	p.sa.Signalled = netip.MustParseAddrPort("10.0.0.1:5000")
	p.apply()
	natted, stranger := NewPhone(f, loopback4.Next()), NewPhone(f, loopback4.Next().Next())
	p.speak(natted)
	p.toA(p.b, natted)
	stranger.Send(p.sa.Local, p.next())
	f.strangers(1)
	p.toB(natted, p.b)
	p.toA(p.b, natted)
}

// learnMoved: after a move the new address counts at once, and the old one only if it goes on sending.
func learnMoved(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	p.speak(p.a)
	p.toA(p.b, p.a)
	moved := NewPhone(f, loopback4)
	p.sa.Signalled, p.sa.Former, p.sa.Epoch = moved.Addr(), p.a.Addr(), 2
	p.apply()
	p.speak(p.a) // late packets
	p.toA(p.b, moved)
	p.speak(moved)
	p.toA(p.b, moved)
	p.a.Send(p.sa.Local, p.next())
	f.strangers(1)

	// Who has never left is believed again, though the SDP says otherwise.
	wrong := NewPhone(f, loopback4)
	p.sa.Signalled, p.sa.Former, p.sa.Epoch = wrong.Addr(), moved.Addr(), 3
	p.apply()
	p.toA(p.b, wrong)
	p.speakUntil(moved)
}

func learnLenient(f *fixture) {
	p := newPair(f, "call")
	p.sa.Lenient = true
	p.apply()
	first, second := NewPhone(f, loopback4.Next()), NewPhone(f, loopback4.Next().Next())
	p.toB(first, p.b)
	p.toA(p.b, first)
	p.toB(second, p.b)
	p.toA(p.b, first)
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
}

func learnHeuristicStrict(f *fixture) {
	p := newPair(f, "call")
	p.sa.StrictSource = true
	p.sa.Signalled = NewPhone(f, loopback4).Addr()
	p.apply()
	p.toB(p.a, p.b)
	// 127.0.0.2 ranks below 127.0.0.1, whatever its port.
	worse := NewPhone(f, loopback4.Next())
	worse.Send(p.sa.Local, p.next())
	p.toB(p.a, p.b)
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	if st := f.stats(p.sa.Local); st.In.Errors != 1 || st.In.Packets != 3 {
		f.Errorf("%+v, want 3 packets and one error", st.In)
	}
}

func learnImmediate(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	first := NewPhone(f, loopback4)
	p.toB(first, p.b)
	p.toB(p.a, p.b)
	p.toA(p.b, first)
	if l := f.learned(); l.Remote != first.Addr() || !l.Confirmed {
		f.Errorf("learned %+v, want %v, confirmed", l, first.Addr())
	}
}

func learnDelayed(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnDelayed
	p.apply()
	first, second, late := NewPhone(f, loopback4), NewPhone(f, loopback4), NewPhone(f, loopback4)
	p.toB(first, p.b)
	p.toA(p.b, first)
	p.toB(second, p.b)
	p.toA(p.b, second)
	p.sa.LearnUntil = windowClosed
	p.apply()
	p.toB(first, p.b)
	late.Send(p.sa.Local, p.next())
	f.strangers(1)
	p.toA(p.b, first)
}

func learnOff(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnOff
	p.apply()
	other := NewPhone(f, loopback4)
	p.toB(other, p.b)
	p.toA(p.b, p.a)
	p.sa.StrictSource = true
	p.apply()
	other.Send(p.sa.Local, p.next())
	p.toB(p.a, p.b)
}

func mayNotLearn(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode, p.sa.MayLearn = plan.LearnImmediate, false
	p.apply()
	early := NewPhone(f, loopback4)
	p.toB(early, p.b)
	p.toA(p.b, p.a)
	p.sa.MayLearn, p.sa.Epoch = true, 2
	p.apply()
	p.toB(early, p.b)
	p.toA(p.b, early)
}

func strictSource(f *fixture) {
	p := newPair(f, "call")
	p.sa.StrictSource, p.sa.Mode = true, plan.LearnImmediate
	p.apply()
	p.toB(p.a, p.b)
	stranger := NewPhone(f, loopback4)
	stranger.Send(p.sa.Local, p.next())
	stranger.Send(p.sa.Local, p.next())
	p.toB(p.a, p.b)
	if st := f.stats(p.sa.Local); st.In.Errors != 2 || st.In.Packets != 2 {
		f.Errorf("%+v, want 2 packets and 2 errors", st.In)
	}
}

func mediaHandover(f *fixture) {
	p := newPair(f, "call")
	p.sa.MediaHandover, p.sa.Mode = true, plan.LearnImmediate
	p.sa.RTCPSinks = p.sa.RTPSinks
	p.apply()
	p.toB(p.a, p.b)
	moved := NewPhone(f, loopback4)
	p.speakUntil(moved)
	p.drainB(moved)
	p.toA(p.b, moved)

	// RTCP on the RTP port does not move the media.
	report := RTCP(201, "report")
	p.a.Send(p.sa.Local, report)
	p.b.Expect(p.sb.Local, report)
	p.toA(p.b, moved)

	var last plan.Learned
	for last.Local != p.sa.Local || last.Remote != moved.Addr() {
		last = f.learned()
	}
}

func newEpoch(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	before, after := NewPhone(f, loopback4), NewPhone(f, loopback4)
	p.toB(before, p.b)
	after.Send(p.sa.Local, p.next())
	f.strangers(1)
	p.toA(p.b, before)

	// A re-INVITE that repeats the address opens nothing.
	p.sa.Epoch = 2
	p.apply()
	p.toA(p.b, before)
	p.toB(before, p.b)
	after.Send(p.sa.Local, p.next())
	f.strangers(2)
	p.toA(p.b, before)

	// One with a new address: that one counts at once.
	renewed := NewPhone(f, loopback4)
	p.sa.Epoch, p.sa.Signalled = 3, renewed.Addr()
	p.apply()
	p.toA(p.b, renewed)
	if st := f.stats(p.sa.Local); st.Confirmed {
		f.Errorf("%+v is confirmed in a new epoch", st)
	}
}

func recordedAddress(f *fixture) {
	p := newPair(f, "call")
	recorded := NewPhone(f, loopback4.Next())
	p.sa.Learned = recorded.Addr()
	p.apply()
	if st := f.stats(p.sa.Local); st.Remote != recorded.Addr() {
		f.Errorf("remote %v before the first packet, want %v", st.Remote, recorded.Addr())
	}
	p.toA(p.b, recorded)
	worse := NewPhone(f, loopback4.Next().Next())
	better := NewPhone(f, loopback4)
	worse.Send(p.sa.Local, p.next())
	f.strangers(1)
	p.speak(better)
	p.toA(p.b, better)
}

func fullLearnedQueue(f *fixture) {
	f = f.another(relay.Config{LearnedQueue: 1})
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnDelayed // which follows every packet in its window
	p.sb.Mode = plan.LearnOff
	p.apply()
	var last *Phone
	for range 10 {
		last = NewPhone(f, loopback4)
		p.toB(last, p.b)
	}
	for l := f.learned(); l.Remote != last.Addr(); l = f.learned() {
	}
}
