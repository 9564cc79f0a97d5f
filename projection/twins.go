package projection

import (
	"slices"
	"strings"

	"rtpjet/events"
)

// The older form of OSRTP offers a media twice: in a plain section and in a secure one next to it, of which the other side
// takes one. Here both are one section, the secure one if that is in use; whoever sees two has it in Media.Twin.

// joinTwins returns the sections of an SDP with each pair of its sender joined to one. In an offer that is what the client
// asks for, and in all later SDPs of that party; in an answer the pair is ours. medias are the sender's sections so far.
func joinTwins(s *Signal, medias []events.Media) []Section {
	secs := s.Desc.Sections
	accepts := !s.Answer && (slices.Contains(s.Req.OSRTP, "accept") || slices.Contains(s.Req.OSRTP, "accept-legacy"))
	known := Order(medias)
	joined := make([]Section, 0, len(secs))
	for i := 0; i < len(secs); i++ {
		sec := secs[i]
		sec.Index = i
		k := len(joined) // where the section stands among those of the sender
		twin := k < len(known) && medias[known[k]].Twin != 0
		if (twin || accepts) && i+1 < len(secs) && areTwins(&secs[i], &secs[i+1]) {
			other := secs[i+1]
			other.Index = i + 1
			sec = chooseTwin(sec, other)
			i++
		}
		joined = append(joined, sec)
	}
	return joined
}

func areTwins(a, b *Section) bool {
	return a.RTP && b.RTP && strings.EqualFold(a.Type, b.Type) && secured(a.Protocol) != secured(b.Protocol)
}

// chooseTwin prefers the secure one, unless only the plain one can be used.
func chooseTwin(first, second Section) Section {
	plain, secure, twin := first, second, events.TwinPlain
	if secured(first.Protocol) {
		plain, secure, twin = second, first, events.TwinSecure
	}
	chosen := secure
	if !plain.Rejected && (secure.Rejected || len(secure.Crypto) == 0 && !secure.DTLS) {
		chosen = plain
	}
	chosen.Twin = twin
	return chosen
}

// offersTwins tells whether a receiver with a plain profile is offered a section twice. One that has been told the section
// as one is not: the sections behind it would no longer be at their places.
func (d *mediaDecision) offersTwins(o *events.Media) bool {
	return slices.Contains(d.Req.OSRTP, "offer-legacy") && (o.Twin != 0 || !o.Told)
}
