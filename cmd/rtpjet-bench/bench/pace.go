package bench

import "math"

// pacer says which packets are due. All legs send at one interval, and their
// phases are spread evenly over it; packet k of the whole schedule is therefore
// due at start + k*interval/legs and belongs to leg k mod legs. That makes the
// schedule one number.
type pacer struct {
	start    int64   // ns, when packet 0 is due
	gap      float64 // ns between two packets of the whole schedule
	legs     int
	next     uint64 // the packet to send next
	maxLate  int64  // ns; packets later than this are left out
	skipped  uint64
	worstLag int64 // ns, how late the latest packet was
	worstAt  int64 // ns, when that was
}

// newPacer makes a schedule for legs that send interval ns apart each.
func newPacer(start int64, interval float64, legs int, maxLate int64) pacer {
	return pacer{start: start, gap: interval / float64(legs), legs: legs, maxLate: maxLate}
}

// dueBefore returns how many packets of the schedule are due at the time now.
func (p *pacer) dueBefore(now int64) uint64 {
	if now < p.start {
		return 0
	}
	return uint64(float64(now-p.start)/p.gap) + 1
}

// at returns when packet k is due.
func (p *pacer) at(k uint64) int64 {
	return p.start + int64(math.Ceil(float64(k)*p.gap))
}

// take returns the legs to send from at the time now, as the first leg and a
// count to go round from there, at most limit. Packets that are more than
// maxLate late are skipped and counted: a generator that cannot keep up must not
// end in one endless burst.
func (p *pacer) take(now int64, limit int) (first, count int) {
	due := p.dueBefore(now)
	if due <= p.next {
		return 0, 0
	}
	if oldest := p.dueBefore(now - p.maxLate); p.next+1 < oldest {
		p.skipped += oldest - 1 - p.next
		p.next = oldest - 1
	}
	if lag := now - p.at(p.next); lag > p.worstLag {
		p.worstLag, p.worstAt = lag, now
	}
	n := min(due-p.next, uint64(limit))
	first = int(p.next % uint64(p.legs))
	p.next += n
	return first, int(n)
}

// searchRates returns the offered rates of a search for the best: from the first
// up to the last, each a factor above the one before, and the last itself.
func searchRates(first, last, factor float64) []float64 {
	var rates []float64
	for r := first; r < last*0.999; r *= factor {
		rates = append(rates, r)
	}
	return append(rates, last)
}

// spread describes how evenly something is shared out.
type spread struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
	// Jain is Jain's index: 1 if all have the same, 1/n if one has all.
	Jain float64 `json:"jain"`
}

// spreadOf returns the spread of xs, zero if xs is empty.
func spreadOf(xs []float64) spread {
	if len(xs) == 0 {
		return spread{}
	}
	s := spread{Min: math.Inf(1)}
	var sum, squares float64
	for _, x := range xs {
		s.Min, s.Max = min(s.Min, x), max(s.Max, x)
		sum += x
		squares += x * x
	}
	s.Mean = sum / float64(len(xs))
	if squares > 0 {
		s.Jain = sum * sum / (float64(len(xs)) * squares)
	}
	return s
}
