package relay

import (
	"net/netip"

	"rtpjet/relay/plan"
)

// rank says how well a source fits the address that was signalled. Lower is better.
type rank uint8

const (
	rankExact   rank = iota // the very address
	rankAddress             // same address, other port
	rankPort                // same port, other address
	rankAny
	rankNone // nothing seen yet
)

func rankOf(src, signalled netip.AddrPort) rank {
	if !signalled.IsValid() {
		return rankAny
	}
	r := rankExact
	if src.Port() != signalled.Port() {
		r |= rankAddress
	}
	if src.Addr() != signalled.Addr() {
		r |= rankPort
	}
	return r
}

// latch learns where a party's packets come from (ng-reference §6.1). It is pure: the rules come with the plan, the time
// with the packet.
type latch struct {
	source    netip.AddrPort // the best source so far; invalid if none
	best      rank           // of source, in this epoch
	confirmed bool           // learning has ended for this epoch
}

// restart begins a new epoch. A source that the log has recorded stays in use until a packet of the same or a better
// rank arrives. Failing that, the source that this latch has found stays if the signalled address is the old one: the
// event that records it may still be under way.
func (l *latch) restart(st *plan.Stream, signalledBefore netip.AddrPort) {
	switch {
	case st.Mode == plan.LearnOff:
		*l = latch{source: st.Signalled, best: rankExact, confirmed: st.Signalled.IsValid()}
	case st.Learned.IsValid():
		*l = latch{source: st.Learned, best: rankOf(st.Learned, st.Signalled), confirmed: st.Confirmed}
	case l.source.IsValid() && st.Signalled == signalledBefore:
		*l = latch{source: l.source, best: rankOf(l.source, st.Signalled)}
	default:
		*l = latch{best: rankNone}
	}
}

// remote is the address to send to, invalid if none is known.
func (l *latch) remote(st *plan.Stream) netip.AddrPort {
	if st.Asymmetric || !l.source.IsValid() {
		return st.Signalled
	}
	return l.source
}

// refuses is true for a source whose packets step would refuse without learning anything from them.
func (l *latch) refuses(st *plan.Stream, src netip.AddrPort) bool {
	return l.confirmed && src != l.source && st.StrictSource && !st.MediaHandover
}

// step judges one packet from src at now, in µs of Unix time. stray is true for a packet that may be forwarded but is no
// sign of where media comes from. ok is false if the packet must be dropped; changed is true if source or confirmed is new.
func (l *latch) step(st *plan.Stream, src netip.AddrPort, stray bool, now int64) (ok, changed bool) {
	if l.confirmed {
		switch {
		case src == l.source || !(st.StrictSource || st.MediaHandover):
			return true, false
		case !st.MediaHandover:
			return false, false
		case stray || !st.MayLearn || st.Mode == plan.LearnOff:
			return true, false
		}
		l.source = src
		return true, true
	}
	if stray || !st.MayLearn || st.Mode == plan.LearnOff {
		return true, false
	}
	over := now > st.LearnUntil
	switch st.Mode {
	case plan.LearnImmediate:
		over = true
	case plan.LearnHeuristic:
		r := rankOf(src, st.Signalled)
		if r > l.best {
			// The window has ended with a better source known: that one it is.
			l.confirmed = over
			return !st.StrictSource, over
		}
		over = over || r == rankExact
		l.best = r
	case plan.LearnDelayed, plan.LearnOff:
	}
	changed = over || l.source != src
	l.source, l.confirmed = src, over
	return true, changed
}
