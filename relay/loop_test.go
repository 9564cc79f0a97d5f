package relay

import "testing"

func TestLoopGuard(t *testing.T) {
	var g loopGuard
	now := int64(1_700_000_000_000_000)
	passed := func(n int, pkt func(i int) []byte) (count int) {
		for i := range n {
			now += 1000
			if !g.stops(pkt(i), now) {
				count++
			}
		}
		return count
	}
	equal := func(seq uint16) func(int) []byte { return func(int) []byte { return numberedVoice(1, seq, 0, 0) } }
	if n := passed(60, equal(1)); n != 31 {
		t.Errorf("%d of 60 equal packets passed, want 31", n)
	}
	now += 900_000
	if n := passed(5, equal(1)); n != 0 {
		t.Errorf("%d passed 0.9 s later, want none", n)
	}
	now += 200_000
	if n := passed(60, equal(1)); n != 31 {
		t.Errorf("%d of 60 passed when a second had gone by, want 31", n)
	}
	if n := passed(60, func(i int) []byte { return numberedVoice(1, uint16(100+i), 0, 0) }); n != 60 {
		t.Errorf("%d of 60 different packets passed, want all", n)
	}
	if n := passed(60, func(i int) []byte { return numberedVoice(1, uint16(200+i%2), 0, 0) }); n != 32 {
		t.Errorf("%d of 60 packets that were two in turns passed, want 32", n) // the second one is another one
	}
	if n := passed(60, func(i int) []byte { return numberedVoice(1, uint16(300+i%5), 0, 0) }); n != 60 {
		t.Errorf("%d of 60 packets of five in turns passed, want all", n)
	}
	if n := passed(60, func(i int) []byte { return append(numberedVoice(1, 400, 0, 0), make([]byte, i)...) }); n != 60 {
		t.Errorf("%d of 60 packets of different lengths passed, want all", n)
	}
	if n := passed(60, func(i int) []byte { return make([]byte, 0) }); n != 60 {
		t.Errorf("%d of 60 empty packets passed, want all", n)
	}
	// Our clock is set back: that must not make a pause of years.
	passed(60, equal(500))
	now -= 3_600_000_000
	if n := passed(60, equal(500)); n != 31 {
		t.Errorf("%d of 60 passed after the clock was set back, want 31", n)
	}
}

func TestLoopGuardAllocatesNothing(t *testing.T) {
	a, b := twoParties()
	a.LoopCheck = true
	sc := newScript(4, a, b)
	now := int64(1)
	allocs := testing.AllocsPerRun(1000, func() {
		now++
		sc.handle(sc.streams[a.Local], voice, a.Signalled, now)
	})
	if allocs != 0 || sc.out.sent != 31 || sc.shed[ShedLoop] != 1001-31 {
		t.Errorf("%v allocations a packet, %d sent, %d stopped", allocs, sc.out.sent, sc.shed[ShedLoop])
	}
}
