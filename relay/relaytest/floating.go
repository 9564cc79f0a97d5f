package relaytest

import (
	"errors"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// floating opens an engine on which 127.0.0.1 floats and 127.0.0.2 does not.
func (f *fixture) floating() *fixture {
	f.Helper()
	return f.another(relay.Config{Pools: []relay.Pool{
		{Addr: loopback4, Min: 20000, Max: 29999, Floating: true}, {Addr: loopback4.Next(), Min: 20000, Max: 29999},
	}})
}

// permit lets addresses float for the rest of the test.
func (f *fixture) permit(addrs ...netip.Addr) { f.Permit(time.Now().Add(time.Hour), addrs...) }

// refused sends a packet to local and returns once it was refused; it is the n-th.
func (f *fixture) refused(from *Phone, local netip.AddrPort, pkt []byte, n uint64) {
	f.Helper()
	before := f.stats(local).In
	from.Send(local, pkt)
	f.awaitStats(local, "refused", n, func(st plan.Stats) uint64 { return st.In.Errors })
	if after := f.stats(local).In; after.Packets != before.Packets || after.Bytes != before.Bytes {
		f.Errorf("received %+v, then %+v: a packet that was not permitted was counted as received", before, after)
	}
}

func floatingPermit(f *fixture) {
	f = f.floating()
	p := newPair(f, "call")
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	stranger, natted := NewPhone(f, loopback4), NewPhone(f, loopback4)
	p.refused(stranger, p.sa.Local, p.next(), 1)
	f.permit(loopback4)
	p.toB(natted, p.b) // the first that arrives there, and it is not from the stranger that has been learned
	p.toA(p.b, natted)
	if l := f.learned(); l.Remote != natted.Addr() {
		f.Errorf("learned %v, want %v", l.Remote, natted.Addr())
	}
	f.Permit(time.Time{}, loopback4)
	p.refused(natted, p.sa.Local, p.next(), 2)
	p.refused(p.b, p.sb.Local, p.next(), 1)
	f.permit(loopback4)
	p.toB(natted, p.b)
	p.toA(p.b, natted)
	f.Drop("call")
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}
	if got := f.Totals(); got.In.Packets != 4 || got.In.Errors != 3 || got.Calls != 0 {
		f.Errorf("%+v, want 4 packets and 3 errors", got)
	}
}

func floatingDeadline(f *fixture) {
	f = f.floating()
	p := newPair(f, "call")
	p.apply()
	f.permit(loopback4)
	p.toB(p.a, p.b)
	f.Permit(time.Now().Add(-time.Nanosecond), loopback4)
	p.refused(p.a, p.sa.Local, p.next(), 1)

	// One that passes while packets flow.
	until := time.Now().Add(20 * time.Millisecond)
	f.Permit(until, loopback4)
	for start := time.Now(); f.stats(p.sa.Local).In.Errors == 1; runtime.Gosched() {
		if time.Since(start) > patience {
			f.Fatal("packets are forwarded after the deadline")
		}
		p.a.Send(p.sa.Local, p.next())
	}
	if early := time.Until(until); early > 0 {
		f.Errorf("a packet was refused %v before the deadline", early)
	}
}

// floatingAndFixed has party A on an address that floats and B on one that does not.
func floatingAndFixed(f *fixture) {
	fixed := loopback4.Next()
	NewPhone(f, fixed) // or skip
	f = f.floating()
	p := newPairOn(f, "call", loopback4, fixed)
	other := newPairOn(f, "other", fixed, fixed)
	p.apply()
	other.apply()
	f.Permit(time.Now().Add(-time.Hour), fixed, netip.MustParseAddr("203.0.113.9"), netip.Addr{})
	other.toB(other.a, other.b)
	other.toA(other.b, other.a)

	p.b.Send(p.sb.Local, p.next())
	f.awaitStats(p.sa.Local, "not sent", 1, func(st plan.Stats) uint64 { return st.Out.Errors })
	p.refused(p.a, p.sa.Local, p.next(), 1)
	f.permit(loopback4)
	p.toA(p.b, p.a)
	p.toB(p.a, p.b)
	if st := f.stats(p.sb.Local); st.In.Packets != 2 || st.In.Errors != 0 {
		f.Errorf("%+v, want 2 packets: the address does not float", st.In)
	}
}

// floatingAbsent has party B on an address that the machine does not have.
func floatingAbsent(f *fixture) {
	if runtime.GOOS != "linux" {
		f.Skip("only Linux binds to addresses that are not there")
	}
	fixed := loopback4.Next()
	for _, away := range []netip.Addr{netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("2001:db8::77")} {
		f := f.another(relay.Config{Pools: []relay.Pool{
			{Addr: away, Min: 20000, Max: 20003, Floating: true}, {Addr: fixed, Min: 20000, Max: 29999},
		}})
		locals, err := f.Reserve(away, 2)
		if errors.Is(err, syscall.EAFNOSUPPORT) {
			continue // a machine without IPv6
		}
		if err != nil {
			f.Fatal(err)
		}
		p := newPairOn(f, "call", fixed, fixed)
		p.sa.RTPSinks = []netip.AddrPort{locals[0]}
		p.sb = plan.Stream{Local: locals[0], Signalled: p.b.Addr(), Epoch: 1}
		if away.Is6() {
			p.sb.Signalled = NewPhone(f, loopback6).Addr()
		}
		bound := plan.Stream{Local: netip.AddrPortFrom(away, locals[0].Port()^2)}
		f.set("call", p.sa, p.sb, bound) // one is reserved, one is bound by Set
		p.a.Send(p.sa.Local, p.next())
		f.awaitStats(p.sb.Local, "not sent", 1, func(st plan.Stats) uint64 { return st.Out.Errors })
		if away.Is4() { // under IPv6, Linux sends from an address that is not its own
			f.permit(away)
			p.a.Send(p.sa.Local, p.next())
			f.awaitStats(p.sb.Local, "not sent", 2, func(st plan.Stats) uint64 { return st.Out.Errors })
		}
		if got := f.Totals().Pools[0]; got.Used != 4 || got.Total != 4 {
			f.Errorf("pool %+v, want 4 ports in use", got)
		}
		f.Drop("call")
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		if got := f.Totals(); got.Pools[0].Resting != 2 || got.Out.Packets != 0 {
			f.Errorf("%+v, want a pair at rest and nothing sent", got)
		}
	}
}

func floatingProbes(f *fixture) {
	f = f.floating()
	p := newPair(f, "call")
	p.sa.PierceNAT = true
	p.apply()
	p.refused(p.b, p.sb.Local, p.next(), 1) // the thread has seen the order to probe by now
	f.permit(loopback4)
	if probe, from := p.a.Read(); len(probe) != 12 || probe[1] != 127 || from != p.sa.Local {
		f.Fatalf("received % x from %v, want a probe from %v", probe, from, p.sa.Local)
	}
	p.toB(p.a, p.b)
}

// floatingWarm: what a call that waits has been told last is what counts.
func floatingWarm(f *fixture) {
	f = f.floating()
	p := newPair(f, "call")
	first, second := NewPhone(f, loopback4), NewPhone(f, loopback4)
	p.apply()
	for i, known := range []*Phone{first, second, first, second} {
		p.refused(p.b, p.sb.Local, p.next(), uint64(i+1))
		p.sa.Learned, p.sa.Confirmed = known.Addr(), i == 3
		p.apply()
		if st := f.stats(p.sa.Local); st.Remote != known.Addr() || st.Confirmed != p.sa.Confirmed {
			f.Errorf("%+v, want remote %v", st, known.Addr())
		}
	}
	f.permit(loopback4)
	p.toA(p.b, second)
	first.Send(p.sa.Local, p.next())
	f.strangers(1)
	p.toA(p.b, second) // it is confirmed

	// From now on what its own packets teach is newer than a plan of the same epoch.
	p.sa.Learned, p.sa.Confirmed = first.Addr(), false
	p.apply()
	p.toA(p.b, second)
}

// knowing are the same keys with what is known of the source that all packets here are of.
func knowing(p *plan.SRTP, r plan.Rollover) *plan.SRTP {
	again := *p
	r.SSRC = 0xcafebabe
	again.Rollovers = []plan.Rollover{r}
	return &again
}

// warmSecure is a call that encrypts with A and waits, behind plans that know more and more. The party is where the last says.
func warmSecure(f *fixture) (*pair, *lock) {
	f.Helper()
	p := newPair(f, "call")
	p.sa.Mux, p.sa.RTCPSinks, p.sb.Mux, p.sb.RTCPSinks = true, p.sa.RTPSinks, true, p.sb.RTPSinks
	in, out := keys("AES_CM_128_HMAC_SHA1_80", "in"), keys("AEAD_AES_128_GCM", "out")
	p.sa.Decrypt, p.sa.Encrypt = in, out
	p.apply()
	var last plan.Rollover
	for i := range uint32(3) {
		last = plan.Rollover{ROC: 4 * (i + 1), Seq: 0x8000, Index: 5000 * (i + 1)}
		p.sa.Decrypt, p.sa.Encrypt = knowing(in, last), knowing(out, last)
		p.apply()
		p.refused(p.a, p.sa.Local, p.next(), uint64(i+1))
	}
	p.sequence = last.Seq + 10
	// A party that sends and receives under lower indices is not understood.
	return p, newLock(f, knowing(in, last), knowing(out, last))
}

// bothWays sends RTP and RTCP in both directions.
func (p *pair) bothWays(l *lock) {
	p.Helper()
	for _, pkt := range [][]byte{p.next(), RTCP(200, "report")} {
		p.a.Send(p.sa.Local, l.seal(pkt))
		p.b.Expect(p.sb.Local, pkt)
		p.b.Send(p.sb.Local, pkt)
		l.expect(p.a, p.sa.Local, pkt)
	}
}

func floatingWarmSecure(f *fixture) {
	f = f.floating()
	p, l := warmSecure(f)
	f.permit(loopback4)
	for range 3 {
		p.bothWays(l)
	}
	// Over the wrap and on, whatever later plans knew.
	p.sequence = 0xfffd
	for range 5 {
		p.bothWays(l)
	}
	p.sa.Epoch++
	p.apply()
	p.bothWays(l)
	if in, out := f.Rollovers(p.sa.Local); len(in) != 1 || in[0].ROC != 13 || len(out) != 1 || out[0].ROC != 13 {
		f.Errorf("rollovers %+v and %+v, want 13", in, out)
	}
}

// floatingNewKeys: where the old key's counter was is still known when a plan comes a second time under the new one.
func floatingNewKeys(f *fixture) {
	f = f.floating()
	p, _ := warmSecure(f)
	before := p.sa.Decrypt.Rollovers[0]
	in, out := keys("AES_CM_128_HMAC_SHA1_80", "next in"), keys("AEAD_AES_128_GCM", "next out")
	p.sa.Decrypt, p.sa.Encrypt = in, out
	for range 3 {
		p.sa.Epoch++
		p.apply()
	}
	f.permit(loopback4)
	l := newLock(f, knowing(in, before), out) // the party's counter went on over the change of keys
	for range 3 {
		pkt := p.next()
		p.a.Send(p.sa.Local, l.seal(pkt))
		p.b.Expect(p.sb.Local, pkt)
		p.b.Send(p.sb.Local, pkt)
		l.expect(p.a, p.sa.Local, pkt)
	}
}

// floatingLapse: a call that has carried packets goes on where it was when the permission comes back, plans or not.
func floatingLapse(f *fixture) {
	f = f.floating()
	p, l := warmSecure(f)
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	f.permit(loopback4)
	natted := NewPhone(f, loopback4)
	pkt := p.next()
	recorded := l.seal(pkt)
	natted.Send(p.sa.Local, recorded)
	p.b.Expect(p.sb.Local, pkt)
	p.a = natted
	p.bothWays(l)
	before := f.stats(p.sa.Local)
	lapse := func(n uint64) {
		f.Permit(time.Time{}, loopback4)
		p.refused(NewPhone(f, loopback4), p.sa.Local, l.seal(p.next()), n)
	}
	lapse(4)
	f.permit(loopback4)
	p.bothWays(l)

	lapse(5)
	p.sa.Epoch++ // a plan that knows less than the packets have taught
	p.apply()
	f.permit(loopback4)
	natted.Send(p.sa.Local, recorded)
	p.bothWays(l)
	after := f.stats(p.sa.Local)
	if after.In.Packets != before.In.Packets+4 || after.In.Errors != 6 || after.Remote != natted.Addr() {
		f.Errorf("%+v after two lapses, was %+v; want 4 packets more, 6 errors, 1 of them a replay", after, before)
	}
}

// floatingDrop: who loses an address and is to be its successor drops the call and waits anew.
func floatingDrop(f *fixture) {
	f = f.floating()
	p, l := warmSecure(f)
	fresh := []plan.Stream{p.sa, p.sb}
	p.sa.Mode = plan.LearnImmediate
	p.apply()
	f.permit(loopback4)
	p.a = NewPhone(f, loopback4)
	p.bothWays(l)
	f.Permit(time.Time{}, loopback4)
	p.refused(p.a, p.sa.Local, l.seal(p.next()), 4)
	f.Drop("call")

	away := NewPhone(f, loopback4) // where the next holder has found A
	in, out := *fresh[0].Decrypt, *fresh[0].Encrypt
	known := plan.Rollover{ROC: 99, Seq: 1000, Index: 90000}
	for range 2 {
		fresh[0].Learned, fresh[0].Confirmed = away.Addr(), true
		fresh[0].Decrypt, fresh[0].Encrypt = knowing(&in, known), knowing(&out, known)
		f.set("call", fresh...)
	}
	if st := f.stats(p.sa.Local); st.In != (plan.Counters{}) || st.Out != (plan.Counters{}) || st.Remote != away.Addr() {
		f.Errorf("%+v, want nothing but remote %v", st, away.Addr())
	}
	f.permit(loopback4)
	p.a, p.sequence = away, 1000
	p.bothWays(newLock(f, fresh[0].Decrypt, fresh[0].Encrypt))
}
