package relay

import "encoding/binary"

// kind is what a datagram is, as far as a relay cares.
type kind uint8

const (
	kindInvalid kind = iota // not for this stream: refused, counted as an error, teaches nothing
	kindRTP
	kindRTCP
	kindOpaque // a stream that is not looked into
	kindKeying // DTLS or ZRTP between the parties: forwarded, teaches nothing
)

// Sizes and values of the fixed headers.
const (
	rtpHeader  = 12 // RFC 3550 §5.1
	rtcpHeader = 8  // RFC 3550 §6.4: common header and the sender's SSRC

	rtcpFirst, rtcpLast = 192, 223 // RFC 5761 §4: second byte of RTCP, payload types 64 to 95 with the marker bit
	rtcpApp             = 204      // RFC 3550 §6.7
)

// classify tells what pkt is from its first bytes (RFC 7983 §7, RFC 5761 §4), without reading past its end.
//
// STUN is refused here: an agent of our own will take it before it gets here, and without one an answer is not ours to
// forward. Keepalives of a few bytes, which many phones send, are refused too: they are not media.
func classify(pkt []byte) kind {
	if len(pkt) < rtcpHeader {
		return kindInvalid
	}
	switch b := pkt[0]; {
	case b>>6 == 2:
		if isRTCP(pkt[1]) {
			return kindRTCP
		}
		if len(pkt) < rtpHeader+4*int(b&15) { // the fixed header and CSRCs
			return kindInvalid
		}
		return kindRTP
	case b >= 20 && b <= 63:
		return kindKeying
	case b == 0x10 && string(pkt[4:8]) == "ZRTP": // RFC 6189 §5
		return kindKeying
	}
	return kindInvalid
}

func isRTCP(second byte) bool { return second >= rtcpFirst && second <= rtcpLast }

// payloadType, sequence, timestamp and source read the fixed header of a packet that classify found to be RTP.
func payloadType(pkt []byte) uint8 { return pkt[1] & 0x7f }
func sequence(pkt []byte) uint16   { return binary.BigEndian.Uint16(pkt[2:4]) }
func timestamp(pkt []byte) uint32  { return binary.BigEndian.Uint32(pkt[4:8]) }
func source(pkt []byte) uint32     { return binary.BigEndian.Uint32(pkt[8:12]) }

// rtcpLength is the length of the first packet of a compound (RFC 3550 §6.4.1).
func rtcpLength(pkt []byte) int { return 4 * (1 + int(binary.BigEndian.Uint16(pkt[2:4]))) }

// piercer is what is sent to open a NAT: an RTP header that no decoder takes for media (payload type 127, sequence number
// 65535, timestamp and SSRC 0).
var piercer = [rtpHeader]byte{0x80, 127, 0xff, 0xff}

// payloadTypes is a set of RTP payload types.
type payloadTypes [2]uint64

var anyPayloadType = payloadTypes{^uint64(0), ^uint64(0)}

func newPayloadTypes(pts []uint8) (set payloadTypes) {
	for _, pt := range pts {
		if pt < 128 {
			set[pt>>6] |= 1 << (pt & 63)
		}
	}
	return set
}

func (p *payloadTypes) has(pt uint8) bool { return p[pt>>6&1]&(1<<(pt&63)) != 0 }
