package relay

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"rtpjet/relay/plan"
)

// latchWorld is what a property test plays: a party, and an attacker who may send anything but does not know what the party sends.
type latchWorld struct {
	t      *rapid.T
	latch  latch
	st     plan.Stream
	next   map[netip.AddrPort]trail
	now    int64
	phone  netip.AddrPort
	spoken map[netip.AddrPort]int64
}

var (
	attackers = []netip.AddrPort{addr("9:5000"), addr("9:9000"), addr("8:7000")}
	partys    = []netip.AddrPort{addr("1:5000"), addr("2:7000"), addr("1:9000")}
)

func newLatchWorld(t *rapid.T) *latchWorld {
	w := &latchWorld{t: t, next: map[netip.AddrPort]trail{}, spoken: map[netip.AddrPort]int64{}, now: 1}
	w.phone = rapid.SampledFrom(partys).Draw(t, "phone")
	w.st = plan.Stream{Signalled: addr("1:5000"), MayLearn: true, Epoch: 1, LearnUntil: 3_000_000, Seen: addr("2:1").Addr()}
	if rapid.Bool().Draw(t, "private") {
		w.st.Signalled = addr("p1:5000")
		w.phone = addr("2:7000")
	}
	w.st.StrictSource = rapid.Bool().Draw(t, "strict")
	w.latch.restart(rulesFor(w.st), nil)
	return w
}

func (w *latchWorld) send(src netip.AddrPort, s sign) (verdict, bool) {
	s.src, s.now, s.kind = src, w.now, kindRTP
	before, early := w.latch, w.latch.refuses(rulesFor(w.st), src, w.now)
	v, changed := w.latch.step(rulesFor(w.st), &s)
	switch {
	case early && v != verdictRefuse:
		w.t.Fatalf("%v: verdict %d, though it was to be refused unseen", src, v)
	case changed != (before.source != w.latch.source || before.confirmed != w.latch.confirmed):
		w.t.Fatalf("%v: changed is %v, from %+v to %+v", src, changed, before, w.latch)
	}
	return v, changed
}

// attack sends something that the attacker can make up.
func (w *latchWorld) attack() {
	src := rapid.SampledFrom(attackers).Draw(w.t, "attacker")
	tr := w.next[src]
	if rapid.Bool().Draw(w.t, "jump") {
		tr = trail{ssrc: rapid.Uint32Range(1, 3).Draw(w.t, "ssrc"), seq: rapid.Uint16().Draw(w.t, "seq")}
	}
	tr.seq++
	w.next[src] = tr
	s := sign{trail: tr, fits: rapid.Bool().Draw(w.t, "fits"), stray: rapid.IntRange(0, 3).Draw(w.t, "stray") == 0}
	believed, met := w.latch.source.IsValid(), w.latch.met
	v, changed := w.send(src, s)
	if changed || v == verdictAccept {
		w.t.Fatalf("the attacker at %v is believed: verdict %d, %+v", src, v, w.latch)
	}
	if v != verdictRefuse && (believed || met) {
		w.t.Fatalf("a packet of the attacker at %v passes after the party was met: %+v", src, w.latch)
	}
}

// speak has the party send; it must get through, and be believed with the third packet in a row.
func (w *latchWorld) speak() {
	for i := range rapid.IntRange(1, 6).Draw(w.t, "packets") {
		tr := w.next[w.phone]
		tr.ssrc = 1
		tr.seq++
		w.next[w.phone] = tr
		v, _ := w.send(w.phone, sign{trail: tr, fits: true})
		if v != verdictAccept {
			w.t.Fatalf("the party's packet %d has verdict %d: %+v", i, v, w.latch)
		}
		if i >= believeAfter-1 && w.latch.source != w.phone {
			w.t.Fatalf("the party has sent %d packets and is not believed: %+v", i+1, w.latch)
		}
		w.now += 20_000
		if rapid.Bool().Draw(w.t, "between") {
			w.attack()
		}
	}
}

// signal is an offer or an answer about the party: nothing new, a hold, or the return from it.
func (w *latchWorld) signal() {
	before := w.st
	w.st.Epoch++
	if hold := netip.AddrPortFrom(netip.IPv4Unspecified(), w.st.Signalled.Port()); rapid.Bool().Draw(w.t, "hold") {
		w.st.Signalled = hold
	} else if w.st.Signalled == hold {
		w.st.Signalled = addr("1:5000")
		if w.phone == addr("2:7000") {
			w.st.Signalled = addr("p1:5000")
		}
	}
	was := w.latch
	w.latch.restart(rulesFor(w.st), rulesFor(before))
	if was.source.IsValid() && w.latch.source != was.source {
		w.t.Fatalf("a re-INVITE that changes nothing has forgotten the party: %+v, then %+v", was, w.latch)
	}
}

// checkAttacker: whoever sends from an address of which nobody has spoken, and sees no packet, is never believed, whatever he
// sends and whenever, where the party's own address or the one of its SIP is known.
func checkAttacker(t *rapid.T) {
	w := newLatchWorld(t)
	held := func() bool { return w.st.Signalled.Addr().IsUnspecified() }
	t.Repeat(map[string]func(*rapid.T){
		"attack": func(*rapid.T) { w.attack() },
		"speak": func(*rapid.T) {
			if !held() || w.latch.source.IsValid() {
				w.speak()
			}
		},
		"wait":   func(t *rapid.T) { w.now += rapid.Int64Range(0, 5_000_000).Draw(t, "µs") },
		"signal": func(*rapid.T) { w.signal() },
	})
}

func TestLatchAttacker(t *testing.T) { rapid.Check(t, checkAttacker) }

func FuzzLatchAttacker(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkAttacker)) }

// TestLatchKeepsWhoSends: as long as the believed source sends, only a better one takes its place, in every mode and with every
// flag, but for delayed learning in its window.
func TestLatchKeepsWhoSends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := plan.Stream{
			Signalled: rapid.SampledFrom([]netip.AddrPort{addr("1:5000"), addr("p1:5000"), {}}).Draw(t, "signalled"),
			MayLearn:  rapid.Bool().Draw(t, "may learn"), Mode: rapid.SampledFrom([]plan.Learning{
				plan.LearnHeuristic, plan.LearnImmediate, plan.LearnOff,
			}).Draw(t, "mode"),
			StrictSource: rapid.Bool().Draw(t, "strict"), MediaHandover: rapid.Bool().Draw(t, "handover"),
			Asymmetric: rapid.Bool().Draw(t, "asymmetric"), Lenient: rapid.Bool().Draw(t, "lenient"),
		}
		var l latch
		l.restart(rulesFor(st), nil)
		now := int64(1)
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			now += rapid.Int64Range(0, 20_000).Draw(t, "µs")
			if l.source.IsValid() && l.last != 0 {
				l.goOn(rulesFor(st), &sign{src: l.source, now: now})
			}
			src := rapid.SampledFrom(append(partys, attackers...)).Draw(t, "source")
			before := l
			l.step(rulesFor(st), &sign{src: src, now: now, kind: kindRTP, trail: trail{ssrc: 7, seq: rapid.Uint16Range(0, 9).Draw(t, "seq")}, fits: true})
			if before.source.IsValid() && before.last != 0 && l.source != before.source && l.rank >= before.rank {
				t.Fatalf("%+v gave way to %+v, which is no better", before, l)
			}
		}
	})
}
