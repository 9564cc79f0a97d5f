package relaytest

import (
	"rtpjet/relay/plan"
)

// reception: what is missing, late, twice or anew is counted for the source, for the stream, for the address, and in all.
func reception(f *fixture) {
	p := newPair(f, "call")
	p.sa.Clocks = []plan.Clock{{PT: 0, Rate: 8000}}
	p.apply()
	before := f.Totals()
	for _, seq := range []uint16{1, 2, 5, 4, 4, 9, 30000, 30001, 30001} {
		pkt := RTP(0, seq, "audio")
		p.a.Send(p.sa.Local, pkt)
		p.b.Expect(p.sb.Local, pkt)
	}
	want := plan.Reception{Counted: true, Lost: 4, Gaps: 2, Reordered: 1, Duplicates: 2, Resets: 1}
	st := f.stats(p.sa.Local)
	if st.Received != want || st.IngressSSRC.Received != want {
		f.Errorf("of the stream %+v, of the source %+v, want %+v", st.Received, st.IngressSSRC.Received, want)
	}
	if !st.IngressSSRC.JitterKnown {
		f.Errorf("no jitter was measured: %+v", st.IngressSSRC)
	}
	for range 2 { // what a thread has counted is there when it has answered and gone on
		if err := f.Answers(f.Context()); err != nil {
			f.Fatal(err)
		}
	}
	got := f.Totals()
	if got.Received != want || got.Pools[0].Received != want || got.Pools[1].Received.Lost != 0 {
		f.Errorf("in all %+v, of the address %+v, of the other one %+v, want %+v", got.Received, got.Pools[0].Received, got.Pools[1].Received, want)
	}
	if pool := got.Pools[0]; pool.In != got.In || pool.Out != got.Out || pool.In.Packets-before.Pools[0].In.Packets != 9 {
		f.Errorf("of the address in %+v, out %+v, want 9 packets in, and all that there is", pool.In, pool.Out)
	}

	// What comes for a call that is over is in the sums of its address all the same.
	f.Drop("call")
	if after := f.Totals().Received; after != want {
		f.Errorf("after the call %+v, want %+v", after, want)
	}
}
