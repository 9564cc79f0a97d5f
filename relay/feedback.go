package relay

import "encoding/binary"

// Packet types of RTCP feedback (RFC 4585 §6.1).
const (
	rtcpTransportFeedback = 205 // RTPFB
	rtcpPayloadFeedback   = 206 // PSFB
)

// withoutFeedback returns the packets of a compound RTCP packet (RFC 3550 §6.1) that are not feedback, nothing if it has no others.
// The result is pkt itself if there is nothing to leave out; else it is in buf, which needs room for pkt. What cannot be read as a packet
// is left out with all behind it.
func withoutFeedback(buf, pkt []byte) []byte {
	first, whole := 0, true // up to where nothing has to be left out
	for first < len(pkt) {
		n, feedback := rtcpPacket(pkt[first:])
		if n == 0 || feedback {
			whole = false
			break
		}
		first += n
	}
	if whole {
		return pkt
	}
	buf = append(buf[:0], pkt[:first]...)
	for rest := pkt[first:]; len(rest) > 0; {
		n, feedback := rtcpPacket(rest)
		if n == 0 {
			break
		}
		if !feedback {
			buf = append(buf, rest[:n]...)
		}
		rest = rest[n:]
	}
	return buf
}

// rtcpPacket returns the length of the packet that b begins with, 0 if there is none.
func rtcpPacket(b []byte) (n int, feedback bool) {
	if len(b) < 4 || b[0]>>6 != 2 {
		return 0, false
	}
	n = 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return 0, false
	}
	return n, b[1] == rtcpTransportFeedback || b[1] == rtcpPayloadFeedback
}
