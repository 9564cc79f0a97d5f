package relay

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

// recorder is a sender that keeps what was sent last.
type recorder struct {
	sent int
	from *stream
	fail bool
}

func (r *recorder) send(s *stream, _ []byte) bool {
	r.sent++
	r.from = s
	return !r.fail
}

// script is a call of streams without sockets.
type script struct {
	shard
	out     recorder
	news    chan plan.Learned
	crossed chan plan.Crossed
	call    call
	streams map[netip.AddrPort]*stream
}

func newScript(queue int, plans ...plan.Stream) *script {
	sc := newBareScript(queue, plans...)
	sc.set(plans...)
	return sc
}

// newBareScript has sockets, but no routes yet.
func newBareScript(queue int, plans ...plan.Stream) *script {
	sc := &script{news: make(chan plan.Learned, queue), crossed: make(chan plan.Crossed, queue), streams: map[netip.AddrPort]*stream{}}
	sc.shard = newShard(&sc.out, news{learned: sc.news, crossed: sc.crossed}, 0)
	for i := range plans {
		sc.streams[plans[i].Local] = &stream{local: plans[i].Local}
	}
	return sc
}

// float puts all streams on one floating address, which is permitted until the returned deadline by the returned clock.
func (sc *script) float() (until, clock *atomic.Int64) {
	p := &permit{until: new(atomic.Int64)}
	for _, s := range sc.streams {
		s.permit = p
	}
	clock = &atomic.Int64{}
	sc.mono = clock.Load
	return p.until, clock
}

func (sc *script) set(plans ...plan.Stream) {
	routes, _ := sc.call.compile("call", plans, sc.streams)
	for i, r := range routes {
		sc.streams[plans[i].Local].route.Store(r)
	}
}

// twoParties are plans of a call whose parties are 1:5000 and 2:5000.
func twoParties() (a, b plan.Stream) {
	a = plan.Stream{Local: addr("100:1000"), Signalled: addr("1:5000"), LearnUntil: 1 << 60, MayLearn: true, RTPSinks: []netip.AddrPort{addr("100:2000")}}
	b = plan.Stream{Local: addr("100:2000"), Signalled: addr("2:5000"), LearnUntil: 1 << 60, MayLearn: true, RTPSinks: []netip.AddrPort{addr("100:1000")}}
	return a, b
}

var voice = append([]byte{0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4}, make([]byte, 160)...)

// secretFor are some keys for a suite.
func secretFor(suite, seed string) *plan.SRTP {
	key, salt, _ := srtp.Lengths(suite)
	return &plan.SRTP{Suite: suite, Key: strings.Repeat(seed, key), Salt: strings.Repeat(seed, salt)}
}

func newSender(t testing.TB, p *plan.SRTP) *srtp.Sender {
	t.Helper()
	s, err := srtp.NewSender(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPacketPathAllocatesNothing: a rule of the design (decision 12).
func TestPacketPathAllocatesNothing(t *testing.T) {
	for name, change := range map[string]func(*plan.Stream){
		"confirmed":      func(*plan.Stream) {},
		"learning":       func(st *plan.Stream) { st.Signalled = addr("9:9000") },
		"strict source":  func(st *plan.Stream) { st.StrictSource = true },
		"DTMF is looked": func(st *plan.Stream) { st.BlockDTMF, st.DTMF = true, []uint8{101} },
		"opaque":         func(st *plan.Stream) { st.Opaque = true },
	} {
		a, b := twoParties()
		change(&a)
		sc := newScript(64, a, b)
		in, src := sc.streams[a.Local], addr("1:5000")
		now := int64(1)
		allocs := testing.AllocsPerRun(1000, func() {
			now++
			sc.handle(in, voice, src, now)
			sc.chores(now)
			sc.publish()
		})
		if allocs != 0 || sc.out.sent == 0 {
			t.Errorf("%s: %v allocations a packet, %d sent", name, allocs, sc.out.sent)
		}
	}
	// On a floating address, permitted and not.
	for _, until := range []int64{1 << 62, 0} {
		a, b := twoParties()
		sc := newBareScript(64, a, b)
		deadline, _ := sc.float()
		sc.mono = monotonic
		sc.set(a, b)
		deadline.Store(until)
		now := int64(1)
		allocs := testing.AllocsPerRun(1000, func() {
			now++
			sc.handle(sc.streams[a.Local], voice, a.Signalled, now)
			sc.chores(now)
			sc.publish()
		})
		if allocs != 0 || sc.out.sent > 0 != (until > 0) {
			t.Errorf("floating until %d: %v allocations a packet, %d sent", until, allocs, sc.out.sent)
		}
	}
	// Each way of SRTP. What is sent twice is replayed, so the party has to protect each packet, which allocates nothing either.
	for _, suite := range []string{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM", "AES_192_CM_HMAC_SHA1_32"} {
		a, b := twoParties()
		a.Decrypt, a.Encrypt = secretFor(suite, "a"), secretFor(suite, "A")
		b.Encrypt = secretFor(suite, "b")
		sc := newScript(64, a, b)
		in, party := sc.streams[a.Local], newSender(t, a.Decrypt)
		now, seq, pkt, buf := int64(1), uint16(0), bytes.Clone(voice), make([]byte, 0, 2000)
		relay := func() {
			now += 20_000
			seq++
			pkt[2], pkt[3] = byte(seq>>8), byte(seq)
			sealed, _, err := party.Protect(buf, pkt)
			if err != nil {
				t.Fatal(err)
			}
			sc.handle(in, sealed, a.Signalled, now)
			sc.chores(now)
			for len(sc.crossed) > 0 {
				<-sc.crossed
			}
		}
		relay() // makes the source
		if allocs := testing.AllocsPerRun(70_000, relay); allocs != 0 || sc.out.sent < 70_000 {
			t.Errorf("%s: %v allocations a packet, %d sent", suite, allocs, sc.out.sent)
		}
	}
	// A source that flaps is the worst case: every packet teaches something.
	a, b := twoParties()
	a.Mode = plan.LearnDelayed
	sc := newScript(64, a, b)
	in, sources := sc.streams[a.Local], [2]netip.AddrPort{addr("8:8000"), addr("9:9000")}
	now := int64(1)
	allocs := testing.AllocsPerRun(1000, func() {
		now++
		sc.handle(in, voice, sources[now&1], now)
		sc.chores(now)
	})
	if allocs != 0 {
		t.Errorf("flapping source: %v allocations a packet", allocs)
	}
}

func TestReportsAreSpacedAndTheLastIsNotLost(t *testing.T) {
	a, b := twoParties()
	a.Mode, a.Epoch = plan.LearnDelayed, 7
	sc := newScript(64, a, b)
	in := sc.streams[a.Local]
	now := int64(1_000_000)
	for i := range 100 {
		sc.handle(in, voice, addr(fmt.Sprintf("9:%d", 9000+i)), now)
		now += 1000
	}
	if n := len(sc.news); n != 1 {
		t.Fatalf("%d reports in 100 ms, want 1", n)
	}
	<-sc.news
	due := sc.chores(now)
	if want := int64(1_000_000 + reportInterval); due != want {
		t.Fatalf("next report due at %d, want %d", due, want)
	}
	if due := sc.chores(due); due != 0 {
		t.Errorf("chores due at %d with nothing to do", due)
	}
	want := plan.Learned{Call: "call", Local: a.Local, Remote: addr("9:9099"), Epoch: 7}
	if got := <-sc.news; got != want {
		t.Errorf("reported %+v, want %+v", got, want)
	}
}

func TestFullChannelIsRetried(t *testing.T) {
	a, b := twoParties()
	a.Mode, b.Mode = plan.LearnImmediate, plan.LearnImmediate
	sc := newScript(1, a, b)
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 1)
	sc.handle(sc.streams[b.Local], voice, b.Signalled, 1) // finds the channel full
	due := sc.chores(2)
	if due == 0 {
		t.Fatal("the second report was given up")
	}
	if again := sc.chores(due); again <= due {
		t.Fatalf("tried again at %d, next at %d", due, again)
	}
	<-sc.news
	sc.chores(due + reportRetry)
	if got := <-sc.news; got.Local != b.Local {
		t.Errorf("reported %+v, want %v", got, b.Local)
	}
}

// TestReportAfterNewEpoch: a report that was made under an older epoch may come too late to count.
func TestReportAfterNewEpoch(t *testing.T) {
	a, b := twoParties()
	a.Mode, b.Mode = plan.LearnImmediate, plan.LearnImmediate
	sc := newScript(4, a, b)
	sc.handle(sc.streams[a.Local], voice, addr("9:9000"), 1)
	<-sc.news
	a.Epoch = 2
	sc.set(a, b)
	sc.handle(sc.streams[b.Local], voice, b.Signalled, 1+reportInterval) // a is only sent from
	var got []plan.Learned
	for len(sc.news) > 0 {
		got = append(got, <-sc.news)
	}
	want := plan.Learned{Call: "call", Local: a.Local, Remote: addr("9:9000"), Epoch: 2, Confirmed: true}
	if len(got) != 2 || got[0] != want && got[1] != want {
		t.Errorf("reported %+v, want %+v among them", got, want)
	}
}

func TestSendErrorsAreCounted(t *testing.T) {
	a, b := twoParties()
	sc := newScript(4, a, b)
	sc.out.fail = true
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 1)
	sc.publish()
	want := plan.Counters{Errors: 1}
	if got := sc.streams[b.Local].stats().Out; got != want {
		t.Errorf("stream: %+v, want %+v", got, want)
	}
	if got := sc.published.pools[0].out.read(); got != want {
		t.Errorf("shard: %+v, want %+v", got, want)
	}
}

func TestProbesEnd(t *testing.T) {
	a, b := twoParties()
	a.PierceNAT = true
	sc := newScript(4, a, b)
	in := sc.streams[a.Local]
	sc.attend(in, 10)
	sc.attend(in, 10)
	if due := sc.chores(10); sc.out.sent != 1 || due != 10+probeInterval {
		t.Fatalf("%d probes sent, next due at %d", sc.out.sent, due)
	}
	sc.chores(11)
	sc.chores(10 + probeInterval)
	if sc.out.sent != 2 {
		t.Fatalf("%d probes sent, want 2", sc.out.sent)
	}
	sc.handle(in, voice, a.Signalled, 20+probeInterval)
	sent := sc.out.sent
	if due := sc.chores(10 + 2*probeInterval); due != 0 || sc.out.sent != sent || in.probing {
		t.Errorf("probes go on after the party was heard")
	}

	// Nor is a party probed that is not to be sent to.
	for name, change := range map[string]func(*plan.Stream){
		"NAT-wait": func(st *plan.Stream) { st.NATWait = true },
		"hold":     func(st *plan.Stream) { st.Signalled = netip.MustParseAddrPort("0.0.0.0:5000") },
		"recorded": func(st *plan.Stream) { st.Learned = addr("9:9000") },
	} {
		a, b := twoParties()
		a.PierceNAT = true
		change(&a)
		sc := newScript(4, a, b)
		sc.attend(sc.streams[a.Local], 10)
		if sc.chores(10); sc.out.sent != 0 {
			t.Errorf("%s: probed", name)
		}
	}
}

func TestClosedStreamIsSilent(t *testing.T) {
	a, b := twoParties()
	sc := newScript(4, a, b)
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 1)
	sc.streams[b.Local].route.Store(nil)
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 2)
	sc.handle(sc.streams[b.Local], voice, b.Signalled, 2)
	if sc.out.sent != 1 {
		t.Errorf("%d packets sent, want 1", sc.out.sent)
	}
}

func TestKeyingPassesAndTeachesNothing(t *testing.T) {
	a, b := twoParties()
	a.Mode = plan.LearnImmediate
	sc := newScript(4, a, b)
	sc.handle(sc.streams[a.Local], append([]byte{22, 254, 253}, make([]byte, 60)...), addr("9:9000"), 1)
	if sc.out.sent != 1 || sc.streams[a.Local].latch.source.IsValid() {
		t.Errorf("%d sent, learned %v", sc.out.sent, sc.streams[a.Local].latch.source)
	}
}

func TestMappedAddressesAreOne(t *testing.T) {
	a, b := twoParties()
	a.Signalled, a.Mode = netip.MustParseAddrPort("[::ffff:203.0.113.1]:5000"), plan.LearnImmediate
	sc := newScript(4, a, b)
	sc.handle(sc.streams[a.Local], voice, addr("1:5000"), 1)
	if got := sc.streams[a.Local].stats(); !got.Confirmed || got.Remote != addr("1:5000") {
		t.Errorf("%+v, want 203.0.113.1:5000, confirmed", got)
	}
}

// BenchmarkHandle is the packet path without the system calls.
func BenchmarkHandle(b *testing.B) {
	for _, v := range []struct {
		name, in, out string
		floating      bool
	}{
		{name: "plain"},
		{name: "plain, floating", floating: true},
		{name: "AES_CM_128_HMAC_SHA1_80 to plain", in: "AES_CM_128_HMAC_SHA1_80"},
		{name: "plain to AES_CM_128_HMAC_SHA1_80", out: "AES_CM_128_HMAC_SHA1_80"},
		{name: "AES_CM_128_HMAC_SHA1_80 to the same", in: "AES_CM_128_HMAC_SHA1_80", out: "AES_CM_128_HMAC_SHA1_80"},
		{name: "AES_CM_128_HMAC_SHA1_80 to the same, floating", in: "AES_CM_128_HMAC_SHA1_80", out: "AES_CM_128_HMAC_SHA1_80", floating: true},
		{name: "AEAD_AES_128_GCM to plain", in: "AEAD_AES_128_GCM"},
		{name: "AEAD_AES_128_GCM to the same", in: "AEAD_AES_128_GCM", out: "AEAD_AES_128_GCM"},
	} {
		b.Run(v.name, func(b *testing.B) {
			pa, pb := twoParties()
			pa.Clocks = []plan.Clock{{PT: 0, Rate: 8000}, {PT: 8, Rate: 8000}}
			packets := make([][]byte, 50_000)
			for i := range packets {
				packets[i] = bytes.Clone(voice)
				packets[i][2], packets[i][3] = byte(i>>8), byte(i)
			}
			if v.in != "" {
				pa.Decrypt = secretFor(v.in, "i")
				party := newSender(b, pa.Decrypt)
				for i := range packets {
					packets[i], _, _ = party.Protect(nil, packets[i])
				}
			}
			if v.out != "" {
				pb.Encrypt = secretFor(v.out, "o")
			}
			var sc *script
			b.ReportAllocs()
			now, next := int64(1), 0
			for b.Loop() {
				if next%len(packets) == 0 { // else they would be replayed
					sc, next = newBareScript(64, pa, pb), 0
					if v.floating {
						until, _ := sc.float()
						until.Store(1 << 62)
						sc.mono = monotonic
					}
					sc.set(pa, pb)
				}
				now++
				sc.handle(sc.streams[pa.Local], packets[next], pa.Signalled, now)
				next++
			}
			if sc.out.sent != next {
				b.Fatalf("%d of %d packets were sent", sc.out.sent, next)
			}
		})
	}
}
