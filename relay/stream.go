package relay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"

	"rtpjet/relay/plan"
	"rtpjet/relay/srtp"
)

// route is one plan.Stream made ready for the packet path. It is immutable, but for next.
type route struct {
	call      string
	plan      rules
	rtp, rtcp []*stream
	dtmf      payloadTypes
	types     payloadTypes // that the party may send
	clocks    []plan.Clock
	masked    *extensionIDs // nil: none
	beside    *stream       // the one of RTP, if this is of RTCP; nil if there is none

	// feeders are local addresses that must not become the remote: a packet sent there would come back here, for ever.
	feeders []netip.AddrPort

	// in and out are the ends of SRTP, if plan.Decrypt and plan.Encrypt ask for them; see secureRoute.
	in  *srtp.Receiver
	out *srtp.Sender

	gen  *generation // nil if the call does not float
	next *route      // of the same stream in the generation after gen; to be read only if gen is past
}

// newRoute compiles the route of one stream of a call. open names the streams that exist; sinks that do not are left out.
func newRoute(call string, st *plan.Stream, all []plan.Stream, open map[netip.AddrPort]*stream) *route {
	r := &route{call: call, plan: rulesOf(st), dtmf: newPayloadTypes(st.DTMF), types: newPayloadTypes(st.Types), clocks: st.Clocks}
	if len(st.Types) == 0 {
		r.types = anyPayloadType
	}
	if st.RTCP {
		r.beside = open[st.RTP]
	}
	if st.Echo { // what the party hears of itself it has asked for
		r.rtp = []*stream{open[st.Local]}
		r.rtcp = r.rtp
	} else {
		r.rtp = lookUp(st.RTPSinks, open)
		r.rtcp = lookUp(st.RTCPSinks, open)
		r.masked = newExtensionIDs(st.MaskExtensions)
	}
	if s := open[st.Local]; s != nil && s.sources == nil && !st.RTCP && s.route.Load() == nil {
		s.sources = new(sources)
	}
	r.feeders = append(r.feeders, st.Local)
	for i := range all {
		if feeds(&all[i], st.Local) {
			r.feeders = append(r.feeders, all[i].Local)
		}
	}
	return r
}

func lookUp(locals []netip.AddrPort, open map[netip.AddrPort]*stream) []*stream {
	sinks := make([]*stream, 0, len(locals))
	for _, l := range locals {
		if s := open[l]; s != nil {
			sinks = append(sinks, s)
		}
	}
	return sinks
}

func feeds(st *plan.Stream, local netip.AddrPort) bool {
	for _, sinks := range [2][]netip.AddrPort{st.RTPSinks, st.RTCPSinks} {
		for _, l := range sinks {
			if l == local {
				return true
			}
		}
	}
	return false
}

// plain gives an address the one form in which the packet path compares addresses: IPv4 as IPv4, without a zone. The zone
// of a link-local peer can only be that of our own socket.
func plain(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// stream is one bound socket with what its packets have taught and how many they were.
type stream struct {
	// Constant since the socket was bound.
	local netip.AddrPort
	fd    int          // epoll driver
	conn  *net.UDPConn // portable driver

	permit *permit // of its address; nil if that does not float
	pool   int     // of its address: its position among the pools, from 1; 0 if none has it

	// Guarded by Sockets.mu.
	owner *call // nil while only reserved
	tos   uint8

	// Constant since the socket was attached to a shard.
	slot, gen uint32

	route atomic.Pointer[route] // written by the control side; nil once the socket is to be closed

	// Constant since the first route. nil for a socket of RTCP, which has none.
	sources *sources

	// Written by the shard, read by anybody.
	cur     atomic.Pointer[route] // the route that the state below belongs to
	in, out tally
	last    counter // µs of Unix time of the last packet
	aimed   addrBox // remote and whether it is confirmed

	// Touched by the shard only.
	latch     latch
	loop      *loopGuard // nil until a plan asks for it
	remote    netip.AddrPort
	sockaddr  sockaddr // remote as the system wants it
	open      bool     // remote may be sent to
	heard     bool     // something has arrived from this party since its signalled address changed
	dirty     bool     // the latch has news that was not reported yet
	queued    bool     // on shard.unreported
	probing   bool     // on shard.probing
	reportDue int64    // not to be reported before, µs
	probeDue  int64    // next probe, µs

	crossed              int   // reports of SRTP sources since crossSince
	crossSince, crossDue int64 // the next one not before crossDue, µs
}

// sync brings the state up to the newest route; nil if there is none any more.
func (s *stream) sync() *route {
	r, cur := s.route.Load(), s.cur.Load()
	if r == cur || r == nil {
		return r
	}
	if r = r.take(); r != cur && r != nil {
		s.adopt(r)
	}
	return r
}

// adopt takes up r. A stream that floats comes here for the first time with the first packet that it may carry: until then
// it has no state, and each plan is its first.
func (s *stream) adopt(r *route) {
	old := s.cur.Load()
	var before *rules
	if old != nil {
		before = &old.plan
	}
	if old == nil || before.Epoch != r.plan.Epoch {
		s.latch.restart(&r.plan, before)
		// What was learned but is not in the plan must be reported again, under the new epoch.
		s.dirty = s.latch.source.IsValid() && r.plan.Mode != plan.LearnOff &&
			(s.latch.source != r.plan.Learned || s.latch.confirmed && !r.plan.Confirmed)
	}
	if old == nil || !sameParty(&r.plan, before) {
		s.heard = r.plan.Learned.IsValid()
	}
	if r.plan.LoopCheck && s.loop == nil {
		s.loop = new(loopGuard)
	}
	s.aim(r)
	s.cur.Store(r)
}

// aim works out the remote address anew and whether it may be sent to.
func (s *stream) aim(r *route) {
	s.remote = s.latch.remote(&r.plan)
	s.open = usable(s.remote) && s.remote.Addr().Is4() == s.local.Addr().Is4() &&
		// On hold nothing is sent, wherever the party may be.
		(!r.plan.Signalled.IsValid() || usable(r.plan.Signalled)) &&
		(s.heard || !r.plan.NATWait)
	for _, f := range r.feeders {
		if f == s.remote {
			s.open = false
		}
	}
	if s.open {
		s.sockaddr.encode(s.remote, s.local)
	}
	s.aimed.set(s.remote, s.latch.confirmed)
}

func usable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified()
}

// receive takes in one datagram from src at now (µs of Unix time). ok is false if it was refused; sinks are the streams
// that it has to leave from, whether they can send or not, and plain is what has to. With SRTP that is in the shard's buffer.
func (s *stream) receive(h *shard, pkt []byte, src netip.AddrPort, now int64) (k kind, plain []byte, sinks []*stream, ok bool) {
	r := s.sync()
	if r == nil {
		h.at(s).in.Errors++
		return kindInvalid, nil, nil, false
	}
	k = kindOpaque
	if !r.plan.Opaque {
		k = classify(pkt)
		if k == kindInvalid {
			s.refuseFrom(h, src, ShedMalformed)
			return k, nil, nil, false
		}
		if k == kindRTP && r.plan.RTCP {
			k = kindRTCP // misplaced; it goes where what arrives here goes
		}
	}
	plain = pkt
	if r.plan.Decrypt != nil {
		// What is not authentic changes nothing, so this comes before the latch, but for what it would refuse in any case.
		if s.latch.refuses(&r.plan, src, now) {
			s.turnAway(h, r)
			return k, nil, nil, false
		}
		if plain, ok = s.unprotect(h, r, k, pkt, now); !ok {
			s.refuseFrom(h, src, ShedNotAuthentic)
			return k, nil, nil, false
		}
	}
	if !s.listen(h, r, k, plain, src, now) {
		return k, nil, nil, false
	}
	s.countIn(h, r, k, pkt, now)
	if r.plan.Blocked || r.plan.BlockDTMF {
		dtmf := k == kindRTP && r.dtmf.has(payloadType(pkt))
		if dtmf && r.plan.BlockDTMF || !dtmf && r.plan.Blocked {
			h.shed[ShedBlocked]++
			return k, plain, nil, true
		}
	}
	if s.loop != nil && r.plan.LoopCheck && s.loop.stops(pkt, now) {
		h.shed[ShedLoop]++
		return k, plain, nil, true
	}
	if k == kindRTP && r.masked != nil {
		plain = r.masked.without(plain)
	}
	if r.plan.RTCP || k == kindRTCP {
		return k, plain, r.rtcp, true
	}
	return k, plain, r.rtp, true
}

// listen has the latch judge a packet, and takes note of what it shows; false if it is a stranger's.
func (s *stream) listen(h *shard, r *route, k kind, pkt []byte, src netip.AddrPort, now int64) bool {
	p := sign{src: src, now: now, kind: k}
	p.read(r, pkt)
	verdict, changed := s.latch.step(&r.plan, &p)
	switch verdict {
	case verdictRefuse:
		s.turnAway(h, r)
		return false
	case verdictPass:
		return true
	default:
	}
	if int64(s.last.load()) != now {
		s.last.set(uint64(now))
	}
	if changed || !s.heard {
		s.heard = true
		s.dirty = s.dirty || changed
		s.aim(r)
	}
	return true
}

// read fills in what pkt, which is not encrypted by us any more, says about its source.
func (p *sign) read(r *route, pkt []byte) {
	p.proven = r.plan.Decrypt != nil && !r.plan.Decrypt.Unauthenticated
	switch p.kind {
	case kindRTP:
		p.trail = trail{ssrc: source(pkt), seq: sequence(pkt)}
		p.fits = r.types.has(payloadType(pkt))
	case kindRTCP:
		p.stray = !r.plan.RTCP // some endpoints send it to the RTP port, from another socket
		p.trail.ssrc = binary.BigEndian.Uint32(pkt[4:8])
		p.fits = isRTCP(pkt[1]) && rtcpLength(pkt) <= len(pkt)
		if b := r.beside; b != nil {
			p.beside = b.latch.source.IsValid() && !b.latch.foreign(p.src)
			p.apart = !p.beside && b.latch.met
		}
	case kindKeying:
		p.stray = true
	case kindOpaque, kindInvalid:
		p.fits = true
	}
}

// ready tells whether a packet can be sent to the party now.
func (s *stream) ready() bool { return s.sync() != nil && s.open }

// stats may be called by anybody.
func (s *stream) stats() plan.Stats {
	st := plan.Stats{In: s.in.read(), Out: s.out.read(), LastPacket: int64(s.last.load())}
	r, cur := s.route.Load(), s.cur.Load()
	if (r != nil || cur != nil) && s.sources != nil { // without a route they may just be made
		s.sources.read(s, &st)
	}
	if r == nil {
		return st
	}
	if cur == nil || cur.plan.Epoch != r.plan.Epoch && !sameParty(&r.plan, &cur.plan) {
		// The shard takes a new route up with the next packet. Until then this is what it will start from.
		var l latch
		l.restart(&r.plan, nil)
		st.Remote, st.Confirmed = l.remote(&r.plan), l.confirmed
		return st
	}
	st.Remote, st.Confirmed = s.aimed.get()
	return st
}
