package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	histLongest = int64(time.Hour) // no run takes longer; what does counts as this
	histDigits  = 3                // significant ones: a value is off by at most a thousandth
)

// histogram counts durations in an HdrHistogram of nanoseconds, which records one without an allocation. It belongs to
// one goroutine.
type histogram struct {
	hdr *hdrhistogram.Histogram
	max time.Duration // exact
}

func newHistogram() *histogram {
	return &histogram{hdr: hdrhistogram.New(1, histLongest, histDigits)}
}

// reset forgets all values.
func (h *histogram) reset() {
	h.hdr.Reset()
	h.max = 0
}

// record adds a duration; a negative one (the clock was set back) counts as 0.
func (h *histogram) record(ns int64) {
	ns = min(max(ns, 0), histLongest)
	h.max = max(h.max, time.Duration(ns))
	_ = h.hdr.RecordValue(ns) // refuses only what is out of its range
}

// merge adds all that o has recorded.
func (h *histogram) merge(o *histogram) {
	h.hdr.Merge(o.hdr)
	h.max = max(h.max, o.max)
}

// count returns how many values have been recorded.
func (h *histogram) count() uint64 { return uint64(h.hdr.TotalCount()) }

// quantile returns the value below or at which the share q of all recorded
// values lie, 0 if there are none. It is never above the recorded maximum.
func (h *histogram) quantile(q float64) time.Duration {
	return min(time.Duration(h.hdr.ValueAtPercentile(100*q)), h.max)
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
		Count: h.count(),
		P50:   us(h.quantile(0.50)),
		P90:   us(h.quantile(0.90)),
		P99:   us(h.quantile(0.99)),
		P999:  us(h.quantile(0.999)),
		Max:   us(h.max),
	}
}
