package relay

import "rtpjet/relay/plan"

// Bounds of RFC 3550 A.1: how far a sequence number may be ahead of the newest one, or behind it, and still be of the same row.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// gaps follows the sequence numbers of one source, as RFC 3550 A.1 does, and keeps in mind which of the newest are missing, so that
// one that comes late is told from one that comes twice. It is pure.
type gaps struct {
	newest, first uint64 // sequence numbers, counted on where 16 bits wrap around; first is that of the first packet
	low, high     uint64 // bit n: the packet n before the newest is missing. Invariant: more than maxMisorder of them
	anew          uint32 // the sequence number that would show that the source has begun anew; nowhere if none would
}

// nowhere is no sequence number.
const nowhere = 1 << 16

// place is where a packet stands in the row of its source.
type place uint8

const (
	placeNext      place = iota // right behind the newest one
	placeAhead                  // there is a gap before it
	placeLate                   // it was missing
	placeOlder                  // it was sent before the first one that arrived
	placeDuplicate              // it has arrived before
	placeAway                   // somewhere else: it counts for nothing unless the next one follows it
	placeAnew                   // it follows one that was somewhere else: the source has begun anew
)

// newGaps begins with a source's first packet.
func newGaps(seq uint16) gaps {
	at := uint64(seq) + 1<<16
	return gaps{newest: at, first: at, anew: nowhere}
}

// take judges the next packet. skipped is how many packets before it are missing, if there is a gap.
func (g *gaps) take(seq uint16) (p place, skipped int) {
	ahead := int(int16(seq - uint16(g.newest)))
	switch {
	case ahead == 1:
		g.advance(1)
		return placeNext, 0
	case ahead > 1 && ahead <= maxDropout:
		g.advance(uint(ahead))
		g.low |= 1<<min(ahead, 64) - 2
		if ahead > 64 {
			g.high |= 1<<min(ahead-64, 64) - 1
		}
		return placeAhead, ahead - 1
	case ahead <= 0 && ahead >= -maxMisorder:
		return g.behind(uint(-ahead)), 0
	}
	if g.anew == uint32(seq) {
		*g = newGaps(seq)
		g.first-- // the one before it has arrived, too
		return placeAnew, 0
	}
	g.anew = uint32(seq + 1)
	return placeAway, 0
}

// advance makes a packet that is so far ahead the newest one. A shift by 64 or more gives 0, and so does one by less than 0, which
// wraps around.
func (g *gaps) advance(by uint) {
	g.newest += uint64(by)
	g.anew = nowhere
	g.high = g.high<<by | g.low>>(64-by) | g.low<<(by-64)
	g.low <<= by
}

// behind judges a packet so far behind the newest one.
func (g *gaps) behind(by uint) place {
	bits, bit := &g.low, uint64(1)<<(by&63)
	if by > 63 {
		bits = &g.high
	}
	switch {
	case *bits&bit != 0:
		*bits &^= bit
		return placeLate
	case g.newest-uint64(by) < g.first:
		return placeOlder
	}
	return placeDuplicate
}

// receptionTally is a plan.Reception with one writer and any number of readers.
type receptionTally struct{ lost, gaps, reordered, duplicates, resets counter }

func (t *receptionTally) read() plan.Reception {
	return plan.Reception{
		Counted: true, Lost: t.lost.load(), Gaps: t.gaps.load(), Reordered: t.reordered.load(), Duplicates: t.duplicates.load(), Resets: t.resets.load(),
	}
}

func (t *receptionTally) add(r *plan.Reception) {
	t.lost.add(r.Lost)
	t.gaps.add(r.Gaps)
	t.reordered.add(r.Reordered)
	t.duplicates.add(r.Duplicates)
	t.resets.add(r.Resets)
}

func (t *receptionTally) set(r *plan.Reception) {
	t.lost.set(r.Lost)
	t.gaps.set(r.Gaps)
	t.reordered.set(r.Reordered)
	t.duplicates.set(r.Duplicates)
	t.resets.set(r.Resets)
}

func addReception(to *plan.Reception, r plan.Reception) {
	to.Counted = to.Counted || r.Counted
	to.Lost += r.Lost
	to.Gaps += r.Gaps
	to.Reordered += r.Reordered
	to.Duplicates += r.Duplicates
	to.Resets += r.Resets
}

// listener follows what arrives of one source.
type listener struct {
	received receptionTally // read by anybody
	gaps     gaps
	jitter   jitter
}

// begin makes l follow a source from its first packet.
func (l *listener) begin(seq uint16) {
	l.received.set(&plan.Reception{})
	l.gaps = newGaps(seq)
	l.jitter.begin()
}
