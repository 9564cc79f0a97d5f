package report

import (
	"math"

	"rtpjet/ngserver/ng"
	"rtpjet/relay/plan"
)

// reception fills o with what sequence numbers have told of received RTP, if somebody has counted.
func reception(o *ng.Object, r plan.Reception) {
	if !r.Counted {
		return
	}
	o.Int("packets_lost", int64(r.Lost))
	o.Int("rtp_duplicates", int64(r.Duplicates))
	o.Int("rtp_skips", int64(r.Gaps))
	o.Int("rtp_seq_resets", int64(r.Resets))
	o.Int("rtp_reordered", int64(r.Reordered))
}

// jitter fills o with what was measured of interarrival jitter, in ms. No samples have no mean.
func jitter(o *ng.Object, s plan.Samples) {
	const name = "jitter_measured"
	sum, squares := float64(s.Sum)/1e3, float64(s.Squares)/1e6
	o.Float(name+"_total", sum)
	o.Float(name+"2_total", squares)
	o.Int(name+"_samples_total", int64(s.Count))
	if s.Count == 0 {
		return
	}
	n := float64(s.Count)
	mean := sum / n
	o.Float(name+"_average", mean)
	o.Float(name+"_stddev", math.Sqrt(max(0, squares/n-mean*mean)))
}
