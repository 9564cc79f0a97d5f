package relay

import (
	"fmt"
	"net/netip"
	"testing"

	"rtpjet/relay/plan"
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
	streams map[netip.AddrPort]*stream
}

func newScript(queue int, plans ...plan.Stream) *script {
	sc := &script{news: make(chan plan.Learned, queue), streams: map[netip.AddrPort]*stream{}}
	sc.shard = shard{tx: &sc.out, learned: sc.news}
	for i := range plans {
		sc.streams[plans[i].Local] = &stream{local: plans[i].Local}
	}
	sc.set(plans...)
	return sc
}

func (sc *script) set(plans ...plan.Stream) {
	for i := range plans {
		sc.streams[plans[i].Local].route.Store(newRoute("call", &plans[i], plans, sc.streams))
	}
}

// twoParties are plans of a call whose parties are 1:5000 and 2:5000.
func twoParties() (a, b plan.Stream) {
	a = plan.Stream{Local: addr("100:1000"), Signalled: addr("1:5000"), LearnUntil: 1 << 60, MayLearn: true, RTPSinks: []netip.AddrPort{addr("100:2000")}}
	b = plan.Stream{Local: addr("100:2000"), Signalled: addr("2:5000"), LearnUntil: 1 << 60, MayLearn: true, RTPSinks: []netip.AddrPort{addr("100:1000")}}
	return a, b
}

var voice = append([]byte{0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4}, make([]byte, 160)...)

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
	// A source that flaps is the worst case: every packet teaches something.
	a, b := twoParties()
	a.Mode, a.MediaHandover = plan.LearnImmediate, true
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
	a.Mode, a.MediaHandover, a.Epoch = plan.LearnImmediate, true, 7
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
	want := plan.Learned{Call: "call", Local: a.Local, Remote: addr("9:9099"), Epoch: 7, Confirmed: true}
	if got := <-sc.news; got != want {
		t.Errorf("reported %+v, want %+v", got, want)
	}
}

func TestFullChannelIsRetried(t *testing.T) {
	a, b := twoParties()
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
	want := plan.Learned{Call: "call", Local: a.Local, Remote: addr("9:9000"), Epoch: 2}
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
	if got := sc.published.out.read(); got != want {
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
	a.Signalled = netip.MustParseAddrPort("[::ffff:10.0.0.1]:5000")
	sc := newScript(4, a, b)
	sc.handle(sc.streams[a.Local], voice, addr("1:5000"), 1)
	if got := sc.streams[a.Local].stats(); !got.Confirmed || got.Remote != addr("1:5000") {
		t.Errorf("%+v, want 10.0.0.1:5000, confirmed", got)
	}
}

// BenchmarkHandle is the packet path without the system calls.
func BenchmarkHandle(b *testing.B) {
	pa, pb := twoParties()
	sc := newScript(64, pa, pb)
	in := sc.streams[pa.Local]
	b.ReportAllocs()
	now := int64(1)
	for b.Loop() {
		now++
		sc.handle(in, voice, pa.Signalled, now)
	}
}
