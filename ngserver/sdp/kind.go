package sdp

import (
	"iter"
	"strings"
)

// Kind says which attribute a line is, so far as a relay has to know. All lines of a Kind other than KindUnknown are
// consumed and written anew by a rewriter; those of KindUnknown are carried.
type Kind uint8

// The attributes. A line is of its kind only if its value parses at least so far that it could be used; otherwise it is
// KindUnknown, as is "rtcp-fb:*", which belongs to no payload type. KindCrypto is all that has the name.
const (
	KindUnknown Kind = iota
	KindSendRecv
	KindSendOnly
	KindRecvOnly
	KindInactive
	KindRTPMap
	KindFMTP
	KindRTCPFB
	KindRTCP
	KindRTCPMux
	KindMid
	KindLabel
	KindBundleOnly
	KindGroup
	KindPTime
	KindMaxPTime
	KindCrypto
	KindSetup
	KindFingerprint
	KindTLSID
	KindICEUfrag
	KindICEPwd
	KindICEOptions
	KindICELite
	KindCandidate
	KindRemoteCandidates
	KindEndOfCandidates
	KindExtmap
	KindExtmapAllowMixed
	KindLoopProtect // a=rtpengine:…, the flag "loop protect"
	numKinds
)

// kindSet is the set of kinds that a level has, so that a look-up of an absent one costs a bit test.
type kindSet uint32

// A kind beyond the set's bits does not compile.
var _ [32 - numKinds]struct{}

func (s kindSet) has(k Kind) bool { return s&(1<<k) != 0 }
func (s *kindSet) add(k Kind)     { *s |= 1 << k }

// kindOf names are compared exactly: attribute names are case-sensitive (RFC 8866 §5.13), and so is rtpengine.
func kindOf(name, value string) Kind {
	switch name {
	case "sendrecv":
		return KindSendRecv
	case "sendonly":
		return KindSendOnly
	case "recvonly":
		return KindRecvOnly
	case "inactive":
		return KindInactive
	case "rtpmap":
		if _, text, ok := cutPT(value); ok {
			if _, ok = parseEncoding(text); ok {
				return KindRTPMap
			}
		}
	case "fmtp":
		if _, _, ok := cutPT(value); ok {
			return KindFMTP
		}
	case "rtcp-fb":
		if _, text, ok := cutPT(value); ok && text != "" {
			return KindRTCPFB
		}
	case "rtcp":
		return KindRTCP
	case "rtcp-mux":
		return KindRTCPMux
	case "mid":
		return KindMid
	case "label":
		return KindLabel
	case "bundle-only":
		return KindBundleOnly
	case "group":
		return KindGroup
	case "ptime":
		if _, ok := leadingInt(value); ok {
			return KindPTime
		}
	case "maxptime":
		if _, ok := leadingInt(value); ok {
			return KindMaxPTime
		}
	case "crypto": // with a key in it or not, none must get to the other side by mistake
		return KindCrypto
	case "setup":
		return KindSetup
	case "fingerprint":
		if _, ok := ParseFingerprint(value); ok {
			return KindFingerprint
		}
	case "tls-id":
		return KindTLSID
	case "ice-ufrag":
		return KindICEUfrag
	case "ice-pwd":
		return KindICEPwd
	case "ice-options":
		return KindICEOptions
	case "ice-lite":
		return KindICELite
	case "candidate":
		if _, ok := ParseCandidate(value); ok {
			return KindCandidate
		}
	case "remote-candidates":
		return KindRemoteCandidates
	case "end-of-candidates":
		return KindEndOfCandidates
	case "extmap":
		if _, ok := ParseExtmap(value); ok {
			return KindExtmap
		}
	case "extmap-allow-mixed":
		return KindExtmapAllowMixed
	case "rtpengine":
		return KindLoopProtect
	}
	return KindUnknown
}

// NewAttribute classifies the text after "a=".
func NewAttribute(line string) Attribute {
	name, value, _ := strings.Cut(line, ":")
	// Some phones end "a=sendonly" with a space; the line stays as it came.
	name = strings.TrimRight(name, " ")
	return Attribute{Kind: kindOf(name, value), Name: name, Value: value, Line: line}
}

// First returns the session's first attribute of a kind, nil if it has none.
func (s *Session) First(k Kind) *Attribute {
	if k >= numKinds || !s.have.has(k) {
		return nil
	}
	return &s.Attributes[s.first[k]]
}

// First returns the section's own first attribute of a kind, nil if it has none.
func (m *Media) First(k Kind) *Attribute {
	if k >= numKinds || !m.have.has(k) {
		return nil
	}
	return find(m.Attributes, k)
}

// Lookup returns the section's first attribute of a kind, or else the session's, nil if neither has one. Of the known
// kinds the direction, setup, fingerprint, tls-id, ice-*, end-of-candidates and extmap ones hold for a whole session;
// the others count at their own level only.
func (m *Media) Lookup(k Kind) *Attribute {
	if a := m.First(k); a != nil {
		return a
	}
	return m.session.First(k)
}

// All yields the session's attributes of a kind, in order.
func (s *Session) All(k Kind) iter.Seq[*Attribute] { return all(s.Attributes, s.have, k) }

// All yields the section's own attributes of a kind, in order.
func (m *Media) All(k Kind) iter.Seq[*Attribute] { return all(m.Attributes, m.have, k) }

func find(attrs []Attribute, k Kind) *Attribute {
	for i := range attrs {
		if attrs[i].Kind == k {
			return &attrs[i]
		}
	}
	return nil
}

func all(attrs []Attribute, have kindSet, k Kind) iter.Seq[*Attribute] {
	return func(yield func(*Attribute) bool) {
		if k >= numKinds || !have.has(k) {
			return
		}
		for i := range attrs {
			if attrs[i].Kind == k && !yield(&attrs[i]) {
				return
			}
		}
	}
}
