package relaytest

import (
	"net/netip"

	"rtpjet/relay/plan"
)

func forwardsBothWays(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	for range 10 {
		p.toB(p.a, p.b)
		p.toA(p.b, p.a)
	}
}

func forwardsAcrossFamilies(f *fixture) {
	if l, err := f.Reserve(loopback6, 1); err != nil {
		f.Skipf("no IPv6 here: %v", err)
	} else {
		f.Release(l...)
	}
	p := newPairOn(f, "call", loopback4, loopback6)
	p.apply()
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)

	p = newPairOn(f, "call 6", loopback6, loopback6)
	p.sa.TOS = 184
	p.apply()
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
}

// withRTCP gives party B an RTCP socket of its own.
func withRTCP(p *pair) (rtcpPhone *Phone, rtcp plan.Stream) {
	p.Helper()
	rtcpPhone = NewPhone(p, loopback4)
	local := p.reserve(loopback4, 1)[0]
	rtcp = plan.Stream{
		Local: local, RTCP: true, Signalled: rtcpPhone.Addr(), Epoch: 1, LearnUntil: windowOpen, MayLearn: true,
		RTCPSinks: []netip.AddrPort{p.sa.Local},
	}
	return rtcpPhone, rtcp
}

func mux(f *fixture) {
	// A uses one port for both, B does not.
	p := newPair(f, "call")
	rtcpPhone, rtcp := withRTCP(p)
	p.sa.Mux = true
	p.sa.RTCPSinks = []netip.AddrPort{rtcp.Local}
	f.set("call", p.sa, p.sb, rtcp)

	report := RTCP(200, "report")
	p.a.Send(p.sa.Local, report)
	rtcpPhone.Expect(rtcp.Local, report)
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	rtcpPhone.Send(rtcp.Local, report)
	p.a.Expect(p.sa.Local, report)
	marked := RTP(0x80|96, 1, "marker")
	p.a.Send(p.sa.Local, marked)
	p.b.Expect(p.sb.Local, marked)
}

func separateRTCP(f *fixture) {
	p := newPair(f, "call")
	rtcpPhone, rtcp := withRTCP(p)
	p.sa.RTCPSinks = []netip.AddrPort{rtcp.Local}
	f.set("call", p.sa, p.sb, rtcp)

	// RTCP that arrives on the RTP port though nobody has agreed on that leaves from the RTCP port.
	report := RTCP(201, "stray")
	p.a.Send(p.sa.Local, report)
	rtcpPhone.Expect(rtcp.Local, report)
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)

	// The RTCP socket takes what is version 2, and learns from it.
	natted := NewPhone(f, loopback4)
	rtcp.Mode = plan.LearnImmediate
	rtcp.Epoch = 2
	f.set("call", p.sa, p.sb, rtcp)
	natted.Send(rtcp.Local, []byte("garbage"))
	natted.Send(rtcp.Local, report)
	p.a.Expect(p.sa.Local, report)
	if got := f.stats(rtcp.Local); got.Remote != natted.Addr() || got.In.Errors != 1 {
		f.Errorf("RTCP stream %+v, want remote %v and one error", got, natted.Addr())
	}
}

func severalSinks(f *fixture) {
	p := newPair(f, "call")
	c := NewPhone(f, loopback4)
	lc := f.reserve(loopback4, 1)[0]
	sc := plan.Stream{Local: lc, Signalled: c.Addr(), Epoch: 1}
	p.sa.RTPSinks = append(p.sa.RTPSinks, lc)
	f.set("call", p.sa, p.sb, sc)
	pkt := p.next()
	p.a.Send(p.sa.Local, pkt)
	p.b.Expect(p.sb.Local, pkt)
	c.Expect(lc, pkt)
}

func refusesWhatIsNotRTP(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	stranger := NewPhone(f, loopback4)
	bad := [][]byte{
		{}, {0}, []byte("\r\n\r\n"), []byte("hello, world, this is no media"),
		RTP(0, 1, "")[:11],
		{0x85, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, // five CSRCs announced, none there
		{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, // STUN
	}
	for _, pkt := range bad {
		stranger.Send(p.sa.Local, pkt)
	}
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	st := f.stats(p.sa.Local)
	if want := uint64(len(bad)); st.In.Errors != want || st.In.Packets != 1 {
		f.Errorf("%d errors and %d packets, want %d and 1", st.In.Errors, st.In.Packets, want)
	}
	if l := f.learned(); l.Remote != p.a.Addr() {
		f.Errorf("learned %v, want %v", l.Remote, p.a.Addr())
	}
}

func opaque(f *fixture) {
	p := newPair(f, "call")
	p.sa.Opaque, p.sa.Mode = true, plan.LearnImmediate
	p.apply()
	fax := []byte{0, 7, 'f', 'a', 'x'}
	natted := NewPhone(f, loopback4)
	natted.Send(p.sa.Local, fax)
	p.b.Expect(p.sb.Local, fax)
	natted.Send(p.sa.Local, nil)
	p.b.Expect(p.sb.Local, nil)
	p.toA(p.b, natted)
}

func blocked(f *fixture) {
	p := newPair(f, "call")
	p.sa.Blocked = true
	p.sa.DTMF = []uint8{101}
	p.apply()
	p.a.Send(p.sa.Local, p.next())
	digit := RTP(101, 7, "5")
	p.a.Send(p.sa.Local, digit)
	p.b.Expect(p.sb.Local, digit)
	p.toA(p.b, p.a)
	if st := f.stats(p.sa.Local); st.In.Packets != 2 || st.In.Errors != 0 {
		f.Errorf("%+v, want 2 packets and no errors", st.In)
	}
	p.sa.Blocked = false
	p.apply()
	p.toB(p.a, p.b)
}

func blockDTMF(f *fixture) {
	p := newPair(f, "call")
	p.sa.BlockDTMF = true
	p.sa.DTMF = []uint8{96, 101}
	p.apply()
	p.a.Send(p.sa.Local, RTP(101, 1, "5"))
	p.a.Send(p.sa.Local, RTP(0x80|96, 2, "5"))
	p.toB(p.a, p.b)
}

func echo(f *fixture) {
	p := newPair(f, "call")
	p.sa.Echo = true
	p.apply()
	pkt := p.next()
	p.a.Send(p.sa.Local, pkt)
	p.a.Expect(p.sa.Local, pkt)
	p.sa.Echo = false
	p.apply()
	p.toB(p.a, p.b)
}

func hold(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	p.sa.Signalled, p.sa.Epoch = netip.AddrPortFrom(netip.IPv4Unspecified(), p.a.Addr().Port()), 2
	p.sa.Learned = p.a.Addr()
	p.apply()
	p.b.Send(p.sb.Local, p.next())
	f.await(p.sb.Local, 2)
	p.toB(p.a, p.b) // a party that put us on hold may still send
	p.sa.Signalled, p.sa.Epoch = p.a.Addr(), 3
	p.apply()
	p.toA(p.b, p.a)
	f.awaitSent(p.sa.Local, 2)
	if st := f.stats(p.sa.Local); st.Out.Packets != 2 || st.Out.Errors != 0 {
		f.Errorf("sent %+v to the party that held, want 2 packets", st.Out)
	}
}

func natWait(f *fixture) {
	p := newPair(f, "call")
	p.sa.NATWait = true
	p.apply()
	p.b.Send(p.sb.Local, p.next())
	f.await(p.sb.Local, 1)
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
}

func pierceNAT(f *fixture) {
	p := newPair(f, "call")
	p.sa.PierceNAT = true
	p.apply()
	probe, from := p.a.Read()
	if len(probe) != 12 || probe[0] != 0x80 || probe[1] != 127 || from != p.sa.Local {
		f.Fatalf("received % x from %v, want a probe from %v", probe, from, p.sa.Local)
	}
	p.a.Read() // and again
	p.toB(p.a, p.b)
	if st := f.stats(p.sa.Local); st.Out.Packets != 0 {
		f.Errorf("probes were counted as media: %+v", st.Out)
	}
}

func asymmetric(f *fixture) {
	p := newPair(f, "call")
	p.sa.Asymmetric, p.sa.Mode = true, plan.LearnImmediate
	p.sa.StrictSource = true
	p.apply()
	sends := NewPhone(f, loopback4)
	p.toB(sends, p.b)
	p.toA(p.b, p.a)
	if st := f.stats(p.sa.Local); st.Remote != p.a.Addr() || !st.Confirmed {
		f.Errorf("%+v, want the signalled address, confirmed", st)
	}
	if l := f.learned(); l.Remote != sends.Addr() {
		f.Errorf("learned %v, want %v", l.Remote, sends.Addr())
	}
	NewPhone(f, loopback4).Send(p.sa.Local, p.next()) // strict: from the source that was learned only
	p.toB(sends, p.b)
}

func noForwardingLoop(f *fixture) {
	// The SDP of B names the relay's own socket of A, so that all that leaves for B would come back.
	p := newPair(f, "call")
	p.sb.Signalled, p.sb.Mode = p.sa.Local, plan.LearnOff
	p.apply()
	p.a.Send(p.sa.Local, p.next())
	f.await(p.sa.Local, 1)
	p.toA(p.b, p.a)
	if st := f.stats(p.sb.Local); st.Out.Packets != 0 {
		f.Errorf("%d packets were sent in a circle", st.Out.Packets)
	}
	// And a socket that is told to send to itself.
	p.sb.Signalled, p.sb.Epoch, p.sb.Echo = p.sb.Local, 2, true
	p.apply()
	p.b.Send(p.sb.Local, p.next())
	f.await(p.sb.Local, 2)
	p.sb.Signalled, p.sb.Epoch, p.sb.Echo = p.b.Addr(), 3, false
	p.apply()
	p.toB(p.a, p.b)
}

func statistics(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mux, p.sa.Mode = true, plan.LearnImmediate
	p.sa.RTCPSinks = p.sa.RTPSinks
	p.apply()
	if st := f.stats(p.sa.Local); st.Remote != p.a.Addr() || st.Confirmed || st.LastPacket != 0 || st.IngressSSRC.Seen {
		f.Errorf("before the first packet: %+v", st)
	}
	first := RTP(0, 41, "audio")
	first[11] = 0x11 // another source
	for _, pkt := range [][]byte{first, RTP(0, 42, "audio"), RTCP(200, "report"), RTP(0, 43, "audio")} {
		p.a.Send(p.sa.Local, pkt)
		p.b.Expect(p.sb.Local, pkt)
	}
	// The last packet's way out is counted after it has arrived: let one more go the other way on the same thread.
	p.toA(p.b, p.a)
	want := plan.SSRC{SSRC: 0xcafebabe, Seen: true, Packets: 2, Bytes: 34, LastTimestamp: 43, LastSeq: 43}
	in, out := f.stats(p.sa.Local), f.stats(p.sb.Local)
	if r := in.IngressSSRC.Received; r != (plan.Reception{Counted: true}) || in.Received != r {
		f.Errorf("reception %+v, of the stream %+v, want nothing irregular", r, in.Received)
	}
	in.IngressSSRC.Received = plan.Reception{} // what is sent has none
	if in.In != (plan.Counters{Packets: 4, Bytes: 65}) || in.IngressSSRC != want {
		f.Errorf("received %+v %+v, want 4 packets of 65 bytes and %+v", in.In, in.IngressSSRC, want)
	}
	if out.Out != (plan.Counters{Packets: 4, Bytes: 65}) || out.EgressSSRC != want {
		f.Errorf("sent %+v %+v, want 4 packets of 65 bytes and %+v", out.Out, out.EgressSSRC, want)
	}
	if in.LastPacket == 0 || !in.Confirmed || in.Remote != p.a.Addr() {
		f.Errorf("%+v, want a time and a confirmed address", in)
	}
}

func totals(f *fixture) {
	p := newPair(f, "call")
	p.apply()
	p.a.Send(p.sa.Local, []byte("noise"))
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	f.Drop("call")
	// An order behind the last packet: the sums are published by then.
	q := newPair(f, "another call")
	q.apply()
	q.toB(q.a, q.b)
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}
	got := f.Totals()
	if got.In != (plan.Counters{Packets: 3, Bytes: 51, Errors: 1}) || got.Out != (plan.Counters{Packets: 3, Bytes: 51}) {
		f.Errorf("in %+v, out %+v, want 3 packets and 51 bytes each, and one error in", got.In, got.Out)
	}
}
