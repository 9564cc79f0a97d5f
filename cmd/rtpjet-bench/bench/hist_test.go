package bench

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"
)

func TestHistogramQuantilesAreWithinOnePartIn1000(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	h := newHistogram()
	var all []int64
	for range 20000 {
		v := int64(rng.ExpFloat64() * 200e3)
		all = append(all, v)
		h.record(v)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(all[int(math.Ceil(q*float64(len(all))))-1])
		got := float64(h.quantile(q))
		if got < want*(1-1.0/1000) || got > want*(1+1.0/1000)+1 {
			t.Errorf("quantile %v: %v, exact %v", q, got, want)
		}
	}
	if got := int64(h.quantile(1)); got != all[len(all)-1] {
		t.Errorf("quantile 1 is %d, the maximum %d", got, all[len(all)-1])
	}
}

func TestHistogramMergeAndEmpty(t *testing.T) {
	a, b := newHistogram(), newHistogram()
	if a.quantile(0.5) != 0 || a.count() != 0 || a.summary() != (Latency{}) {
		t.Error("an empty histogram has values")
	}
	a.record(10)
	b.record(30)
	b.record(-5) // a clock that was set back
	a.merge(b)
	if a.count() != 3 || a.max != 30 || a.quantile(0) != 0 || a.quantile(0.5) != 10 || a.quantile(1) != 30 {
		t.Errorf("merged: %d values, max %d, quantiles %v %v %v", a.count(), a.max, a.quantile(0), a.quantile(0.5), a.quantile(1))
	}
	a.record(math.MaxInt64)
	if a.count() != 4 || a.max != time.Hour || a.quantile(1) != time.Hour {
		t.Errorf("with a value out of range: %d values, max %v, quantile %v", a.count(), a.max, a.quantile(1))
	}
	if a.reset(); a.count() != 0 || a.max != 0 {
		t.Errorf("after a reset: %d values, max %v", a.count(), a.max)
	}
}

func BenchmarkHistogram(b *testing.B) {
	h := newHistogram()
	for i := range b.N {
		h.record(int64(50e3 + i%1000*100))
	}
}
