package relay

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// TestStoppedInTheMiddleOfABatch: what a thread still holds when the process goes on is not forwarded, though the time of its
// batch is from before.
func TestStoppedInTheMiddleOfABatch(t *testing.T) {
	a, b := twoParties()
	a.Decrypt, a.Encrypt = secretFor("AEAD_AES_128_GCM", "a"), secretFor("AEAD_AES_128_GCM", "A")
	b.Encrypt = secretFor("AEAD_AES_128_GCM", "b")
	sc := newBareScript(64, a, b)
	until, clock := sc.float()
	sc.set(a, b)
	party := newSender(t, a.Decrypt)
	var batch [][]byte
	for i := range 4 {
		pkt := bytes.Clone(voice)
		pkt[3] += byte(i)
		sealed, _, err := party.Protect(nil, pkt)
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, sealed)
	}
	until.Store(1_000)
	clock.Store(999)
	in, out, now := sc.streams[a.Local], sc.streams[b.Local], int64(77_000_000)
	sc.handle(in, batch[0], a.Signalled, now)
	if sc.out.sent != 1 {
		t.Fatalf("%d packets sent, want 1", sc.out.sent)
	}
	stats, known := in.stats(), in.route.Load().in.Rollovers()

	clock.Store(1_000) // stopped between two packets
	for _, pkt := range batch[1:3] {
		sc.handle(in, pkt, addr("9:9000"), now)
	}
	want := stats
	want.In.Errors = 2
	if got := in.stats(); got != want || sc.out.sent != 1 {
		t.Errorf("%+v, %d sent, want %+v and nothing sent", got, sc.out.sent, want)
	}
	if got := in.route.Load().in.Rollovers(); got[0] != known[0] || len(sc.unreported)+len(sc.crossings) != 0 {
		t.Errorf("sources %+v, were %+v: a packet was opened", got, known)
	}

	// Stopped while a packet is worked on: it is not sent.
	clock.Store(0)
	sc.mono = func() int64 { return clock.Add(600) }
	sc.handle(in, batch[3], a.Signalled, now)
	if got := out.stats().Out; sc.out.sent != 1 || got.Errors != 1 || got.Packets != 1 {
		t.Errorf("%d packets sent, %+v: one was sent too late", sc.out.sent, got)
	}
	sc.mono = clock.Load

	// Thawed for good: with permission it goes on where it was.
	clock.Store(5_000)
	until.Store(6_000)
	sc.handle(in, batch[2], a.Signalled, now)
	if sc.out.sent != 2 {
		t.Error("nothing is forwarded after the permission is back")
	}
}

func TestWarmStreamsAreNotTouched(t *testing.T) {
	a, b := twoParties()
	a.PierceNAT = true
	sc := newBareScript(64, a, b)
	until, clock := sc.float()
	sc.set(a, b)
	in := sc.streams[a.Local]
	sc.attend(in, 10)
	first := sc.chores(10)
	if first == 0 || first > probeInterval || first%probeInterval != 0 {
		t.Errorf("looks again at %d, want a multiple of %d with all others that wait", first, probeInterval)
	}
	sc.handle(in, voice, a.Signalled, 11)
	for _, s := range sc.streams {
		if s.cur.Load() != nil || s.latch != (latch{}) || s.heard {
			t.Errorf("%v has state before it may carry packets", s.local)
		}
	}
	if sc.out.sent != 0 || !sc.call.gen.waits() {
		t.Errorf("%d packets sent", sc.out.sent)
	}
	until.Store(clock.Load() + 1)
	if due := sc.chores(first); sc.out.sent != 1 || due != first+probeInterval {
		t.Errorf("%d probes sent, next due at %d", sc.out.sent, due)
	}
	until.Store(0)
	sc.chores(first + probeInterval)
	if sc.out.sent != 1 || !in.probing {
		t.Errorf("%d probes sent, want 1", sc.out.sent)
	}
	// Nothing to probe any more.
	a.PierceNAT = false
	sc.set(a, b)
	if due := sc.chores(first + 2*probeInterval); due != 0 || in.probing {
		t.Error("a stream that does not probe is looked at")
	}
}

// TestSinkOnAnotherFloatingAddress: it is not protected with what is not permitted to be sent.
func TestSinkOnAnotherFloatingAddress(t *testing.T) {
	a, b := twoParties()
	b.Encrypt = secretFor("AEAD_AES_128_GCM", "b")
	sc := newBareScript(64, a, b)
	until, _ := sc.float()
	until.Store(1)
	other := &permit{until: new(atomic.Int64)}
	sc.streams[b.Local].permit = other
	sc.set(a, b)
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 1)
	out := sc.streams[b.Local]
	if got := out.stats().Out; sc.out.sent != 0 || got.Errors != 1 || out.cur.Load() != nil || out.route.Load().out.Rollovers() != nil {
		t.Errorf("%d sent, %+v, sources %+v", sc.out.sent, got, out.route.Load().out.Rollovers())
	}
	other.until.Store(1)
	sc.handle(sc.streams[a.Local], voice, a.Signalled, 2)
	if sc.out.sent != 1 {
		t.Error("nothing is sent once it is permitted")
	}
}

// TestPermitReadsNoClock: a caller that was stopped between working a deadline out and telling it permits nothing.
func TestPermitReadsNoClock(t *testing.T) {
	float, fixed := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	e, err := NewPortable(Config{Pools: []Pool{{Addr: float, Min: 20000, Max: 20003, Floating: true}, {Addr: fixed, Min: 20000, Max: 20003}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	until := e.pools[float].permit.until
	now := time.Now()
	for _, tt := range []struct {
		until time.Time
		want  int64
	}{
		{now, now.Sub(started).Nanoseconds() + startedAt},
		{now.Add(time.Second), (now.Sub(started) + time.Second).Nanoseconds() + startedAt},
		{started, 0}, {started.Add(-time.Hour), 0}, {time.Time{}, 0}, {time.Unix(0, 0), 0},
	} {
		e.Permit(tt.until, fixed, netip.Addr{}, float)
		if got := until.Load(); got != tt.want {
			t.Errorf("%v: %d ns, want %d", tt.until, got, tt.want)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { e.Permit(now, float) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkPermit(b *testing.B) {
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	e, err := NewPortable(Config{Pools: []Pool{{Addr: addrs[0], Min: 20000, Max: 20003, Floating: true}, {Addr: addrs[1], Min: 20000, Max: 20003, Floating: true}}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	until := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		e.Permit(until, addrs...)
	}
}

// TestDead: what a keeper has allowed counts for nothing once it is no more.
func TestDead(t *testing.T) {
	var until atomic.Int64
	var life atomic.Uint32
	until.Store(1_000)
	h := &shard{mono: func() int64 { return 0 }}
	s := &stream{permit: &permit{until: &until, life: &life}}
	for _, step := range []struct {
		life uint32
		want bool
	}{{0, false}, {4711, true}, {ownerDied, false}, {1 << 31, true}} {
		life.Store(step.life)
		if got := h.permitted(s); got != step.want {
			t.Errorf("with the sign of life %x: %v", step.life, got)
		}
	}
}
