package relay

import "bytes"

// loopGuard stops packets that go round in a circle: those that a stream receives again and again, though nobody sends them so. The
// SDP of its party has named one of our own addresses. It remembers two packets, since RTP and RTCP, or the two directions of a call,
// may go round together. It is pure.
type loopGuard struct {
	known  [2]packetMark
	next   int   // the one that another packet takes the place of
	passed int   // packets in a row that were known, the first one included
	last   int64 // when the last one of them passed, µs
}

// packetMark tells one packet from others: header and the first samples or frames of a payload are never the same twice.
type packetMark struct {
	length int
	head   [28]byte
}

// Bounds of rtpengine: so many equal packets pass, and the next only when a time has gone by, in µs.
const (
	loopPackets = 31
	loopPause   = 1_000_000
)

// stops judges a packet that has arrived at now, µs of Unix time.
func (g *loopGuard) stops(pkt []byte, now int64) bool {
	for i := range g.known {
		if !g.known[i].is(pkt) {
			continue
		}
		if g.passed >= loopPackets {
			if since := now - g.last; since >= 0 && since < loopPause {
				return true
			}
			g.passed = 0
		}
		g.passed++
		g.last = now
		return false
	}
	mark := &g.known[g.next]
	mark.length = len(pkt)
	copy(mark.head[:], pkt)
	g.next ^= 1
	g.passed, g.last = 1, now
	return false
}

func (m *packetMark) is(pkt []byte) bool {
	n := min(len(pkt), len(m.head))
	return m.length == len(pkt) && m.length > 0 && bytes.Equal(m.head[:n], pkt[:n])
}
