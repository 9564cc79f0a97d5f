package relay

import (
	"encoding/binary"
	"testing"

	"rtpjet/relay/plan"
)

// numberedVoice is a packet of a source.
func numberedVoice(ssrc uint32, seq uint16, ts uint32, pt uint8) []byte {
	pkt := append([]byte(nil), voice...)
	pkt[1] = pt
	binary.BigEndian.PutUint16(pkt[2:], seq)
	binary.BigEndian.PutUint32(pkt[4:], ts)
	binary.BigEndian.PutUint32(pkt[8:], ssrc)
	return pkt
}

func TestReception(t *testing.T) {
	run := func(from, to uint16) (seqs []uint16) {
		for s := from; s != to+1; s++ {
			seqs = append(seqs, s)
		}
		return seqs
	}
	for name, c := range map[string]struct {
		seqs []uint16
		want plan.Reception
	}{
		"one":               {[]uint16{7}, plan.Reception{}},
		"in a row":          {run(65000, 500), plan.Reception{}},
		"one missing":       {[]uint16{1, 3, 4}, plan.Reception{Gaps: 1, Lost: 1}},
		"gap at the wrap":   {[]uint16{65534, 2}, plan.Reception{Gaps: 1, Lost: 3}},
		"late":              {[]uint16{1, 3, 2, 4}, plan.Reception{Gaps: 1, Reordered: 1}},
		"late at the wrap":  {[]uint16{65535, 1, 0, 2}, plan.Reception{Gaps: 1, Reordered: 1}},
		"late twice":        {[]uint16{1, 3, 2, 2}, plan.Reception{Gaps: 1, Reordered: 1, Duplicates: 1}},
		"the same":          {[]uint16{1, 1, 1, 2}, plan.Reception{Duplicates: 2}},
		"one before":        {[]uint16{1, 2, 3, 2}, plan.Reception{Duplicates: 1}},
		"before the first":  {[]uint16{5, 4, 6}, plan.Reception{Reordered: 1}},
		"largest gap":       {[]uint16{1, 3001, 3002}, plan.Reception{Gaps: 1, Lost: 2999}},
		"as late as may be": {append([]uint16{1}, append(run(3, 102), 2)...), plan.Reception{Gaps: 1, Reordered: 1}},
		"too late":          {append([]uint16{1}, append(run(3, 103), 2)...), plan.Reception{Gaps: 1, Lost: 1}},
		"a stranger":        {[]uint16{1, 20000, 2, 3}, plan.Reception{}},
		"two strangers":     {[]uint16{1, 20000, 30000, 2}, plan.Reception{}},
		"anew":              {[]uint16{1, 2, 20000, 20001, 20003}, plan.Reception{Resets: 1, Gaps: 1, Lost: 1}},
		"anew, backwards":   {[]uint16{20000, 20002, 1, 2, 3, 2}, plan.Reception{Resets: 1, Gaps: 1, Lost: 1, Duplicates: 1}},
		"anew at the wrap":  {[]uint16{20000, 65535, 0, 65535}, plan.Reception{Resets: 1, Duplicates: 1}},
		"far gap, all late": {append([]uint16{1}, append([]uint16{72}, run(2, 71)...)...), plan.Reception{Gaps: 1, Reordered: 70}},
	} {
		a, b := twoParties()
		sc := newScript(4, a, b)
		in := sc.streams[a.Local]
		for _, s := range c.seqs {
			sc.handle(in, numberedVoice(1, s, 0, 0), a.Signalled, 1)
		}
		sc.publish()
		c.want.Counted = true
		st := in.stats()
		if st.Received != c.want || st.IngressSSRC.Received != c.want {
			t.Errorf("%s: of the stream %+v, of the source %+v, want %+v", name, st.Received, st.IngressSSRC.Received, c.want)
		}
		var all sums
		all.add(&sc.shard)
		if got := all.all().Received; got != c.want {
			t.Errorf("%s: in all %+v, want %+v", name, got, c.want)
		}
	}
}

// TestReceptionOfEachSource: two sources in turns lose nothing by that, and what a source had comes back with it.
func TestReceptionOfEachSource(t *testing.T) {
	a, b := twoParties()
	sc := newScript(4, a, b)
	in := sc.streams[a.Local]
	send := func(ssrc uint32, seq uint16) { sc.handle(in, numberedVoice(ssrc, seq, 0, 0), a.Signalled, 1) }
	for i := range uint16(50) {
		send(1, 100+i)
		send(2, 60000+2*i) // loses every second one
		sc.handle(in, []byte{0x80, 201, 0, 1, 1, 2, 3, 4}, a.Signalled, 1)
	}
	st := in.stats()
	if st.Received.Lost != 49 || st.In.Packets != 150 {
		t.Errorf("of the stream %+v, %d packets", st.Received, st.In.Packets)
	}
	if s := st.IngressSSRC; s.SSRC != 2 || s.Packets != 50 || s.Bytes != 50*172 || s.Received.Lost != 49 || s.Received.Gaps != 49 {
		t.Errorf("the second source: %+v", s)
	}
	send(1, 150)
	if s := in.stats().IngressSSRC; s.SSRC != 1 || s.Packets != 51 || s.Bytes != 51*172 || s.Received.Lost != 0 {
		t.Errorf("the first source: %+v", s)
	}
	if s := sc.streams[b.Local].stats().EgressSSRC; s.SSRC != 1 || s.Packets != 51 || s.Received.Counted {
		t.Errorf("the first source as it was sent: %+v", s)
	}
	// More than are followed: the one that was not heard for longest is forgotten, and what it lost stays in the sum.
	for i := range uint32(maxSources - 1) {
		send(10+i, 1)
	}
	send(1, 152)
	if s := in.stats().IngressSSRC; s.Packets != 52 || s.Received.Lost != 1 {
		t.Errorf("the first source is heard again: %+v", s)
	}
	send(2, 1)
	if s := in.stats(); s.IngressSSRC.Packets != 1 || s.IngressSSRC.Received.Lost != 0 || s.Received.Lost != 50 {
		t.Errorf("the second source anew: %+v, in all %+v", s.IngressSSRC, s.Received)
	}
}

// FuzzGaps holds the bits against a set.
func FuzzGaps(f *testing.F) {
	f.Add([]byte{0, 1, 1, 2, 255, 1, 1, 3, 254, 254})
	f.Add([]byte{0xff, 0x80, 1, 1, 0x7f, 0x81, 1, 1})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) < 2 || len(steps) > 4096 {
			return
		}
		seq := binary.BigEndian.Uint16(steps)
		g, first, newest := newGaps(seq), int64(seq), int64(seq)
		seen := map[int64]bool{first: true}
		lost := 0
		for _, step := range steps[2:] {
			at := newest + int64(int8(step)) // up to 128 behind, up to 127 ahead
			p, skipped := g.take(uint16(at))
			want := placeDuplicate
			switch {
			case at < newest-maxMisorder:
				want = placeAway
			case at == newest+1:
				want = placeNext
			case at > newest:
				want = placeAhead
			case !seen[at] && at >= first:
				want = placeLate
			case !seen[at]:
				want = placeOlder
			}
			if p == placeAnew {
				// Two in a row from farther behind than is remembered.
				first, newest, seen, lost = at-1, at, map[int64]bool{at - 1: true, at: true}, 0
				continue
			}
			if want == placeOlder && p == placeOlder || want == placeDuplicate && at < first {
				continue // not remembered
			}
			if p != want || p == placeAhead && skipped != int(at-newest-1) {
				t.Fatalf("%d after %d is %d with %d skipped, want %d", at, newest, p, skipped, want)
			}
			if p == placeAway {
				continue
			}
			seen[at] = true
			lost += skipped
			if p == placeLate {
				lost--
			}
			newest = max(newest, at)
		}
		missing := 0
		for s := first; s <= newest; s++ {
			if !seen[s] {
				missing++
			}
		}
		if missing != lost {
			t.Fatalf("%d are missing, %d were counted", missing, lost)
		}
	})
}

func TestReceptionAllocatesNothing(t *testing.T) {
	a, b := twoParties()
	a.Clocks = []plan.Clock{{PT: 0, Rate: 8000}, {PT: 96, Rate: 90000}}
	sc := newScript(64, a, b)
	in := sc.streams[a.Local]
	var packets [][]byte
	for i := range uint16(400) { // gaps, duplicates, late ones, jumps, several sources and clocks
		seq := i + i/40*5000
		switch i % 10 {
		case 3:
			seq-- // twice
		case 6:
			seq += 2
		}
		packets = append(packets, numberedVoice(uint32(i/100+i/20%2), seq, uint32(i)*160, []uint8{0, 96, 101}[i%3]))
	}
	now, next := int64(1), 0
	allocs := testing.AllocsPerRun(1000, func() {
		now += 20_000
		sc.handle(in, packets[next%len(packets)], a.Signalled, now)
		sc.publish()
		next++
	})
	if r := in.stats().Received; allocs != 0 || r.Resets == 0 || r.Lost == 0 || r.Duplicates == 0 {
		t.Errorf("%v allocations a packet; %+v", allocs, r)
	}
}
