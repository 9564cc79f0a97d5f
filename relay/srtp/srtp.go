package srtp

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"rtpjet/relay/plan"
)

// Errors of packets. None of them leaves a trace of the packet.
var (
	ErrMalformed = errors.New("not an RTP or RTCP packet")
	ErrForged    = errors.New("authentication failed")
	ErrReplayed  = errors.New("index was used before, or is too old")
	ErrSources   = errors.New("too many sources")
	ErrUsedUp    = errors.New("the key has no index left")
)

// maxSources bounds the sources of a direction. One more is refused, neither an old one forgotten: a source that came back
// to a Sender which has forgotten it would have its key stream used twice.
const maxSources = 1024

// direction is what a Sender and a Receiver have in common.
type direction struct {
	transform transform
	byID      map[uint32]*Source
	last      *Source // of byID; most packets are of the same source as the one before
	all       atomic.Pointer[[]*Source]
}

// begin derives the keys of p and takes up the sources that it knows, whose SRTCP indices jump ahead by skip.
func (d *direction) begin(p *plan.SRTP, skip uint32) (err error) {
	d.transform, err = newTransform(p)
	d.know(p.Rollovers, skip)
	return err
}

func (d *direction) know(rollovers []plan.Rollover, skip uint32) {
	d.byID = make(map[uint32]*Source, len(rollovers))
	for _, r := range rollovers {
		if d.byID[r.SSRC] == nil && len(d.byID) < maxSources {
			d.add(newSource(r, skip))
		}
	}
}

func (d *direction) find(ssrc uint32) *Source {
	if d.last != nil && d.last.ssrc == ssrc {
		return d.last
	}
	s := d.byID[ssrc]
	if s != nil {
		d.last = s
	}
	return s
}

// add makes s known. Readers may hold the old list.
func (d *direction) add(s *Source) {
	var list []*Source
	if old := d.all.Load(); old != nil {
		list = append(list, *old...)
	}
	list = append(list, s)
	d.byID[s.ssrc] = s
	d.all.Store(&list)
}

// Has is true if s is one of this direction.
func (d *direction) Has(s *Source) bool { return d.byID[s.ssrc] == s }

// Rollovers are the sources of this direction as they are now. Anybody may call it.
func (d *direction) Rollovers() []plan.Rollover {
	list := d.all.Load()
	if list == nil {
		return nil
	}
	rollovers := make([]plan.Rollover, len(*list))
	for i, s := range *list {
		rollovers[i] = s.Rollover()
	}
	return rollovers
}

// Sender protects what leaves in one direction.
type Sender struct {
	direction
	first uint32 // see plan.SRTP.FirstIndex
}

// NewSender makes a sender whose sources go on from p.Rollovers.
func NewSender(p *plan.SRTP) (*Sender, error) {
	s := &Sender{first: p.FirstIndex}
	if err := s.begin(p, rtcpSkip); err != nil {
		return nil, err
	}
	return s, nil
}

// Anew makes a sender for the same keys that goes on from p.Rollovers instead. Only one of the two may be used from then on.
func (s *Sender) Anew(p *plan.SRTP) *Sender {
	n := &Sender{}
	n.transform = s.transform
	n.know(p.Rollovers, rtcpSkip)
	return n
}

// Protect appends the protected form of pkt to dst, which needs room for len(pkt)+Overhead not to be allocated anew, and must
// not overlap pkt. The source is returned if it is news: its first packet, or an index that has crossed a step.
//
// A packet whose index was used before is refused: under another payload it would give both away. The receiver would
// refuse it as well.
func (s *Sender) Protect(dst, pkt []byte) ([]byte, *Source, error) {
	if isRTCP(pkt) {
		return s.protectRTCP(dst, pkt)
	}
	header, ok := headerLength(pkt)
	if !ok {
		return dst, nil, ErrMalformed
	}
	ssrc, seq := ssrcOfRTP(pkt), seqOf(pkt)
	src := s.find(ssrc)
	index := int64(seq)
	switch {
	case src == nil:
		if len(s.byID) >= maxSources {
			return dst, nil, ErrSources
		}
	case src.resumed:
		index = ahead(src.rtp.top, seq)
	case src.rtp.begun:
		index = follow(src.rtp.top, seq)
	}
	switch {
	case index > maxIndex:
		return dst, nil, ErrUsedUp
	case index < 0 || src != nil && !src.rtp.fresh(uint64(index)):
		return dst, nil, ErrReplayed
	}
	if src == nil {
		src = &Source{ssrc: ssrc}
		s.add(src)
	}
	dst = s.transform.sealRTP(dst, pkt, header, uint64(index))
	return dst, src.usedRTP(uint64(index)), nil
}

func (s *Sender) protectRTCP(dst, pkt []byte) ([]byte, *Source, error) {
	if len(pkt) < rtcpClear {
		return dst, nil, ErrMalformed
	}
	ssrc := ssrcOfRTCP(pkt)
	src := s.find(ssrc)
	switch {
	case src == nil && len(s.byID) >= maxSources:
		return dst, nil, ErrSources
	case src == nil:
		src = &Source{ssrc: ssrc}
		s.add(src)
	case src.rtcp.top >= maxRTCPIndex:
		return dst, nil, ErrUsedUp
	}
	if !src.rtcp.begun {
		src.beginRTCP(s.first)
	}
	index := src.rtcp.top + 1
	dst = s.transform.sealRTCP(dst, pkt, uint32(index))
	return dst, src.usedRTCP(index), nil
}

// Receiver unprotects what arrives from one direction.
type Receiver struct {
	direction

	// hints are indices of sources under the key before this one. RFC 3711 §3.3.1 has the rollover counter go on over a
	// change of keys, most phones begin anew at 0: both are tried.
	hints map[uint32]uint64
}

// NewReceiver makes a receiver whose sources go on from p.Rollovers. before are the sources of the receiver that this one
// replaces, under another key.
func NewReceiver(p *plan.SRTP, before []plan.Rollover) (*Receiver, error) {
	r := &Receiver{}
	if err := r.begin(p, 0); err != nil {
		return nil, err
	}
	for _, b := range before {
		if r.byID[b.SSRC] == nil && b.ROC != 0 {
			if r.hints == nil {
				r.hints = make(map[uint32]uint64)
			}
			r.hints[b.SSRC] = uint64(b.ROC)<<16 | uint64(b.Seq)
		}
	}
	return r, nil
}

// Anew makes a receiver for the same keys that goes on from p.Rollovers instead, for much less than NewReceiver costs. Only one of
// the two may be used from then on.
func (r *Receiver) Anew(p *plan.SRTP) *Receiver {
	n := &Receiver{hints: r.hints}
	n.transform = r.transform
	n.know(p.Rollovers, 0)
	return n
}

// Unprotect appends the plain form of pkt to dst, which needs room for len(pkt) not to be allocated anew, and must not
// overlap pkt. The source is returned if it is news: its first packet, or an index that has crossed a step. If there is an
// error, the packet was not authentic or not fresh, and nothing has changed but bytes behind dst.
func (r *Receiver) Unprotect(dst, pkt []byte) ([]byte, *Source, error) {
	if isRTCP(pkt) {
		return r.unprotectRTCP(dst, pkt)
	}
	header, ok := headerLength(pkt)
	if !ok {
		return dst, nil, ErrMalformed
	}
	ssrc := ssrcOfRTP(pkt)
	src := r.find(ssrc)
	if src == nil && len(r.byID) >= maxSources {
		return dst, nil, ErrSources
	}
	var tries [4]int64
	err := ErrReplayed
	for _, index := range r.guess(tries[:0], src, ssrc, seqOf(pkt)) {
		if index < 0 || index > maxIndex || src != nil && !src.rtp.fresh(uint64(index)) {
			continue
		}
		out, ok := r.transform.openRTP(dst, pkt, header, uint64(index))
		if !ok {
			err = ErrForged
			continue
		}
		if src == nil {
			src = &Source{ssrc: ssrc}
			r.add(src)
		}
		return out, src.usedRTP(uint64(index)), nil
	}
	return dst, nil, err
}

// guess appends the indices that a packet may have, the likeliest first. There is more than one only until the first packet
// of a source has proved authentic. None is lower than what is known from before: old packets would pass for new ones, and
// after one of them the true ones would be forged for ever. So a rollover counter of one less is not among them: a recorded
// state is never ahead of its stream.
func (r *Receiver) guess(tries []int64, src *Source, ssrc uint32, seq uint16) []int64 {
	switch {
	case src != nil && src.resumed:
		first := ahead(src.rtp.top, seq)
		return append(tries, first, first+1<<16)
	case src != nil && src.rtp.begun:
		return append(tries, follow(src.rtp.top, seq))
	}
	if known, ok := r.hints[ssrc]; ok {
		first := ahead(known, seq)
		tries = append(tries, first, first+1<<16)
	}
	tries = append(tries, int64(seq))
	if seq < rtpStep {
		tries = append(tries, int64(seq)+1<<16) // it wrapped before anything of it arrived
	}
	return tries
}

func (r *Receiver) unprotectRTCP(dst, pkt []byte) ([]byte, *Source, error) {
	index, ok := r.transform.indexOf(pkt)
	if !ok {
		return dst, nil, ErrMalformed
	}
	ssrc := ssrcOfRTCP(pkt)
	src := r.find(ssrc)
	switch {
	case src == nil && len(r.byID) >= maxSources:
		return dst, nil, ErrSources
	case src != nil && !src.rtcp.fresh(uint64(index)):
		return dst, nil, ErrReplayed
	}
	out, ok := r.transform.openRTCP(dst, pkt)
	if !ok {
		return dst, nil, ErrForged
	}
	if src == nil {
		src = &Source{ssrc: ssrc}
		r.add(src)
	}
	return out, src.usedRTCP(uint64(index)), nil
}

// isRTCP tells RTCP from RTP on one port (RFC 5761 §4). Both headers stay in the clear.
func isRTCP(pkt []byte) bool { return len(pkt) > 1 && pkt[1] >= 192 && pkt[1] <= 223 }

func ssrcOfRTP(pkt []byte) uint32  { return binary.BigEndian.Uint32(pkt[8:12]) }
func ssrcOfRTCP(pkt []byte) uint32 { return binary.BigEndian.Uint32(pkt[4:8]) }
func seqOf(pkt []byte) uint16      { return binary.BigEndian.Uint16(pkt[2:4]) }

// headerLength is the length of an RTP header with contributing sources and extension; false if pkt is shorter.
func headerLength(pkt []byte) (int, bool) {
	if len(pkt) < 12 || pkt[0]>>6 != 2 {
		return 0, false
	}
	n := 12 + 4*int(pkt[0]&15)
	if pkt[0]&0x10 != 0 {
		if len(pkt) < n+4 {
			return 0, false
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(pkt[n+2:n+4]))
	}
	return n, len(pkt) >= n
}
