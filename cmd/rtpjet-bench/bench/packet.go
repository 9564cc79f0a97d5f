package bench

import (
	"bytes"
	"encoding/binary"
)

// A test packet is an RTP packet (RFC 3550 §5.1) with payload type 0 whose
// payload says where it comes from:
//
//	 0               12      16      20              28              36
//	+---------------+-------+-------+---------------+---------------+--------
//	| RTP header    | magic | leg   | number        | sent at, ns   | filler
//	+---------------+-------+-------+---------------+---------------+--------
//
// The filler depends on the leg, so that a packet that was mixed up or cut shows.
const (
	rtpHeader  = 12
	packetMark = 0x72746a62 // "rtjb"
	offMark    = rtpHeader
	offLeg     = offMark + 4
	offNumber  = offLeg + 4
	offSent    = offNumber + 8
	offFiller  = offSent + 8

	// minPayload is the smallest payload that holds the fields.
	minPayload = offFiller - rtpHeader
	// maxPayload keeps a packet within one Ethernet frame, IPv6 too.
	maxPayload = 1400
)

// newPacket returns the packet of a leg, whose changing fields stamp sets.
func newPacket(leg uint32, payload int) []byte {
	b := make([]byte, rtpHeader+payload)
	b[0] = 2 << 6 // version 2
	b[1] = 0      // PCMU
	binary.BigEndian.PutUint32(b[8:], 0x52000000|leg)
	binary.BigEndian.PutUint32(b[offMark:], packetMark)
	binary.BigEndian.PutUint32(b[offLeg:], leg)
	x := leg*2654435761 + 1
	for i := offFiller; i < len(b); i++ {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// stamp makes b the packet with this number, sent at the time now.
func stamp(b []byte, number uint64, now int64) {
	binary.BigEndian.PutUint16(b[2:], uint16(number))
	binary.BigEndian.PutUint32(b[4:], uint32(number*160))
	binary.BigEndian.PutUint64(b[offNumber:], number)
	binary.BigEndian.PutUint64(b[offSent:], uint64(now))
}

// verdict is what a received packet turned out to be.
type verdict int

const (
	packetGood    verdict = iota
	packetForeign         // none of ours, or of another leg than the one that talks to this socket
	packetDamaged         // ours, with a byte that is not as it was sent
)

// check compares a received packet with the template of the leg that should have
// sent it, and returns its number and send time.
func check(got, template []byte) (number uint64, sent int64, v verdict) {
	if len(got) < offFiller || binary.BigEndian.Uint32(got[offMark:]) != packetMark {
		return 0, 0, packetForeign
	}
	if !bytes.Equal(got[offLeg:offNumber], template[offLeg:offNumber]) {
		return 0, 0, packetForeign
	}
	number = binary.BigEndian.Uint64(got[offNumber:])
	sent = int64(binary.BigEndian.Uint64(got[offSent:]))
	switch {
	case len(got) != len(template),
		got[0] != template[0], got[1] != template[1],
		binary.BigEndian.Uint16(got[2:]) != uint16(number),
		binary.BigEndian.Uint32(got[4:]) != uint32(number*160),
		!bytes.Equal(got[8:rtpHeader], template[8:rtpHeader]),
		!bytes.Equal(got[offFiller:], template[offFiller:]):
		return number, sent, packetDamaged
	}
	return number, sent, packetGood
}

// arrival is what seqWindow.add says of a packet number.
type arrival int

const (
	arrivalNew       arrival = iota // the highest number so far
	arrivalLate                     // new, but after a higher one
	arrivalDuplicate                // seen before, or too old to tell
)

// seqWindow remembers which of the last 64 packet numbers of a stream have come.
type seqWindow struct {
	next uint64 // one above the highest number so far
	seen uint64 // bit i: number next-1-i has come
}

// add notes the arrival of a packet number.
func (w *seqWindow) add(n uint64) arrival {
	if n >= w.next {
		if gap := n - w.next + 1; gap < 64 {
			w.seen = w.seen<<gap | 1
		} else {
			w.seen = 1
		}
		w.next = n + 1
		return arrivalNew
	}
	age := w.next - 1 - n
	if age >= 64 || w.seen&(1<<age) != 0 {
		return arrivalDuplicate
	}
	w.seen |= 1 << age
	return arrivalLate
}
