package relay

import (
	"sync/atomic"

	"rtpjet/relay/plan"
)

// sources are those of the RTP that has arrived on a stream, and of what has left from it.
type sources struct {
	in, out  sourceTable
	received receptionTally // of all that have arrived
	// first and others are the listeners of the slots of in, as there.
	first  listener
	others atomic.Pointer[[maxSources - 1]listener]
}

// listener returns that of a slot of in. The shard may call it.
func (c *sources) listener(slot uint64) *listener {
	if slot == 0 {
		return &c.first
	}
	if c.others.Load() == nil {
		c.others.Store(new([maxSources - 1]listener))
	}
	return &c.others.Load()[slot-1]
}

// countIn counts a packet that has arrived on s, where r says what is expected there.
func (s *stream) countIn(h *shard, r *route, k kind, pkt []byte, now int64) {
	if src := s.sources; src != nil && k == kindRTP {
		slot, fresh := src.in.note(pkt, &s.in)
		l := src.listener(slot)
		if fresh {
			l.begin(sequence(pkt))
		} else if p, skipped := l.gaps.take(sequence(pkt)); p != placeNext {
			s.irregular(h, l, p, skipped)
		}
		if l.jitter.measure(r, pkt, now) {
			h.at(s).jitter.add(l.jitter.value.load())
		}
	}
	s.in.packets.add(1)
	s.in.bytes.add(uint64(len(pkt)))
	if src := s.sources; src != nil && k != kindRTP {
		src.in.pass(len(pkt))
	}
}

// countOut counts a packet that has left from s.
func (s *stream) countOut(k kind, pkt []byte) {
	if s.sources != nil && k == kindRTP {
		s.sources.out.note(pkt, &s.out)
	}
	s.out.packets.add(1)
	s.out.bytes.add(uint64(len(pkt)))
	if s.sources != nil && k != kindRTP {
		s.sources.out.pass(len(pkt))
	}
}

// irregular counts a packet that did not follow the one before it, for its source, its stream and its address.
func (s *stream) irregular(h *shard, l *listener, p place, skipped int) {
	var r plan.Reception
	switch p {
	case placeAhead:
		r.Gaps, r.Lost = 1, uint64(skipped)
	case placeLate:
		r.Reordered, r.Lost = 1, ^uint64(0) // one less
	case placeOlder:
		r.Reordered = 1
	case placeDuplicate:
		r.Duplicates = 1
	case placeAnew:
		r.Resets = 1
	case placeNext, placeAway:
		return
	}
	l.received.add(&r)
	s.sources.received.add(&r)
	addReception(&h.at(s).received, r)
}

// read adds to the statistics of s what its sources are. Anybody may call it.
func (c *sources) read(s *stream, st *plan.Stats) {
	st.Received = c.received.read()
	st.EgressSSRC, _ = c.out.read(&s.out)
	src, slot := c.in.read(&s.in)
	l := &c.first
	if others := c.others.Load(); slot > 0 {
		if others == nil { // the shard is about to make them
			others = new([maxSources - 1]listener)
		}
		l = &others[slot-1]
	}
	if src.Seen {
		src.Received = l.received.read()
		src.Jitter, src.JitterKnown = l.jitter.read()
	}
	st.IngressSSRC = src
}
