package relay

import "rtpjet/relay/plan"

// poolSums are the counts of all streams that a shard has had on one address.
type poolSums struct {
	in, out  plan.Counters
	received plan.Reception
	jitter   samples
}

// poolTally are poolSums with one writer and any number of readers.
type poolTally struct {
	in, out  tally
	received receptionTally
	jitter   samplesTally
}

// set takes over what has changed. Nothing changes without a packet.
func (t *poolTally) set(s *poolSums) (changed bool) {
	if t.in.packets.load()+t.in.errors.load()+t.out.packets.load()+t.out.errors.load() ==
		s.in.Packets+s.in.Errors+s.out.Packets+s.out.Errors {
		return false
	}
	t.in.set(&s.in)
	t.out.set(&s.out)
	t.received.set(&s.received)
	t.jitter.set(&s.jitter)
	return true
}

func (t *poolTally) addTo(s *Sums) {
	addCounters(&s.In, t.in.read())
	addCounters(&s.Out, t.out.read())
	addReception(&s.Received, t.received.read())
	t.jitter.addTo(&s.Jitter)
}

// sums are what shards have published, by pool, the first being what is of none.
type sums struct {
	pools []Sums
	shed  [numShed]uint64
}

// add adds what h has published.
func (s *sums) add(h *shard) {
	if s.pools == nil {
		s.pools = make([]Sums, len(h.published.pools))
	}
	for i := range s.pools {
		h.published.pools[i].addTo(&s.pools[i])
	}
	for i := range s.shed {
		s.shed[i] += h.published.shed[i].load()
	}
}

// all is the sum of all pools.
func (s *sums) all() (t Sums) {
	for i := range s.pools {
		p := &s.pools[i]
		addCounters(&t.In, p.In)
		addCounters(&t.Out, p.Out)
		addReception(&t.Received, p.Received)
		addSamples(&t.Jitter, p.Jitter)
	}
	return t
}

func addSamples(to *plan.Samples, s plan.Samples) {
	to.Count += s.Count
	to.Sum += s.Sum
	to.Squares += s.Squares
}
