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

func (t *tally) set(c *plan.Counters) {
	t.packets.set(c.Packets)
	t.bytes.set(c.Bytes)
	t.errors.set(c.Errors)
}

func addCounters(to *plan.Counters, c plan.Counters) {
	to.Packets += c.Packets
	to.Bytes += c.Bytes
	to.Errors += c.Errors
}

// sourceTally follows one synchronisation source of one direction. While the source is the present one, its own counts are the
// differences between the tally of the direction and what of that is not its own, so that a packet costs one store here
// instead of three.
//
// Invariant: packets and bytes never exceed those of the tally. A reader that loads them first never sees a negative count.
type sourceTally struct {
	id             counter // SSRC, with bit 32 set once one was seen
	packets, bytes counter // of the direction's tally that are not of this source
	position       counter // RTP timestamp << 16 | sequence number

	// Touched by the shard only: its own counts and its turn, of a source that is not the present one.
	ownPackets, ownBytes, turn uint64
}

const sourceSeen = 1 << 32

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

// maxSources is how many sources of a direction are followed, such as video and its retransmissions. The one that was not heard
// for longest makes room for another one.
const maxSources = 4

// sourceTable has the sources of one direction. The present one is that of the last packet, and the one that readers see.
type sourceTable struct {
	present counter // slot
	turns   uint64  // touched by the shard only
	first   sourceTally
	others  atomic.Pointer[[maxSources - 1]sourceTally] // of slots 1 and on; nil until a second source comes, which hardly any stream has
}

// at returns a slot that is in use.
func (s *sourceTable) at(slot uint64) *sourceTally {
	if slot == 0 {
		return &s.first
	}
	return &s.others.Load()[slot-1]
}

// note records an RTP packet before it is added to t. fresh says that its source was not there yet.
func (s *sourceTable) note(pkt []byte, t *tally) (slot uint64, fresh bool) {
	slot = s.present.load()
	src := s.at(slot)
	if id := uint64(source(pkt)) | sourceSeen; src.id.load() != id {
		slot, fresh = s.change(id, t)
		src = s.at(slot)
	}
	src.position.set(uint64(timestamp(pkt))<<16 | uint64(sequence(pkt)))
	return slot, fresh
}

// change makes another source the present one.
func (s *sourceTable) change(id uint64, t *tally) (slot uint64, fresh bool) {
	packets, bytes := t.packets.load(), t.bytes.load()
	if old := s.at(s.present.load()); !old.id.isZero() {
		s.turns++
		old.turn, old.ownPackets, old.ownBytes = s.turns, packets-old.packets.load(), bytes-old.bytes.load()
		if s.others.Load() == nil {
			s.others.Store(new([maxSources - 1]sourceTally))
		}
		for i := range uint64(maxSources) {
			if s.at(i).id.load() == id {
				slot = i
				break
			}
			if s.at(i).turn < s.at(slot).turn {
				slot = i
			}
		}
	}
	src := s.at(slot)
	if fresh = src.id.load() != id; fresh {
		src.ownPackets, src.ownBytes = 0, 0
	}
	src.packets.set(packets - src.ownPackets)
	src.bytes.set(bytes - src.ownBytes)
	src.id.set(id)
	s.present.set(slot)
	return slot, fresh
}

// pass records a packet that belongs to no source, after it was added to the direction's tally.
func (s *sourceTable) pass(n int) {
	src := s.at(s.present.load())
	if !src.id.isZero() {
		src.packets.add(1)
		src.bytes.add(uint64(n))
	}
}

func (s *sourceTable) read(t *tally) (src plan.SSRC, slot uint64) {
	slot = s.present.load()
	return s.at(slot).read(t), slot
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
