package sdp

import (
	"net/netip"
	"strings"
)

// Direction is what the author of a section wants to do with its media.
type Direction uint8

// The directions; SendRecv is what holds if nothing is said.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

// String returns the attribute's name.
func (d Direction) String() string {
	return [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}[d&3]
}

// Sends reports whether the author may send.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives reports whether the author wants to receive.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

// MakeDirection is the inverse of Sends and Receives.
func MakeDirection(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

const directionKinds kindSet = 1<<KindSendRecv | 1<<KindSendOnly | 1<<KindRecvOnly | 1<<KindInactive

// Direction returns the section's direction attribute, else its session's. If one level has several, recvonly counts
// before sendonly and sendonly before inactive, as rtpengine reads it. An unspecified address is not looked at: see Held.
func (m *Media) Direction() Direction {
	have := m.have
	if have&directionKinds == 0 {
		have = m.session.have
	}
	switch {
	case have.has(KindRecvOnly):
		return RecvOnly
	case have.has(KindSendOnly):
		return SendOnly
	case have.has(KindInactive):
		return Inactive
	}
	return SendRecv
}

// IsDirection reports whether a is one of the four direction attributes.
func (a *Attribute) IsDirection() bool { return directionKinds.has(a.Kind) }

// ConnectionLine returns the c= line that holds for the section, its own or the session's, nil if there is none.
func (m *Media) ConnectionLine() *Connection {
	if m.Connection != nil {
		return m.Connection
	}
	return m.session.Connection
}

// Address returns the address of the c= line that holds for the section, the zero Addr if there is none.
func (m *Media) Address() netip.Addr {
	if c := m.ConnectionLine(); c != nil {
		return c.Addr
	}
	return netip.Addr{}
}

// Held reports hold by an unspecified address, 0.0.0.0 or :: (RFC 3264 §8.4). The caller excepts sections that use
// ICE, where the address means nothing.
func (m *Media) Held() bool {
	a := m.Address()
	return a.IsValid() && a.IsUnspecified()
}

// RTP returns where the author wants media of the section: the zero AddrPort if there is no c= line; port 0 if the section
// is rejected.
func (m *Media) RTP() netip.AddrPort {
	rtp, _ := m.Pair(0)
	return rtp
}

// RTCP returns where the author wants RTCP of the section as long as RTCP is not multiplexed: a=rtcp, or else the port
// above RTP. It is the zero AddrPort for sections that are not RTP or are rejected, and if there is no such port.
func (m *Media) RTCP() netip.AddrPort {
	_, rtcp := m.Pair(0)
	return rtcp
}

// Pair returns the i-th of the section's Ports endpoint pairs. a=rtcp counts only for sections with one pair.
func (m *Media) Pair(i int) (rtp, rtcp netip.AddrPort) {
	addr := m.Address()
	if !addr.IsValid() || i < 0 || i >= m.Ports {
		return rtp, rtcp
	}
	port := int(m.Port)
	if port != 0 {
		port += 2 * i
	}
	if port > 65535 {
		return rtp, rtcp
	}
	rtp = netip.AddrPortFrom(addr, uint16(port))
	if port == 0 || !m.IsRTP() {
		return rtp, rtcp
	}
	if r, ok, _ := m.rtcpAttr(); ok {
		// An unspecified address says as little here as none.
		if r.Addr.IsValid() && !r.Addr.IsUnspecified() {
			addr = r.Addr
		}
		return rtp, netip.AddrPortFrom(addr, r.Port)
	}
	if port == 65535 {
		return rtp, rtcp
	}
	return rtp, netip.AddrPortFrom(addr, uint16(port+1))
}

// RTCPMux reports whether the author offers or accepts RTCP on the RTP port: by a=rtcp-mux, or by an a=rtcp that names the
// RTP endpoint (RFC 5761 §5.1, RFC 3605).
func (m *Media) RTCPMux() bool {
	if !m.IsRTP() {
		return false
	}
	if m.have.has(KindRTCPMux) {
		return true
	}
	if !m.have.has(KindRTCP) || m.Port == 0 {
		return false
	}
	rtp, rtcp := m.Pair(0)
	return rtp.IsValid() && rtp == rtcp
}

// RTCPAttr is an a=rtcp attribute (RFC 3605).
type RTCPAttr struct {
	Port uint16
	Addr netip.Addr // the zero Addr if the attribute has none
}

// rtcpAttr reads the section's a=rtcp. Port 0 and no value at all are the same as no attribute: phones write them when
// they mean none.
func (m *Media) rtcpAttr() (r RTCPAttr, ok, bad bool) {
	if !m.have.has(KindRTCP) || m.Ports > 1 {
		return r, false, false
	}
	port, rest := nextField(m.First(KindRTCP).Value)
	if port == "" {
		return r, false, false
	}
	n, ok := parseUint(port, 65535)
	if !ok {
		return r, false, true
	}
	if n == 0 {
		return r, false, false
	}
	r.Port = uint16(n)
	netType, rest := nextField(rest)
	if netType == "" {
		return r, true, false
	}
	family, rest := nextField(rest)
	text, _ := nextField(rest)
	if r.Addr, ok = parseAddr(family, text); !ok || !equalFold(netType, "IN") {
		return RTCPAttr{}, false, true
	}
	return r, true, false
}

// Check reports the first section that nothing can be relayed for ("Incomplete SDP specification"): one without any c=
// line; an RTP section with a format that is no payload type from 0 to 127; or one with an a=rtcp that is no endpoint.
// A section with port 0 is not there, whatever it says. Errors are *Error and wrap ErrIncomplete.
func (s *Session) Check() error {
	for i := range s.Media {
		if problem := s.Media[i].check(); problem != "" {
			return &Error{Kind: ErrIncomplete, Section: i + 1, Problem: problem}
		}
	}
	return nil
}

func (m *Media) check() (problem string) {
	if m.Port == 0 {
		return ""
	}
	if m.ConnectionLine() == nil {
		return "no c= line"
	}
	if !m.IsRTP() {
		return ""
	}
	for _, f := range m.Formats {
		if _, ok := ParsePT(f); !ok {
			return "format is no payload type from 0 to 127"
		}
	}
	if _, _, bad := m.rtcpAttr(); bad {
		return "a=rtcp is no port or address"
	}
	return ""
}

// value returns the trimmed value of the section's own attribute.
func (m *Media) value(k Kind) string {
	if a := m.First(k); a != nil {
		return strings.Trim(a.Value, " ")
	}
	return ""
}

// Mid returns the value of a=mid, "" if there is none.
func (m *Media) Mid() string { return m.value(KindMid) }

// Label returns the value of a=label, "" if there is none.
func (m *Media) Label() string { return m.value(KindLabel) }

// UsesICE reports whether the author offers ICE: it gave a user fragment.
func (m *Media) UsesICE() bool { return m.Lookup(KindICEUfrag) != nil }

// LoopProtect returns the value of the first a=rtpengine line of the body, the id of the instance that wrote it.
func (s *Session) LoopProtect() (id string, ok bool) {
	for ; s != nil; s = s.Next {
		if a := s.First(KindLoopProtect); a != nil {
			return strings.Trim(a.Value, " "), true
		}
	}
	return "", false
}

// leadingInt reads the whole number at the start of s: "20.5" is 20.
func leadingInt(s string) (int, bool) {
	n, _, ok := cutUint(strings.TrimLeft(s, " "), 1<<20)
	return n, ok
}
