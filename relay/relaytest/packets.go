package relaytest

import (
	"encoding/binary"
	"net/netip"
	"time"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// loopCheck: a packet that comes again and again stops going round, and others go on.
func loopCheck(f *fixture) {
	p := newPair(f, "call")
	p.sa.LoopCheck = true
	p.apply()
	stopped := func() uint64 {
		for range 2 { // what a thread has counted is there when it has answered and gone on
			if err := f.Answers(f.Context()); err != nil {
				f.Fatal(err)
			}
		}
		return f.Totals().Shed[relay.ShedLoop]
	}
	// A second that goes by in the middle lets packets pass; then it has to be tried again.
	sent := uint64(0)
	for start := time.Now(); stopped() == 0; {
		pkt := p.next()
		for range 31 {
			p.a.Send(p.sa.Local, pkt)
			p.b.Expect(p.sb.Local, pkt)
		}
		p.a.Send(p.sa.Local, pkt)
		sent += 32
		f.await(p.sa.Local, sent)
		if time.Since(start) > patience {
			f.Fatal("a packet went round for ever")
		}
		if stopped() == 0 {
			p.b.Expect(p.sb.Local, pkt)
		}
	}
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)

	// Without the mark it is nobody's business.
	p.sa.LoopCheck = false
	p.apply()
	pkt := p.next()
	for range 40 {
		p.a.Send(p.sa.Local, pkt)
		p.b.Expect(p.sb.Local, pkt)
	}
}

// echoUnheard: what comes from an address that teaches nothing is echoed to the address of the SDP.
func echoUnheard(f *fixture) {
	p := newPair(f, "call")
	p.sa.Echo, p.sa.MayLearn = true, false
	p.apply()
	other := NewPhone(f, loopback4)
	pkt := p.next()
	other.Send(p.sa.Local, pkt)
	p.a.Expect(p.sa.Local, pkt)
}

// extended is an RTP packet with header extensions of the one-byte form: id 1 is "a", id 2 is "bb", id 3 is "c", but for those left out.
func extended(seq uint16, without ...uint8) []byte {
	pkt := RTP(0, seq, "")
	elements := map[uint8]string{1: "a", 2: "bb", 3: "c"}
	for _, id := range without {
		delete(elements, id)
	}
	var body []byte
	for id := uint8(1); id <= 3; id++ {
		if v := elements[id]; v != "" {
			body = append(append(body, id<<4|uint8(len(v)-1)), v...)
		}
	}
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	if len(body) > 0 {
		pkt[0] |= 0x10
		pkt = append(pkt, 0xbe, 0xde, 0, byte(len(body)/4))
	}
	return append(append(pkt, body...), "payload"...)
}

func maskExtensions(f *fixture) {
	p := newPair(f, "call")
	for i, masked := range [][]uint8{nil, {2}, {1, 3}, {1, 2, 3}, {4, 200}} {
		p.sa.MaskExtensions = masked
		p.apply()
		p.a.Send(p.sa.Local, extended(uint16(i)))
		p.b.Expect(p.sb.Local, extended(uint16(i), masked...))
		p.b.Send(p.sb.Local, extended(uint16(i)))
		p.a.Expect(p.sa.Local, extended(uint16(i)))
		p.toB(p.a, p.b)
	}
}

// maskExtensionsSecure: header extensions are authenticated, so they are deleted before a packet is protected again.
func maskExtensionsSecure(f *fixture) {
	p := newPair(f, "call")
	la := secure(f, "AES_CM_128_HMAC_SHA1_80", "a", &p.sa)
	lb := secure(f, "AEAD_AES_256_GCM", "b", &p.sb)
	p.sa.MaskExtensions = []uint8{1, 2}
	p.apply()
	p.a.Send(p.sa.Local, la.seal(extended(1)))
	lb.expect(p.b, p.sb.Local, extended(1, 1, 2))
	p.sa.MaskExtensions = []uint8{1, 2, 3}
	p.apply()
	p.a.Send(p.sa.Local, la.seal(extended(2)))
	lb.expect(p.b, p.sb.Local, extended(2, 1, 2, 3))
}

// packet is an RTCP packet of one type, as long as it says.
func packet(pt uint8, words ...uint32) []byte {
	pkt := []byte{0x81, pt, 0, byte(len(words))}
	for _, w := range words {
		pkt = binary.BigEndian.AppendUint32(pkt, w)
	}
	return pkt
}

func compound(packets ...[]byte) (pkt []byte) {
	for _, p := range packets {
		pkt = append(pkt, p...)
	}
	return pkt
}

var (
	report   = packet(201, 1, 2, 3, 4, 5, 6, 7)
	names    = packet(202, 1, 0x01026162, 0)
	nack     = packet(205, 1, 2, 3)
	pli      = packet(206, 1, 2)
	extras   = packet(207, 1, 0x04000002, 5, 6) // XR
	bye      = packet(203, 1)
	filtered = []struct{ sent, want []byte }{
		{compound(report, names), compound(report, names)},
		{compound(report, nack, names, pli), compound(report, names)},
		{nack, nil},
		{compound(pli, nack), nil},
		{compound(pli, report), report},
		{compound(report, extras, bye, pli), compound(report, extras, bye)},
	}
)

// noFeedback: a party that knows no feedback gets the rest of a compound packet, and nothing if there is no rest.
func noFeedback(f *fixture) {
	p := newPair(f, "call")
	c := NewPhone(f, loopback4) // hears the same and knows it
	sc := plan.Stream{Local: f.reserve(loopback4, 1)[0], Signalled: c.Addr(), Epoch: 1, Mux: true}
	p.sa.Mux, p.sb.Mux = true, true
	p.sa.RTPSinks = append(p.sa.RTPSinks, sc.Local)
	p.sa.RTCPSinks = p.sa.RTPSinks
	p.sb.RTCPSinks = p.sb.RTPSinks
	p.sb.NoFeedback = true
	f.set("call", p.sa, p.sb, sc)
	for _, v := range filtered {
		p.a.Send(p.sa.Local, v.sent)
		c.Expect(sc.Local, v.sent)
		if v.want != nil {
			p.b.Expect(p.sb.Local, v.want)
		}
		p.b.Send(p.sb.Local, v.sent)
		p.a.Expect(p.sa.Local, v.sent)
	}
	pkt := p.next()
	p.a.Send(p.sa.Local, pkt)
	p.b.Expect(p.sb.Local, pkt)
}

// noFeedbackSecure: two parties with one sender of SRTCP, of which one knows no feedback, and none gets the packet of the other.
func noFeedbackSecure(f *fixture) {
	p := newPair(f, "call")
	c := NewPhone(f, loopback4)
	sc := plan.Stream{Local: f.reserve(loopback4, 1)[0], Signalled: c.Addr(), Epoch: 1, Mux: true}
	p.sa.Mux, p.sb.Mux = true, true
	p.sa.RTPSinks = []netip.AddrPort{p.sb.Local, sc.Local}
	p.sa.RTCPSinks = p.sa.RTPSinks
	p.sb.NoFeedback = true
	lb := secure(f, "AES_CM_128_HMAC_SHA1_80", "b", &p.sb, &sc)
	lc := newLock(f, sc.Decrypt, sc.Encrypt)
	f.set("call", p.sa, p.sb, sc)
	for _, v := range filtered {
		p.a.Send(p.sa.Local, v.sent)
		lc.expect(c, sc.Local, v.sent)
		if v.want != nil {
			lb.expect(p.b, p.sb.Local, v.want)
		}
	}
}
