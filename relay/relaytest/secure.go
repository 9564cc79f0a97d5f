package relaytest

import (
	"net/netip"
	"strings"

	"rtpjet/relay"
	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

var suites = []string{
	"AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_192_CM_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_32",
	"AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM",
	"F8_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_32", "NULL_HMAC_SHA1_80", "NULL_HMAC_SHA1_32",
}

// keys are SRTP keys that differ by their seed.
func keys(suite, seed string) *plan.SRTP {
	key, salt, _ := srtp.Lengths(suite)
	return &plan.SRTP{Suite: suite, Key: strings.Repeat(seed, key)[:key], Salt: strings.Repeat(seed, salt)[:salt]}
}

// lock is a party's end of SRTP.
type lock struct {
	f    *fixture
	out  *srtp.Sender   // what the party sends
	back *srtp.Receiver // what it receives
}

// secure has a stream encrypt both ways under keys of its own and returns the party's end.
func secure(f *fixture, suite, seed string, streams ...*plan.Stream) *lock {
	f.Helper()
	in, out := keys(suite, seed+"in"), keys(suite, seed+"out")
	for _, st := range streams {
		st.Decrypt, st.Encrypt = in, out
	}
	return newLock(f, in, out)
}

func newLock(f *fixture, in, out *plan.SRTP) *lock {
	f.Helper()
	l := &lock{f: f}
	var err error
	if l.out, err = srtp.NewSender(in); err != nil {
		f.Fatal(err)
	}
	if l.back, err = srtp.NewReceiver(out, nil); err != nil {
		f.Fatal(err)
	}
	return l
}

func (l *lock) seal(pkt []byte) []byte {
	l.f.Helper()
	if l == nil {
		return pkt
	}
	sealed, _, err := l.out.Protect(nil, pkt)
	if err != nil {
		l.f.Fatal(err)
	}
	return sealed
}

// expect reads one packet at phone, which must be want once it is opened.
func (l *lock) expect(phone *Phone, from netip.AddrPort, want []byte) {
	l.f.Helper()
	got, src := phone.Read()
	if src != from {
		l.f.Fatalf("%v received a packet from %v, want from %v", phone.Addr(), src, from)
	}
	opened, _, err := l.back.Unprotect(nil, got)
	if err != nil || string(opened) != string(want) {
		l.f.Fatalf("received % x, which opens as % x, %v, want % x", got, opened, err, want)
	}
}

func secureSuites(f *fixture) {
	p := newPair(f, "call")
	for i, a := range suites {
		for k := range suites[:i+1] {
			b := suites[k]
			la := secure(f, a, "a"+a+b, &p.sa)
			lb := secure(f, b, "b"+a+b, &p.sb)
			p.apply()
			for range 2 {
				pkt := p.next()
				p.a.Send(p.sa.Local, la.seal(pkt))
				lb.expect(p.b, p.sb.Local, pkt)
				p.b.Send(p.sb.Local, lb.seal(pkt))
				la.expect(p.a, p.sa.Local, pkt)
			}
		}
	}
}

func secureToPlain(f *fixture) {
	for _, suite := range suites {
		p := newPair(f, "call "+suite)
		l := secure(f, suite, "key", &p.sa)
		p.apply()
		for range 3 {
			pkt := p.next()
			p.a.Send(p.sa.Local, l.seal(pkt))
			p.b.Expect(p.sb.Local, pkt)
			p.b.Send(p.sb.Local, pkt)
			l.expect(p.a, p.sa.Local, pkt)
		}
	}
}

// secureRTCP has A use one port for both and B two.
func secureRTCP(f *fixture) {
	p := newPair(f, "call")
	rtcpPhone, rtcp := withRTCP(p)
	p.sa.Mux = true
	p.sa.RTCPSinks = []netip.AddrPort{rtcp.Local}
	la := secure(f, "AES_CM_128_HMAC_SHA1_80", "a", &p.sa)
	lb := secure(f, "AEAD_AES_256_GCM", "b", &p.sb, &rtcp)
	f.set("call", p.sa, p.sb, rtcp)
	for range 3 {
		pkt, report := p.next(), RTCP(200, "report")
		p.a.Send(p.sa.Local, la.seal(report))
		lb.expect(rtcpPhone, rtcp.Local, report)
		p.a.Send(p.sa.Local, la.seal(pkt))
		lb.expect(p.b, p.sb.Local, pkt)
		rtcpPhone.Send(rtcp.Local, lb.seal(report))
		la.expect(p.a, p.sa.Local, report)
	}
	// On the RTP port though nobody has agreed on that any more: it leaves from the RTCP port.
	p.sa.Mux = false
	f.set("call", p.sa, p.sb, rtcp)
	report := append(packet(201, 1, 2, 3, 4, 5, 6, 7), packet(202, 1, 0x01026162, 0)...)
	p.a.Send(p.sa.Local, la.seal(report))
	lb.expect(rtcpPhone, rtcp.Local, report)
	// RTCP that leaves from the RTP port must not use an index that the other port has used.
	p.sa.RTCPSinks = p.sa.RTPSinks
	f.set("call", p.sa, p.sb, rtcp)
	p.a.Send(p.sa.Local, la.seal(report))
	lb.expect(p.b, p.sb.Local, report)
}

func secureTeachesNothingForged(f *fixture) {
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	l := secure(f, "AES_CM_128_HMAC_SHA1_80", "key", &p.sa)
	p.apply()
	stranger := NewPhone(f, loopback4)
	forged := newLock(f, keys("AES_CM_128_HMAC_SHA1_80", "other"), p.sa.Encrypt)
	bad := [][]byte{
		forged.seal(p.next()), forged.seal(RTCP(200, "report")), p.next(), RTCP(200, "report"), RTP(0, 1, ""),
		append([]byte{22, 254, 253}, make([]byte, 60)...), // DTLS, which has no place here
	}
	for _, pkt := range bad {
		stranger.Send(p.sa.Local, pkt)
	}
	pkt := p.next()
	sealed := l.seal(pkt)
	p.a.Send(p.sa.Local, sealed)
	p.b.Expect(p.sb.Local, pkt)
	stranger.Send(p.sa.Local, sealed) // replayed
	pkt = p.next()
	p.a.Send(p.sa.Local, l.seal(pkt))
	p.b.Expect(p.sb.Local, pkt)
	p.b.Send(p.sb.Local, pkt)
	l.expect(p.a, p.sa.Local, pkt)
	st := f.stats(p.sa.Local)
	if want := uint64(len(bad) + 1); st.In.Errors != want || st.In.Packets != 2 || st.Remote != p.a.Addr() {
		f.Errorf("%+v, want %d errors, 2 packets and remote %v", st, want, p.a.Addr())
	}
	if st.In.Bytes != uint64(2*len(sealed)) {
		f.Errorf("%d bytes received, want %d, as they arrived", st.In.Bytes, 2*len(sealed))
	}
	if l := f.learned(); l.Remote != p.a.Addr() {
		f.Errorf("learned %v, want %v", l.Remote, p.a.Addr())
	}
	if in, _ := f.Rollovers(p.sa.Local); len(in) != 1 {
		f.Errorf("sources %+v, want one", in)
	}
}

func secureFork(f *fixture) {
	// B is plain, C and D are branches with the same key, E has another.
	p := newPair(f, "call")
	phones := map[string]*Phone{}
	streams := map[string]*plan.Stream{}
	for _, name := range []string{"c", "e", "d"} {
		phones[name] = NewPhone(f, loopback4)
		streams[name] = &plan.Stream{Local: f.reserve(loopback4, 1)[0], Signalled: phones[name].Addr(), Epoch: 1}
		p.sa.RTPSinks = append(p.sa.RTPSinks, streams[name].Local)
	}
	shared, other := keys("AEAD_AES_128_GCM", "shared"), keys("AES_192_CM_HMAC_SHA1_80", "other")
	streams["c"].Encrypt, streams["d"].Encrypt, streams["e"].Encrypt = shared, shared, other
	f.set("call", p.sa, p.sb, *streams["c"], *streams["d"], *streams["e"])
	locks := map[string]*lock{"c": newLock(f, shared, shared), "d": newLock(f, shared, shared), "e": newLock(f, other, other)}
	for range 3 {
		pkt := p.next()
		p.a.Send(p.sa.Local, pkt)
		p.b.Expect(p.sb.Local, pkt)
		for name, l := range locks {
			l.expect(phones[name], streams[name].Local, pkt)
		}
	}
}

func secureNewKeys(f *fixture) {
	p := newPair(f, "call")
	first := secure(f, "AES_CM_128_HMAC_SHA1_80", "first", &p.sa)
	p.apply()
	there := func(l *lock) {
		f.Helper()
		pkt := p.next()
		p.a.Send(p.sa.Local, l.seal(pkt))
		p.b.Expect(p.sb.Local, pkt)
		p.b.Send(p.sb.Local, pkt)
		l.expect(p.a, p.sa.Local, pkt)
	}
	there(first)
	pkt := p.next()
	recorded := first.seal(pkt)
	p.a.Send(p.sa.Local, recorded)
	p.b.Expect(p.sb.Local, pkt)

	// The same keys in another plan: what was received is not received again.
	in, out := *p.sa.Decrypt, *p.sa.Encrypt
	in.Rollovers, p.sa.Decrypt, p.sa.Encrypt, p.sa.Epoch = []plan.Rollover{{SSRC: 9}}, &in, &out, 2
	p.apply()
	p.a.Send(p.sa.Local, recorded)
	there(first)
	if st := f.stats(p.sa.Local); st.In.Errors != 1 {
		f.Errorf("%+v, want one error", st.In)
	}

	// Other keys.
	second := secure(f, "AEAD_AES_256_GCM", "second", &p.sa)
	p.sa.Epoch = 3
	p.apply()
	p.a.Send(p.sa.Local, first.seal(p.next()))
	there(second)

	// None any more, and the first ones again: what is sent must not begin anew.
	p.sa.Decrypt, p.sa.Encrypt, p.sa.Epoch = nil, nil, 4
	p.apply()
	p.toB(p.a, p.b)
	p.toA(p.b, p.a)
	p.sa.Decrypt, p.sa.Encrypt, p.sa.Epoch = &in, &out, 5
	p.apply()
	there(first)
}

func securePassesThrough(f *fixture) {
	p := newPair(f, "call")
	p.sa.RTCPSinks = p.sa.RTPSinks
	p.apply()
	end := keys("AES_CM_128_HMAC_SHA1_80", "end to end")
	l := newLock(f, end, end)
	for _, pkt := range [][]byte{p.next(), RTCP(200, "report")} {
		sealed := l.seal(pkt)
		p.a.Send(p.sa.Local, sealed)
		p.b.Expect(p.sb.Local, sealed)
	}
}

func secureDTMF(f *fixture) {
	p := newPair(f, "call")
	p.sa.BlockDTMF, p.sa.DTMF = true, []uint8{101}
	la := secure(f, "AES_CM_128_HMAC_SHA1_32", "a", &p.sa)
	lb := secure(f, "AEAD_AES_128_GCM", "b", &p.sb)
	p.apply()
	p.a.Send(p.sa.Local, la.seal(RTP(101, 1, "5")))
	p.a.Send(p.sa.Local, la.seal(RTP(0, 2, "audio")))
	lb.expect(p.b, p.sb.Local, RTP(0, 2, "audio"))
	p.sa.BlockDTMF, p.sa.Blocked = false, true
	p.apply()
	p.a.Send(p.sa.Local, la.seal(RTP(0, 3, "audio")))
	p.a.Send(p.sa.Local, la.seal(RTP(101, 4, "5")))
	lb.expect(p.b, p.sb.Local, RTP(101, 4, "5"))
	p.sa.Blocked, p.sa.Echo = false, true
	p.apply()
	p.a.Send(p.sa.Local, la.seal(RTP(0, 5, "audio")))
	la.expect(p.a, p.sa.Local, RTP(0, 5, "audio"))
	if st := f.stats(p.sa.Local); st.In.Packets != 5 || st.In.Errors != 0 {
		f.Errorf("%+v, want 5 packets and no errors", st.In)
	}
}

func secureBadKeys(f *fixture) {
	p := newPair(f, "call")
	p.sa.Decrypt, p.sb.Decrypt = &plan.SRTP{Suite: "F8_192_HMAC_SHA1_80"}, nil
	p.sa.Encrypt = &plan.SRTP{Suite: "AEAD_AES_128_GCM", Key: "short"}
	if err := f.Set("call", []plan.Stream{p.sa, p.sb}); err == nil {
		f.Error("a plan with unusable keys has no error")
	}
	p.a.Send(p.sa.Local, p.next())
	p.b.Send(p.sb.Local, p.next())
	f.awaitStats(p.sa.Local, "refused", 1, func(st plan.Stats) uint64 { return st.In.Errors })
	f.awaitStats(p.sa.Local, "not sent", 1, func(st plan.Stats) uint64 { return st.Out.Errors })
	p.sa.Decrypt, p.sa.Encrypt = nil, nil
	p.apply()
	p.toB(p.a, p.b) // and nothing before it
	p.toA(p.b, p.a)
	if st := f.stats(p.sa.Local); st.In.Errors != 1 || st.Out.Errors != 1 {
		f.Errorf("%+v, want one error each way", st)
	}
}

// secureCrossings also restarts the engine behind a wrap.
func secureCrossings(f *fixture) {
	p := newPair(f, "call")
	l := secure(f, "AES_CM_128_HMAC_SHA1_80", "key", &p.sa)
	p.apply()
	p.sequence = 0x7ff0
	there := func() {
		f.Helper()
		pkt := p.next()
		p.a.Send(p.sa.Local, l.seal(pkt))
		p.b.Expect(p.sb.Local, pkt)
		p.b.Send(p.sb.Local, pkt)
		l.expect(p.a, p.sa.Local, pkt)
	}
	known := map[bool]plan.Rollover{}
	news := func(index int) {
		f.Helper()
		for range 2 {
			c := <-p.Crossed()
			want := plan.Rollover{SSRC: 0xcafebabe, ROC: uint32(index >> 16), Seq: uint16(index)}
			known[c.Out] = c.Rollover
			c.Index = 0 // there is no RTCP
			if c.Call != "call" || c.Local != p.sa.Local || c.Epoch != 1 || c.Rollover != want {
				f.Errorf("reported %+v, want %+v", c, want)
			}
		}
		if len(known) != 2 {
			f.Errorf("reported %+v, want both directions", known)
		}
	}
	there()
	news(0x7ff1)
	for p.sequence < 0x8010 {
		there()
	}
	news(0x8000)
	p.sequence = 0xfff8
	for p.sequence != 0x10 {
		there()
	}
	news(0x10000)
	in, out := p.Rollovers(p.sa.Local)
	want := plan.Rollover{SSRC: 0xcafebabe, ROC: 1, Seq: 0x10}
	if len(in) != 1 || in[0] != want || len(out) != 1 || out[0] != want {
		f.Errorf("rollovers %+v and %+v, want %+v", in, out, want)
	}
	if in, out := p.Rollovers(p.sb.Local); in != nil || out != nil {
		f.Errorf("rollovers %+v and %+v of a plain stream", in, out)
	}

	// The next process knows what was reported.
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}
	for range f.Crossed() { // closed, too
	}
	p.fixture = f.another(relay.Config{})
	resumed := func(s *plan.SRTP, r plan.Rollover) *plan.SRTP {
		again := *s
		again.Rollovers = []plan.Rollover{r}
		return &again
	}
	p.sa.Decrypt, p.sa.Encrypt = resumed(p.sa.Decrypt, known[false]), resumed(p.sa.Encrypt, known[true])
	p.apply()
	for range 3 {
		there()
	}
	p.sequence = 0x7ff8
	for p.sequence != 0x8008 {
		there()
	}
	news(0x18000)
}
