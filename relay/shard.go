package relay

import (
	"net/netip"
	"slices"

	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

// Times of a shard's chores, in µs.
const (
	// reportInterval is the least time between two reports on one stream: a source that flaps must not flood the log.
	reportInterval = 250_000
	// reportRetry is when a report that found the channel full is tried again.
	reportRetry = 20_000
	// probeInterval is the time between two probes that open a NAT.
	probeInterval = 500_000
)

// sender sends a datagram from a stream's socket to its remote address; false if the system did not take it.
type sender interface {
	send(s *stream, pkt []byte) bool
}

// shard relays the packets of the calls that are assigned to it. It is not safe for concurrent use: its driver owns it.
// Only published may be read by others.
type shard struct {
	tx   sender
	news news
	mono func() int64 // monotonic, but in tests

	// What packets are decrypted into, stripped of feedback into, and encrypted into.
	opened, filtered, sealed []byte

	pools      []poolSums // by stream.pool
	shed       [numShed]uint64
	unreported []*stream // have news, and the time or the channel does not allow to report it yet
	probing    []*stream // send probes until they hear something
	crossings  []crossing
	due        int64 // when chores has something to do, µs; 0: never

	published published
}

// published is what others may read of a shard.
type published struct {
	pools []poolTally
	shed  [numShed]counter
}

// news is where a shard reports what its packets teach.
type news struct {
	learned chan<- plan.Learned
	crossed chan<- plan.Crossed
}

// newShard makes a shard for streams of so many pools.
func newShard(tx sender, news news, pools int) shard {
	return shard{
		tx: tx, news: news, mono: monotonic, opened: make([]byte, 0, maxDatagram), filtered: make([]byte, 0, maxDatagram),
		sealed: make([]byte, 0, maxDatagram+srtp.Overhead),
		pools:  make([]poolSums, pools+1), published: published{pools: make([]poolTally, pools+1)},
	}
}

// at is what s has to be counted under beside its own counters.
func (h *shard) at(s *stream) *poolSums { return &h.pools[s.pool] }

// maxDatagram is the longest UDP payload.
const maxDatagram = 1<<16 - 1

// handle relays one datagram that has arrived on s from src at now, µs of Unix time.
func (h *shard) handle(s *stream, pkt []byte, src netip.AddrPort, now int64) {
	if !h.permitted(s) {
		s.refuse(h, ShedNotHeld)
		return
	}
	k, plain, sinks, ok := s.receive(h, pkt, src, now)
	if s.dirty {
		h.report(s, now)
	}
	if !ok {
		return
	}
	in := &h.at(s).in
	in.Packets++
	in.Bytes += uint64(len(pkt))
	var w wire
	for _, sink := range sinks {
		if sink.permit != s.permit && !h.permitted(sink) {
			h.notSent(sink, ShedNotHeld)
			continue
		}
		ready := sink.ready()
		if sink.dirty {
			h.report(sink, now)
		}
		if !ready {
			h.shed[ShedNoAddress]++ // no error: that of the call, if any
			continue
		}
		leaving, ok := h.prepare(&w, sink, k, plain, now)
		if !ok {
			h.shed[ShedFeedback]++
			continue
		}
		switch {
		case leaving == nil:
			h.notSent(sink, ShedUnsealed)
			continue
		case !h.permitted(sink):
			h.notSent(sink, ShedNotHeld)
			continue
		case !h.tx.send(sink, leaving):
			h.notSent(sink, ShedNotSent)
			continue
		}
		sink.countOut(k, leaving)
		out := &h.at(sink).out
		out.Packets++
		out.Bytes += uint64(len(leaving))
	}
}

// wire is how a packet was last protected: sinks with the same sender stand next to each other.
type wire struct {
	sealed   []byte
	by       *srtp.Sender
	filtered bool // what was protected has no feedback
}

// prepare makes of a packet what is to leave from sink, nil if it cannot be protected. ok is false if nothing of it is for its party.
func (h *shard) prepare(w *wire, sink *stream, k kind, plain []byte, now int64) (leaving []byte, ok bool) {
	r := sink.cur.Load()
	leaving = plain
	filters := k == kindRTCP && r.plan.NoFeedback
	if filters {
		if leaving = withoutFeedback(h.filtered, plain); len(leaving) == 0 {
			return nil, false
		}
	}
	if r.plan.Encrypt == nil {
		return leaving, true
	}
	if w.by == nil || w.by != r.out || w.filtered != filters {
		w.sealed, w.by, w.filtered = h.protect(sink, r.out, k, leaving, now), r.out, filters
	}
	return w.sealed, true
}

// notSent counts a packet that should have left from sink.
func (h *shard) notSent(sink *stream, why Shed) {
	h.shed[why]++
	sink.out.errors.add(1)
	h.at(sink).out.Errors++
}

// attend takes up the newest route of s without waiting for a packet and does what the route asks for by itself.
func (h *shard) attend(s *stream, now int64) {
	if !s.probing && s.wantsProbe(h.permitted(s)) {
		s.probing, s.probeDue = true, now
		h.probing = append(h.probing, s)
		h.due = earlier(h.due, now)
	}
}

// wantsProbe tells whether s probes, or, while it is not permitted, may have to once it is.
func (s *stream) wantsProbe(permitted bool) bool {
	if !permitted {
		r := s.route.Load()
		return r != nil && r.plan.PierceNAT
	}
	r := s.sync()
	return r != nil && r.plan.PierceNAT && !s.heard && s.open
}

// report passes on what s has learned, now or later.
func (h *shard) report(s *stream, now int64) {
	if s.tryReport(h.news.learned, now) || s.queued {
		return
	}
	s.queued = true
	h.unreported = append(h.unreported, s)
	h.due = earlier(h.due, s.reportDue)
}

// tryReport returns false if the report has to be tried again.
func (s *stream) tryReport(learned chan<- plan.Learned, now int64) bool {
	r := s.route.Load()
	if r == nil || !s.latch.source.IsValid() {
		s.dirty = false
		return true
	}
	if now < s.reportDue {
		return false
	}
	news := plan.Learned{
		Call: r.call, Local: s.local, Remote: s.latch.source, Epoch: s.cur.Load().plan.Epoch, Confirmed: s.latch.confirmed,
	}
	select {
	case learned <- news:
		s.dirty, s.reportDue = false, now+reportInterval
		return true
	default:
		s.reportDue = now + reportRetry
		return false
	}
}

// chores does what is due at now and returns when it wants to be called again, 0 if only after a packet or a new route.
func (h *shard) chores(now int64) int64 {
	if h.due == 0 || now < h.due {
		return h.due
	}
	h.due = 0
	h.unreported = slices.DeleteFunc(h.unreported, func(s *stream) bool {
		if s.dirty && !s.tryReport(h.news.learned, now) {
			h.due = earlier(h.due, s.reportDue)
			return false
		}
		s.queued = false
		return true
	})
	h.crossings = slices.DeleteFunc(h.crossings, func(c crossing) bool {
		if !h.tryCrossing(c, now) {
			h.due = earlier(h.due, c.s.crossDue)
			return false
		}
		c.src.Queued = false
		return true
	})
	h.probing = slices.DeleteFunc(h.probing, func(s *stream) bool {
		permitted := h.permitted(s)
		if !s.wantsProbe(permitted) {
			s.probing = false
			return true
		}
		if now >= s.probeDue {
			s.probeDue = now + probeInterval
			if permitted {
				h.tx.send(s, piercer[:])
			} else {
				s.probeDue -= now % probeInterval // one wake-up for all that wait
			}
		}
		h.due = earlier(h.due, s.probeDue)
		return false
	})
	return h.due
}

// earlier returns the earlier of two times of which 0 means never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// forget removes a stream that is about to be closed.
func (h *shard) forget(s *stream) {
	is := func(o *stream) bool { return o == s }
	if s.queued {
		h.unreported = slices.DeleteFunc(h.unreported, is)
	}
	if s.probing {
		h.probing = slices.DeleteFunc(h.probing, is)
	}
	h.crossings = slices.DeleteFunc(h.crossings, func(c crossing) bool {
		if c.s == s {
			c.src.Queued = false // another stream may have it, too
			return true
		}
		return false
	})
}

// publish makes the sums visible to others. Once per wake-up is enough.
func (h *shard) publish() {
	changed := false
	for _, why := range [...]Shed{ShedSource, ShedMalformed, ShedNotAuthentic} { // what may be counted nowhere else
		changed = changed || h.published.shed[why].load() != h.shed[why]
	}
	for i := range h.pools {
		changed = h.published.pools[i].set(&h.pools[i]) || changed
	}
	if !changed {
		return
	}
	for i := range h.shed {
		h.published.shed[i].set(h.shed[i])
	}
}
