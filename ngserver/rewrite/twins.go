package rewrite

import (
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/sdp"
)

// twins writes a section for a receiver that sees it as two: a plain one and a secure one, the older form of OSRTP. An offer
// may have both for choice, at the same sockets; else one of them is in use, and the other has port 0.
func (r *renderer) twins(m *sdp.Media, s, o *events.Media) {
	inUse := sdp.LookupProto(o.Protocol).IsSRTP()
	choice := !r.Answer && !inUse && len(o.Keys().Sent) > 0
	order := profiles(o)
	for i, proto := range order {
		twin := *o
		twin.Protocol = proto
		secure := sdp.LookupProto(proto).IsSRTP()
		if secure != inUse && !choice {
			twin.Rejected = true
		}
		if twin.Rejected && !o.Rejected || choice && i > 0 {
			twin.Mid = "" // it names one section
		}
		if !secure {
			twin.SRTP = nil
		}
		r.section(m, s, &twin)
	}
}

// profiles are those of the sections that a receiver sees of one, in their order.
func profiles(o *events.Media) []string {
	plain := strings.Replace(strings.TrimPrefix(o.Protocol, "UDP/TLS/"), "SAVP", "AVP", 1)
	secure := o.Protocol
	if !sdp.LookupProto(secure).IsSRTP() {
		secure = strings.Replace(secure, "AVP", "SAVP", 1)
	}
	switch o.Twin {
	case events.TwinPlain:
		return []string{plain, secure}
	case events.TwinSecure:
		return []string{secure, plain}
	}
	return []string{o.Protocol}
}
