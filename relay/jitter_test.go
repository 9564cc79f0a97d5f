package relay

import (
	"math"
	"testing"

	"rtpjet/relay/plan"
)

// arrivals sends voice of 20 ms whose packets arrive so many µs late, and returns the stream.
func arrivals(st plan.Stream, pt uint8, tick uint32, late ...int64) (*script, *stream) {
	_, b := twoParties()
	sc := newScript(4, st, b)
	in := sc.streams[st.Local]
	for i, l := range late {
		sc.handle(in, numberedVoice(1, uint16(i), uint32(i)*tick, pt), st.Signalled, 1_700_000_000_000_000+int64(i)*20_000+l)
	}
	sc.publish()
	return sc, in
}

func TestJitter(t *testing.T) {
	a, _ := twoParties()
	a.Clocks = []plan.Clock{{PT: 0, Rate: 8000}, {PT: 96, Rate: 90000}, {PT: 111, Rate: 48000}}
	even := make([]int64, 100)
	swinging, formula := make([]int64, 1000), 0.0
	for i := range swinging {
		swinging[i] = int64(i%2) * 4000
		if i > 0 {
			formula += (4000 - formula) / 16 // RFC 3550 §6.4.1
		}
	}
	jump := append(make([]int64, 50), 6_000_000, 6_000_000, 6_000_000) // our clock was set
	for name, c := range map[string]struct {
		pt   uint8
		tick uint32
		late []int64
		want float64 // µs; negative: not known
	}{
		"8000 Hz, none":     {0, 160, even, 0},
		"90000 Hz, none":    {96, 1800, even, 0},
		"8000 Hz, swings":   {0, 160, swinging, formula},
		"90000 Hz, swings":  {96, 1800, swinging, formula},
		"48000 Hz, swings":  {111, 960, swinging, formula},
		"one step":          {0, 160, []int64{0, 1600}, 100},
		"unknown clock":     {8, 160, swinging, -1},
		"one packet":        {0, 160, []int64{0}, -1},
		"our clock was set": {0, 160, jump, 0},
	} {
		_, in := arrivals(a, c.pt, c.tick, c.late...)
		s := in.stats().IngressSSRC
		if s.JitterKnown != (c.want >= 0) || c.want >= 0 && math.Abs(float64(s.Jitter)-c.want) > 2 {
			t.Errorf("%s: %d µs, known %v; want %.1f µs", name, s.Jitter, s.JitterKnown, c.want)
		}
	}
}

// TestJitterOfTelephoneEvents: all packets of an event have the timestamp of its begin, which is no jitter, and none of the voice around it.
func TestJitterOfTelephoneEvents(t *testing.T) {
	a, b := twoParties()
	a.Clocks = []plan.Clock{{PT: 0, Rate: 8000}}
	sc := newScript(4, a, b)
	in := sc.streams[a.Local]
	for i := range uint32(200) {
		pt, ts := uint8(0), i*160
		if i >= 100 && i < 150 {
			pt, ts = 101, 100*160
		}
		sc.handle(in, numberedVoice(1, uint16(i), ts, pt), a.Signalled, 1_000_000+int64(i)*20_000)
	}
	if s := in.stats().IngressSSRC; !s.JitterKnown || s.Jitter != 0 {
		t.Errorf("%d µs, known %v", s.Jitter, s.JitterKnown)
	}
}

// TestJitterAfterAnotherPlan: a payload type may mean another clock then.
func TestJitterAfterAnotherPlan(t *testing.T) {
	a, b := twoParties()
	a.Clocks = []plan.Clock{{PT: 96, Rate: 8000}}
	sc := newScript(4, a, b)
	in := sc.streams[a.Local]
	now, ts := int64(1_000_000), uint32(0)
	send := func(n int, tick uint32) {
		for i := range n {
			now, ts = now+20_000, ts+tick
			sc.handle(in, numberedVoice(1, uint16(i), ts, 96), a.Signalled, now)
		}
	}
	send(50, 160)
	a.Clocks = []plan.Clock{{PT: 96, Rate: 90000}}
	sc.set(a, b)
	send(50, 1800)
	if s := in.stats().IngressSSRC; !s.JitterKnown || s.Jitter != 0 {
		t.Errorf("%d µs, known %v", s.Jitter, s.JitterKnown)
	}
	// Without a clock, the figure of before stands.
	a.Clocks = nil
	sc.set(a, b)
	send(50, 1)
	if s := in.stats().IngressSSRC; !s.JitterKnown || s.Jitter != 0 {
		t.Errorf("without clocks: %d µs, known %v", s.Jitter, s.JitterKnown)
	}
}

func TestJitterSamples(t *testing.T) {
	a, _ := twoParties()
	a.Clocks = []plan.Clock{{PT: 0, Rate: 8000}}
	late := make([]int64, 501) // 10 s
	for i := range late {
		late[i] = int64(i%2) * 4000
	}
	sc, _ := arrivals(a, 0, 160, late...)
	var all sums
	all.add(&sc.shard)
	got := all.all().Jitter
	if got.Count != 2 || got.Sum < 7900 || got.Sum > 8000 || math.Abs(float64(got.Squares)-float64(got.Sum*got.Sum)/2) > 1e5 {
		t.Errorf("after 10 s %+v, want two samples of almost 4 ms", got)
	}
}
