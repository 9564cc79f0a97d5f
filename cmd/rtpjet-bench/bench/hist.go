package bench

import (
	"math/bits"
	"time"
)

const (
	histSubBits = 6                // 64 steps an octave: a value is off by at most 1/64
	histSub     = 1 << histSubBits // values below this have a bucket of their own
	histBuckets = (64 - histSubBits + 1) * histSub
)

// histogram counts durations in buckets whose width grows with the value, so
// that recording one is a few instructions and no allocation. The zero value is
// ready for use. It belongs to one goroutine.
type histogram struct {
	counts [histBuckets]uint64
	n      uint64
	max    int64
}

// bucketOf returns the bucket of a value of nanoseconds.
func bucketOf(ns uint64) int {
	if ns < histSub {
		return int(ns)
	}
	shift := bits.Len64(ns) - histSubBits - 1
	return (shift+1)<<histSubBits + int(ns>>shift) - histSub
}

// bucketTop returns the largest value that falls into bucket i.
func bucketTop(i int) int64 {
	if i < histSub {
		return int64(i)
	}
	shift := i>>histSubBits - 1
	mantissa := uint64(i&(histSub-1)) + histSub
	return int64((mantissa+1)<<shift - 1)
}

// record adds a duration; a negative one (the clock was set back) counts as 0.
func (h *histogram) record(ns int64) {
	if ns < 0 {
		ns = 0
	}
	if ns > h.max {
		h.max = ns
	}
	h.counts[bucketOf(uint64(ns))]++
	h.n++
}

// merge adds all that o has recorded.
func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// quantile returns the value below or at which the share q of all recorded
// values lie, 0 if there are none. It is never above the recorded maximum.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) {
		rank++ // the smallest whole rank that covers q
	}
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, c := range h.counts {
		seen += c
		if seen >= rank {
			return time.Duration(min(bucketTop(i), h.max))
		}
	}
	return time.Duration(h.max)
}

// Latency is a distribution in microseconds.
type Latency struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

// summary returns the percentiles that the reports show.
func (h *histogram) summary() Latency {
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return Latency{
		Count: h.n,
		P50:   us(h.quantile(0.50)),
		P90:   us(h.quantile(0.90)),
		P99:   us(h.quantile(0.99)),
		P999:  us(h.quantile(0.999)),
		Max:   us(time.Duration(h.max)),
	}
}
