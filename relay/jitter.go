package relay

import "rtpjet/relay/plan"

// jitter is the interarrival jitter of one source (RFC 3550 §6.4.1, A.8), in time instead of the source's own units, so that figures
// of several can be summed. A packet has arrived when its loop has woken up for it: under load that is up to relay.Config.Moderation late.
type jitter struct {
	// value is the estimate in sixteenths of a µs, with bit 63 once there is one. Read by anybody.
	value counter

	arrived   int64 // the last packet whose clock is known, µs; 0: none
	timestamp uint32
	due       int64 // the next sample, µs

	// What r says of a payload type: its clock in Hz, 0 if it is not known.
	r    *route
	pt   uint8
	rate uint32
}

const (
	jitterKnown = 1 << 63
	// jitterEvery is how often a source that sends gives a sample, in µs: as often as it would have to report by RTCP (RFC 3550 §6.2).
	jitterEvery = 5_000_000
	// jitterBreak is a difference, in µs, that is no jitter: a source's timestamps have begun anew, or our clock was set.
	jitterBreak = 5_000_000
)

func (j *jitter) begin() {
	j.value.set(0)
	j.arrived, j.due = 0, 0
}

// measure takes in a packet. It is true when a sample is due. A packet whose clock is not known changes nothing. Telephone events are
// such: all packets of one have the same timestamp (RFC 4733 §2.2.1).
func (j *jitter) measure(r *route, pkt []byte, now int64) (sample bool) {
	if pt := payloadType(pkt); r != j.r || pt != j.pt {
		rate := r.clock(pt)
		j.r, j.pt = r, pt
		if rate != 0 && rate != j.rate {
			j.rate, j.arrived = rate, 0 // other units
		}
		if rate == 0 {
			j.r = nil // to be looked up again; rate stays that of the timestamp
		}
	}
	if j.r == nil || j.rate == 0 {
		return false
	}
	ts := timestamp(pkt)
	if j.arrived != 0 {
		d := now - j.arrived - int64(int32(ts-j.timestamp))*1_000_000/int64(j.rate)
		if d < 0 {
			d = -d
		}
		if d < jitterBreak {
			v := int64(j.value.load() &^ jitterKnown)
			j.value.set(uint64(v+d-(v+8)>>4) | jitterKnown)
		}
	}
	j.arrived, j.timestamp = now, ts
	switch {
	case j.due == 0:
		j.due = now + jitterEvery
	case now >= j.due:
		j.due = now + jitterEvery
		return j.value.load()&jitterKnown != 0
	}
	return false
}

// read returns the estimate in µs, false if there is none.
func (j *jitter) read() (us int64, known bool) {
	v := j.value.load()
	return int64(v&^jitterKnown) >> 4, v&jitterKnown != 0
}

// clock is the rate of a payload type in Hz, 0 if it is not known.
func (r *route) clock(pt uint8) uint32 {
	for i := range r.clocks {
		if r.clocks[i].PT == pt {
			return r.clocks[i].Rate
		}
	}
	return 0
}

// samples sum up estimates of jitter.
type samples struct{ count, sum, squares uint64 } // µs, µs²

func (s *samples) add(value uint64) {
	us := value &^ jitterKnown >> 4
	s.count++
	s.sum += us
	s.squares += us * us
}

// samplesTally are samples with one writer and any number of readers.
type samplesTally struct{ count, sum, squares counter }

func (t *samplesTally) set(s *samples) {
	t.count.set(s.count)
	t.sum.set(s.sum)
	t.squares.set(s.squares)
}

func (t *samplesTally) addTo(to *plan.Samples) {
	to.Count += t.count.load()
	to.Sum += t.sum.load()
	to.Squares += t.squares.load()
}
