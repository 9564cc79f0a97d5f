package srtp

import (
	"sync/atomic"

	"rtpjet/relay/plan"
)

// Source is one SSRC of one direction.
type Source struct {
	ssrc      uint32
	rtp, rtcp window
	resumed   bool // rtp stands where the plan says; no packet has confirmed it yet
	skipped   bool // rtcp has jumped ahead, and nobody was told

	// What Rollover reads: the highest index of each.
	rtpAt, rtcpAt atomic.Uint64

	// Queued is the caller's, to mark a source whose news it has yet to pass on.
	Queued bool
}

// Rollover is the source's state now. Anybody may call it.
func (s *Source) Rollover() plan.Rollover {
	at := s.rtpAt.Load()
	return plan.Rollover{SSRC: s.ssrc, ROC: uint32(at >> 16), Seq: uint16(at), Index: uint32(s.rtcpAt.Load())}
}

// Limits of indices: the rollover counter with the sequence number has 48 bits, the SRTCP index 31. Beyond them the key is
// used up (RFC 3711 §9.2).
const (
	maxIndex     = 1<<48 - 1
	maxRTCPIndex = 1<<31 - 1
)

// Steps of an index after which a source is news.
const (
	rtpStep  = 1 << 15 // half of the sequence space
	rtcpStep = 1 << 9  // half of what a resumed SRTCP index skips
)

// rtcpSkip is how far a resumed SRTCP index jumps ahead.
const rtcpSkip = 1 << 10

// newSource takes up r as a stream that goes on. What had been received before is not to be received again.
func newSource(r plan.Rollover, skip uint32) *Source {
	s := &Source{ssrc: r.SSRC, resumed: true, skipped: skip != 0}
	s.rtp.resume(uint64(r.ROC)<<16 | uint64(r.Seq))
	s.rtcp.resume(min(uint64(r.Index)+uint64(skip), maxRTCPIndex))
	s.publish()
	return s
}

// beginRTCP has the first SRTCP index of a source that is sent be the one above first.
func (s *Source) beginRTCP(first uint32) {
	s.rtcp.resume(min(uint64(first), maxRTCPIndex-1))
	s.skipped = true
}

// usedRTP notes an index and returns the source if it is news.
func (s *Source) usedRTP(index uint64) *Source {
	crossed := s.rtp.use(index, rtpStep)
	s.resumed = false
	s.publish()
	if crossed {
		return s
	}
	return nil
}

// usedRTCP is the same for SRTCP. An index that has jumped ahead is news with its first packet: resumed once more from the
// old one, the source would use what it uses now a second time.
func (s *Source) usedRTCP(index uint64) *Source {
	crossed := s.rtcp.use(index, rtcpStep) || s.skipped
	s.skipped = false
	s.publish()
	if crossed {
		return s
	}
	return nil
}

func (s *Source) publish() {
	if s.rtpAt.Load() != s.rtp.top {
		s.rtpAt.Store(s.rtp.top)
	}
	if s.rtcpAt.Load() != s.rtcp.top {
		s.rtcpAt.Store(s.rtcp.top)
	}
}

// follow is the index of sequence number seq, next to the highest index so far, as RFC 3711 §3.3.1 has it: the nearest. It
// is negative before the first index of all.
func follow(top uint64, seq uint16) int64 {
	delta := int64(int16(seq - uint16(top)))
	if delta == -rtpStep && uint16(top) < rtpStep {
		delta = rtpStep // as far in both directions; this is what the RFC's comparison comes to
	}
	return int64(top) + delta
}

// ahead is the index of seq in a stream of which an older index is known. That may be almost two steps old, if the report of
// the last one was lost, so all that follows is believed rather than half of it; what was sent late is still seen as such.
func ahead(known uint64, seq uint16) int64 {
	delta := int64(seq - uint16(known))
	if delta >= 1<<16-windowSize && int64(known)+delta >= 1<<16 {
		delta -= 1 << 16
	}
	return int64(known) + delta
}

// window tells which indices were used (RFC 3711 §3.3.2), a ring of words in the manner of RFC 6479.
type window struct {
	top   uint64 // highest index
	begun bool   // top means something
	words [windowWords]uint64
}

const (
	windowWords = 8
	windowSize  = 64 * (windowWords - 1) // the word at the top may be almost empty
)

// resume has w go on above index.
func (w *window) resume(index uint64) {
	w.top, w.begun = index, true
	for i := range w.words {
		w.words[i] = ^uint64(0)
	}
	w.words[index/64%windowWords] = 1<<(index%64+1) - 1
}

// fresh is false for an index that was used, or that is too old to tell.
func (w *window) fresh(index uint64) bool {
	switch {
	case !w.begun || index > w.top:
		return true
	case w.top-index >= windowSize:
		return false
	}
	return w.words[index/64%windowWords]&(1<<(index%64)) == 0
}

// use marks an index that is fresh. crossed is true if the highest index is in another step now, or is the first.
func (w *window) use(index, step uint64) (crossed bool) {
	if !w.begun || index > w.top {
		crossed = !w.begun || index/step != w.top/step
		if w.begun {
			for word, n := w.top/64+1, 0; word <= index/64 && n < windowWords; word, n = word+1, n+1 {
				w.words[word%windowWords] = 0
			}
		}
		w.top, w.begun = index, true
	}
	w.words[index/64%windowWords] |= 1 << (index % 64)
	return crossed
}
