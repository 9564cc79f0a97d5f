package relay

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"rtpjet/relay/plan"
)

// counter is a number with one writer and any number of readers.
type counter struct{ v atomic.Uint64 }

func (c *counter) add(n uint64) { c.v.Store(c.v.Load() + n) }
func (c *counter) set(n uint64) { c.v.Store(n) }
func (c *counter) load() uint64 { return c.v.Load() }
func (c *counter) isZero() bool { return c.v.Load() == 0 }

// tally counts the packets of one direction.
type tally struct{ packets, bytes, errors counter }

func (t *tally) read() plan.Counters {
	return plan.Counters{Packets: t.packets.load(), Bytes: t.bytes.load(), Errors: t.errors.load()}
}

func addCounters(to *plan.Counters, c plan.Counters) {
	to.Packets += c.Packets
	to.Bytes += c.Bytes
	to.Errors += c.Errors
}

// sourceTally follows the synchronisation source of one direction. Its own counts are the differences between the tally of
// the direction and what that was when the source began, so that a packet costs one store here instead of three.
//
// Invariant: packets and bytes never exceed those of the tally. A reader that loads them first never sees a negative count.
type sourceTally struct {
	id             counter // SSRC, with bit 32 set once one was seen
	packets, bytes counter // of the direction's tally that are not of this source
	position       counter // RTP timestamp << 16 | sequence number
}

const sourceSeen = 1 << 32

// note records an RTP packet before it is added to t.
func (s *sourceTally) note(pkt []byte, t *tally) {
	id := uint64(source(pkt)) | sourceSeen
	if s.id.load() != id {
		s.packets.set(t.packets.load())
		s.bytes.set(t.bytes.load())
		s.id.set(id)
	}
	s.position.set(uint64(timestamp(pkt))<<16 | uint64(sequence(pkt)))
}

// pass records a packet that belongs to no source, after it was added to the direction's tally.
func (s *sourceTally) pass(n int) {
	s.packets.add(1)
	s.bytes.add(uint64(n))
}

func (s *sourceTally) read(t *tally) plan.SSRC {
	id := s.id.load()
	if id&sourceSeen == 0 {
		return plan.SSRC{}
	}
	packets, bytes, pos := s.packets.load(), s.bytes.load(), s.position.load()
	return plan.SSRC{
		SSRC: uint32(id), Seen: true,
		Packets: t.packets.load() - packets, Bytes: t.bytes.load() - bytes,
		LastTimestamp: uint32(pos >> 16), LastSeq: uint16(pos),
	}
}

// addrBox publishes an address and a flag from one writer to many readers without allocating: a sequence lock whose
// sequence number is odd while the writer is at work.
type addrBox struct {
	seq    atomic.Uint32
	hi, lo atomic.Uint64
	meta   atomic.Uint64 // port, family, flag
}

const (
	boxValid = 1 << 16
	box4     = 1 << 17
	boxFlag  = 1 << 18
)

// set publishes a. A zone is not kept.
func (b *addrBox) set(a netip.AddrPort, flag bool) {
	var meta uint64
	var ip [16]byte
	if a.IsValid() {
		ip = a.Addr().As16()
		meta = uint64(a.Port()) | boxValid
		if a.Addr().Is4() {
			meta |= box4
		}
	}
	if flag {
		meta |= boxFlag
	}
	b.seq.Add(1)
	b.hi.Store(binary.BigEndian.Uint64(ip[:8]))
	b.lo.Store(binary.BigEndian.Uint64(ip[8:]))
	b.meta.Store(meta)
	b.seq.Add(1)
}

func (b *addrBox) get() (a netip.AddrPort, flag bool) {
	for {
		seq := b.seq.Load()
		hi, lo, meta := b.hi.Load(), b.lo.Load(), b.meta.Load()
		if seq&1 != 0 || b.seq.Load() != seq {
			continue
		}
		if meta&boxValid != 0 {
			var ip [16]byte
			binary.BigEndian.PutUint64(ip[:8], hi)
			binary.BigEndian.PutUint64(ip[8:], lo)
			addr := netip.AddrFrom16(ip)
			if meta&box4 != 0 {
				addr = addr.Unmap()
			}
			a = netip.AddrPortFrom(addr, uint16(meta))
		}
		return a, meta&boxFlag != 0
	}
}
