package relay

import "net/netip"

// Shed says why a packet went no further.
type Shed uint8

// The reasons.
const (
	// ShedMalformed: what arrived is neither RTP nor RTCP, nor what else may come on its stream.
	ShedMalformed Shed = iota
	// ShedSource: it came from an address that the stream does not listen to.
	ShedSource
	// ShedNotAuthentic: it cannot be decrypted: another key, a repetition, or damage.
	ShedNotAuthentic
	// ShedNotHeld: this node does not hold the floating address, or no longer.
	ShedNotHeld
	// ShedBlocked: a command has blocked media or DTMF of its party.
	ShedBlocked
	// ShedLoop: it has come again and again, on a stream whose party named one of our own addresses.
	ShedLoop
	// ShedFeedback: it was RTCP feedback only, and the party that it is for knows none.
	ShedFeedback
	// ShedNoAddress: the party that it is for has no address yet, or is on hold.
	ShedNoAddress
	// ShedUnsealed: it cannot be encrypted for the party that it is for.
	ShedUnsealed
	// ShedNotSent: the system did not take it.
	ShedNotSent

	numShed = iota
)

var shedNames = [numShed]string{
	"malformed", "source", "not_authentic", "not_held", "blocked", "loop", "feedback", "no_address", "unsealed", "not_sent",
}

// String returns a short name.
func (s Shed) String() string { return shedNames[s] }

// refuse counts a packet that arrived on s and goes no further.
func (s *stream) refuse(h *shard, why Shed) {
	h.shed[why]++
	s.in.errors.add(1)
	h.at(s).in.Errors++
}

// refuseFrom is refuse, but what a stranger sends is no error of the party's.
func (s *stream) refuseFrom(h *shard, src netip.AddrPort, why Shed) {
	if s.latch.foreign(src) {
		h.shed[why]++
		return
	}
	s.refuse(h, why)
}

// turnAway drops a packet of a stranger. It is no error of the party's stream, or whoever likes could spoil its figures, unless
// the party was said to have no other source.
func (s *stream) turnAway(h *shard, r *route) {
	if r.plan.StrictSource {
		s.refuse(h, ShedSource)
		return
	}
	h.shed[ShedSource]++
}
