package relaytest

import (
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

func learnHeuristic(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	natted := NewPhone(f, loopback4) // same address, other port
	p.toB(natted, p.b)
	p.toA(p.b, natted)
	if l := f.learned(); l != (plan.Learned{Call: "call", Local: p.sa.Local, Remote: natted.Addr(), Epoch: 1}) {
		f.Errorf("learned %+v, want %v, not confirmed", l, natted.Addr())
	}
	if l := f.learned(); l != (plan.Learned{Call: "call", Local: p.sb.Local, Remote: p.b.Addr(), Epoch: 1, Confirmed: true}) {
		f.Errorf("learned %+v, want %v, confirmed", l, p.b.Addr())
	}
	p.toB(p.a, p.b) // the very address commits at once
	p.toA(p.b, p.a)
	p.toB(natted, p.b)
	p.toA(p.b, p.a)
	if l := f.learned(); l != (plan.Learned{Call: "call", Local: p.sa.Local, Remote: p.a.Addr(), Epoch: 1, Confirmed: true}) {
		f.Errorf("learned %+v, want %v, confirmed", l, p.a.Addr())
	}
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
	p.toA(p.b, p.a)
	if st := f.stats(p.sa.Local); st.In.Errors != 1 || st.In.Packets != 2 {
		f.Errorf("%+v, want 2 packets and one error", st.In)
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
	p.toB(late, p.b)
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
	p.toB(moved, p.b)
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
	p.toB(after, p.b)
	p.toA(p.b, before)

	// A re-INVITE that repeats the address: what was learned stays in use until a packet comes.
	p.sa.Epoch = 2
	p.apply()
	p.toA(p.b, before)
	p.toB(after, p.b)
	p.toA(p.b, after)

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
	p.toB(worse, p.b)
	p.toB(better, p.b)
	p.toA(p.b, better)
}

func fullLearnedQueue(f *fixture) {
	f = f.another(relay.Config{LearnedQueue: 1})
	p := newPair(f, "call")
	p.sa.MediaHandover, p.sa.Mode = true, plan.LearnImmediate
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
