package relay

import "encoding/binary"

// extensionIDs is a set of ids of RTP header extensions (RFC 8285).
type extensionIDs [4]uint64

// newExtensionIDs is nil for an empty set.
func newExtensionIDs(ids []uint8) *extensionIDs {
	if len(ids) == 0 {
		return nil
	}
	set := new(extensionIDs)
	for _, id := range ids {
		set[id>>6] |= 1 << (id & 63)
	}
	return set
}

func (s *extensionIDs) has(id uint8) bool { return s[id>>6]&(1<<(id&63)) != 0 }

// Profiles of header extensions that have elements (RFC 8285 §4.2, §4.3).
const (
	oneByteProfile = 0xbede
	twoByteProfile = 0x1000 // and up to 0x100f

	extensionBit = 1 << 4 // RFC 3550 §5.1: X
)

// without deletes the elements of the set from the header extension of an RTP packet, which it changes. What remains is at the end of
// pkt: the short header moves, the payload stays where it is. An extension that has no element left is deleted, and so is all behind a
// place where receivers must not read on. What is no RTP, and extensions of other kinds, stay as they are.
func (s *extensionIDs) without(pkt []byte) []byte {
	if len(pkt) < rtpHeader || pkt[0]&extensionBit == 0 {
		return pkt
	}
	at := rtpHeader + 4*int(pkt[0]&15)
	if len(pkt) < at+4 {
		return pkt
	}
	profile, words := binary.BigEndian.Uint16(pkt[at:]), int(binary.BigEndian.Uint16(pkt[at+2:]))
	twoByte := profile&^15 == twoByteProfile
	body := pkt[at+4:]
	if !twoByte && profile != oneByteProfile || len(body) < 4*words {
		return pkt
	}
	body = body[:4*words]
	if !s.inAny(body, twoByte) {
		return pkt
	}
	kept := s.compact(body, twoByte)
	header := at // its length afterwards
	if kept > 0 {
		left := (kept + 3) / 4
		clear(body[kept : 4*left]) // RFC 8285 §4.1.2: padding
		binary.BigEndian.PutUint16(pkt[at+2:], uint16(left))
		header += 4 + 4*left
	} else {
		pkt[0] &^= extensionBit
	}
	gone := at + 4 + 4*words - header
	copy(pkt[gone:], pkt[:header])
	return pkt[gone:]
}

// inAny is true if an element of the set is in body, or if reading it has to stop before its end.
func (s *extensionIDs) inAny(body []byte, twoByte bool) bool {
	for len(body) > 0 {
		id, n := element(body, twoByte)
		if n == 0 || id != 0 && s.has(id) {
			return true
		}
		body = body[n:]
	}
	return false
}

// compact moves the elements that are not of the set to the front of body and returns how long they are.
func (s *extensionIDs) compact(body []byte, twoByte bool) (kept int) {
	for rest := body; len(rest) > 0; {
		id, n := element(rest, twoByte)
		if n == 0 {
			break
		}
		if id != 0 && !s.has(id) {
			kept += copy(body[kept:], rest[:n])
		}
		rest = rest[n:]
	}
	return kept
}

// element reads the element that body, which is not empty, begins with, and how long it is with its own header. Padding is one byte
// with id 0. n is 0 where reading has to stop.
func element(body []byte, twoByte bool) (id uint8, n int) {
	switch b := body[0]; {
	case b == 0:
		return 0, 1
	case twoByte:
		if len(body) < 2 {
			return 0, 0
		}
		id, n = b, 2+int(body[1])
	default:
		id, n = b>>4, 2+int(b&15)
		if id == 0 || id == 15 { // RFC 8285 §4.2
			return 0, 0
		}
	}
	if n > len(body) {
		return 0, 0
	}
	return id, n
}
