package bench

import (
	"bytes"
	"encoding/binary"

	"github.com/pion/rtp"
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
// The header is written and read by pion/rtp, which allocates nothing for one like this.
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

// packet is the packet that a leg sends again and again, and what changes in it each time.
type packet struct {
	header rtp.Header
	bytes  []byte
}

// newPacket returns the packet of a leg, whose changing fields stamp sets.
func newPacket(leg uint32, payload int) packet {
	p := packet{header: rtp.Header{Version: 2, SSRC: 0x52000000 | leg}, bytes: make([]byte, rtpHeader+payload)} // PCMU
	binary.BigEndian.PutUint32(p.bytes[offMark:], packetMark)
	binary.BigEndian.PutUint32(p.bytes[offLeg:], leg)
	x := leg*2654435761 + 1
	for i := offFiller; i < len(p.bytes); i++ {
		x = x*1664525 + 1013904223
		p.bytes[i] = byte(x >> 24)
	}
	p.stamp(0, 0)
	return p
}

// stamp makes p the packet with this number, sent at the time now.
func (p *packet) stamp(number uint64, now int64) {
	p.header.SequenceNumber, p.header.Timestamp = uint16(number), uint32(number*160)
	_, _ = p.header.MarshalTo(p.bytes) // there is room for it
	binary.BigEndian.PutUint64(p.bytes[offNumber:], number)
	binary.BigEndian.PutUint64(p.bytes[offSent:], uint64(now))
}

// verdict is what a received packet turned out to be.
type verdict int

const (
	packetGood    verdict = iota
	packetForeign         // none of ours, or of another leg than the one that talks to this socket
	packetDamaged         // ours, with a byte that is not as it was sent
)

// check compares a received packet with that of the leg that should have sent it,
// whatever number that one has come to, and returns its number and send time.
func check(got []byte, from *packet) (number uint64, sent int64, v verdict) {
	want := from.bytes
	if len(got) < offFiller || binary.BigEndian.Uint32(got[offMark:]) != packetMark {
		return 0, 0, packetForeign
	}
	if !bytes.Equal(got[offLeg:offNumber], want[offLeg:offNumber]) {
		return 0, 0, packetForeign
	}
	number = binary.BigEndian.Uint64(got[offNumber:])
	sent = int64(binary.BigEndian.Uint64(got[offSent:]))
	var h rtp.Header
	n, err := h.Unmarshal(got)
	switch {
	case err != nil, n != rtpHeader, len(got) != len(want),
		h.Version != 2, h.Padding, h.Marker, h.PayloadType != 0, h.SSRC != from.header.SSRC,
		h.SequenceNumber != uint16(number), h.Timestamp != uint32(number*160),
		!bytes.Equal(got[offFiller:], want[offFiller:]):
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
