package sdp

import "strings"

// Proto is a transport of an m= line, one of the RTP profiles or another protocol (RFC 8866 §5.14).
type Proto uint8

// The transports that mean something to a relay. ProtoOther stands for all others, whose sections are relayed as
// datagrams or copied through.
const (
	ProtoOther Proto = iota
	RTPAVP
	RTPAVPF
	RTPSAVP
	RTPSAVPF
	TLSSAVP
	TLSSAVPF
	UDPTL
	numProtos
)

var protoNames = [numProtos]string{
	ProtoOther: "",
	RTPAVP:     "RTP/AVP",
	RTPAVPF:    "RTP/AVPF",
	RTPSAVP:    "RTP/SAVP",
	RTPSAVPF:   "RTP/SAVPF",
	TLSSAVP:    "UDP/TLS/RTP/SAVP",
	TLSSAVPF:   "UDP/TLS/RTP/SAVPF",
	UDPTL:      "udptl",
}

// LookupProto returns the transport of that name in any case, ProtoOther if it is none of ours.
func LookupProto(name string) Proto {
	// Hardly two names are of one length, so few are compared in full.
	for p := RTPAVP; p < numProtos; p++ {
		if equalFold(name, protoNames[p]) {
			return p
		}
	}
	return ProtoOther
}

// String returns the canonical spelling, "" for ProtoOther.
func (p Proto) String() string {
	if p >= numProtos {
		return ""
	}
	return protoNames[p]
}

// IsRTP reports whether it carries RTP, secured or not.
func (p Proto) IsRTP() bool { return p >= RTPAVP && p <= TLSSAVPF }

// IsSRTP reports whether it is one of the secure profiles, keyed by SDES or DTLS.
func (p Proto) IsSRTP() bool { return p >= RTPSAVP && p <= TLSSAVPF }

// IsDTLS reports whether its keys come from DTLS only.
func (p Proto) IsDTLS() bool { return p == TLSSAVP || p == TLSSAVPF }

// equalFold is strings.EqualFold with a check that settles most calls: our words are ASCII, and so is anything of equal
// meaning and length.
func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
