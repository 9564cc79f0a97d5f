package relay

import (
	"net/netip"

	"rtpjet/relay/plan"
)

// A latch decides who is believed to be a party, by the rules that docs/learning.md tells, with their reasons.

// rank says how well a source fits what is known of where the party is. Lower is better. That a port happens to be the one of
// the SDP at another address is worth nothing: anybody can guess it.
type rank uint8

const (
	rankExact     rank = iota // the signalled address
	rankSeen                  // the address from which the proxy received the party's SIP, any port
	rankAddress               // the signalled address, another port; RTCP: the address of the party's RTP
	rankFormer                // where the party was before its SDP named another address
	rankElsewhere             // anywhere else
)

// Bounds of learning. Times are in µs.
const (
	// believeAfter is how many packets that fit together make a source believed.
	believeAfter = 3
	// quietAfter is how long the believed source has to be quiet before another one may take its place.
	quietAfter = 500_000
	// pauseAfter is how long a source that is not believed yet keeps others that are no better out, and how long the believed
	// one has to be quiet where handover was asked for.
	pauseAfter = 150_000
	// keepOn is how long a source of before, or a worse one than the believed, has to keep sending.
	keepOn = 1_000_000
	// settledAfter is how many packets a source has to send that could not be told from a stranger when it was believed, before
	// strangers are kept out for good.
	settledAfter = 50
	// maxGap is by how many sequence numbers packets of a source that is not believed yet may differ.
	maxGap = 64
)

// verdict is what is to be done with a packet.
type verdict uint8

const (
	verdictRefuse verdict = iota
	verdictPass           // forwarded, but no sign that the party is there
	verdictAccept         // forwarded, and a sign of life
)

// trail is how far a source has come; of RTCP the SSRC alone.
type trail struct {
	ssrc uint32
	seq  uint16
}

// sign is what a packet says about its source.
type sign struct {
	src   netip.AddrPort
	now   int64 // µs of Unix time
	kind  kind
	trail trail
	// stray is true for what is forwarded, but shows nothing: RTCP on the port of RTP, DTLS, ZRTP.
	stray bool
	// fits is false if the party may not send this: another payload type than was negotiated, RTCP of a wrong length.
	fits bool
	// proven is true for a packet that was authenticated with a key of the party's SDP.
	proven bool
	// beside is true for RTCP from the address of the believed source of the party's RTP, apart if there is or was another one.
	beside, apart bool
}

// latch learns where a party's packets come from. It is pure: the rules come with the plan, the time with the packet.
type latch struct {
	source    netip.AddrPort // believed; invalid if nobody is
	rank      rank           // of source
	confirmed bool           // a stranger cannot take its place
	met       bool           // somebody was believed before
	former    netip.AddrPort // believed before the SDP named another address
	last      int64          // of source's last packet; 0: none yet
	heard     int            // packets of source, as far as they matter
	rival     rival
}

// rival is the source that may be believed next: there is one at most, so that nobody can fill a memory.
type rival struct {
	source      netip.AddrPort // invalid if there is none
	rank        rank
	count       int   // packets that fit together
	since, last int64 // of the first and the last of them
	trail       trail
}

// restart begins a new epoch; before is the plan so far, nil if there was none. What is known of the party stays if the SDP says
// what it said before, and the latch knows better than the log: the event may still be under way.
func (l *latch) restart(st, before *rules) {
	was := *l
	known := before != nil && before.Mode != plan.LearnOff && was.source.IsValid()
	*l = latch{met: was.met}
	switch {
	case st.Mode == plan.LearnOff:
		l.source, l.confirmed = st.Signalled, st.Signalled.IsValid()
	case known && sameParty(st, before) && (was.source == st.Learned || was.source != st.Former):
		*l = was
	case st.Learned.IsValid():
		l.source, l.confirmed = st.Learned, st.Confirmed
	case st.Former.IsValid():
		l.former = st.Former
	case known:
		l.former = was.source
	default:
		l.former = was.former
	}
	if l.former.IsValid() && st.MayLearn && (l.former == st.Signalled || translated(st, l.former)) {
		l.source, l.confirmed = l.former, l.former == st.Signalled
	}
	if l.source == was.source {
		l.last = was.last
	}
	l.met = l.met || l.former.IsValid() || l.source.IsValid() && st.Mode != plan.LearnOff
	if moved := before != nil && !sameParty(st, before); moved && !l.former.IsValid() && !l.source.IsValid() && usable(before.Signalled) {
		l.former = before.Signalled // nobody was believed there yet, but what comes from there is late
	}
	l.rank = rankOf(l.source, l.former, st)
}

// sameParty tells whether two plans say the same of where the party is. A hold by address is no change.
func sameParty(a, b *rules) bool {
	same := a.Signalled == b.Signalled ||
		a.Signalled.Port() == b.Signalled.Port() && (a.Signalled.Addr().IsUnspecified() || b.Signalled.Addr().IsUnspecified())
	return same && (a.Seen == b.Seen || !a.Seen.IsValid() || !b.Seen.IsValid())
}

// rankOf is the rank of a source that has sent RTP, or RTCP of which nothing else is known.
func rankOf(src, former netip.AddrPort, st *rules) rank {
	switch addr := src.Addr(); {
	case src == st.Signalled:
		return rankExact
	case src == former:
		return rankFormer
	case addr == st.Seen && addr.IsValid():
		return rankSeen
	case addr == st.Signalled.Addr():
		return rankAddress
	}
	return rankElsewhere
}

func (l *latch) rankOf(st *rules, p *sign) rank {
	at := rankOf(p.src, l.former, st)
	if at == rankElsewhere && p.beside {
		return rankAddress
	}
	return at
}

// remote is the address to send to, invalid if none is known.
func (l *latch) remote(st *rules) netip.AddrPort {
	if st.Asymmetric || !l.source.IsValid() {
		return st.Signalled
	}
	return l.source
}

// foreign is true for a source that is not at the address of the believed one.
func (l *latch) foreign(src netip.AddrPort) bool {
	return l.source.IsValid() && src.Addr() != l.source.Addr()
}

// refuses is true for a source whose packets step would refuse whatever is in them. It is for what is dear to look into.
func (l *latch) refuses(st *rules, src netip.AddrPort, now int64) bool {
	if !l.source.IsValid() || src.Addr() == l.source.Addr() || st.Mode == plan.LearnDelayed && !l.confirmed || st.Lenient && !st.StrictSource || rankOf(src, l.former, st) < l.rank {
		return false
	}
	return st.StrictSource && !st.MediaHandover || l.last != 0 && now-l.last < pauseAfter
}

// step judges one packet. changed is true if source or confirmed is new.
func (l *latch) step(st *rules, p *sign) (v verdict, changed bool) {
	switch {
	case p.src == l.source && l.source.IsValid():
		return verdictAccept, l.goOn(st, p)
	case p.stray:
		return l.stray(st, p), false
	}
	at := l.rankOf(st, p)
	switch {
	case st.Mode == plan.LearnDelayed && !l.confirmed && st.MayLearn && p.fits:
		l.believe(st, p, at)
		return verdictAccept, true
	case !l.source.IsValid() || st.Mode == plan.LearnOff && l.last == 0 && !st.StrictSource:
		return l.first(st, p, at)
	}
	return l.other(st, p, at)
}

// goOn notes a packet of the believed source; it returns true if that has become confirmed.
func (l *latch) goOn(st *rules, p *sign) bool {
	if p.stray {
		return false
	}
	l.last = p.now
	if l.confirmed || !st.MayLearn {
		return false
	}
	l.heard++
	l.confirmed = l.settled(st, p.now)
	return l.confirmed
}

// settled tells whether strangers can no longer take the place of the believed source.
func (l *latch) settled(st *rules, now int64) bool {
	switch st.Mode {
	case plan.LearnDelayed:
		return now > st.LearnUntil
	case plan.LearnImmediate, plan.LearnOff:
		return true
	case plan.LearnHeuristic:
	}
	return l.rank < rankFormer || st.RTCP || l.heard >= settledAfter
}

// stray judges what shows nothing: it may come from another port of the party.
func (l *latch) stray(st *rules, p *sign) verdict {
	addr := p.src.Addr()
	switch {
	case l.rankOf(st, p) < rankElsewhere, l.source.IsValid() && addr == l.source.Addr():
		return verdictAccept
	case st.Lenient && !st.StrictSource:
		return verdictPass
	case l.source.IsValid() && st.Mode != plan.LearnOff, l.met, l.last != 0, l.speaks(p.now) && addr != l.rival.source.Addr():
		return verdictRefuse
	}
	return verdictPass
}

// first judges a packet while nobody is believed. What comes first has to get through at once: it may be the only sound that
// there is before an answer.
func (l *latch) first(st *rules, p *sign, at rank) (verdict, bool) {
	able := l.mayBelieve(st, p, at)
	if at == rankElsewhere && !able {
		// Nothing says who this is, so two of them may both be the party; but it is nobody once the party was there.
		if !p.fits || p.apart || l.met || l.last != 0 || l.speaks(p.now) {
			return verdictRefuse, false
		}
		return verdictPass, false
	}
	if at == rankElsewhere && !p.fits || !l.compete(p, at) {
		return verdictRefuse, false
	}
	need := l.need(st, p, at)
	if st.Mode != plan.LearnHeuristic {
		need = 1
	}
	if able && l.rival.count >= need && (at != rankFormer || p.now-l.rival.since >= keepOn) {
		l.believe(st, p, at)
		return verdictAccept, true
	}
	if at == rankElsewhere {
		return verdictPass, false
	}
	return verdictAccept, false
}

// other judges a packet of somebody else than the believed source.
func (l *latch) other(st *rules, p *sign, at rank) (verdict, bool) {
	better := at < l.rank
	v := verdictRefuse
	switch {
	case better:
		v = verdictAccept
	case st.StrictSource && !st.MediaHandover:
		return verdictRefuse, false
	case st.Lenient:
		v = verdictAccept
	case !st.MayLearn && p.src.Addr() == l.source.Addr(): // its NAT may have another port for another socket of ours
		return verdictAccept, false
	}
	if !st.MayLearn || st.Mode == plan.LearnOff || !better && !l.mayFollow(st, p, at) || !l.compete(p, at) {
		return v, false
	}
	if l.rival.count < l.need(st, p, at) || !better && at > l.rank && !st.MediaHandover && p.now-l.rival.since < keepOn {
		return v, false
	}
	l.confirmed = l.confirmed && p.src.Addr() == l.source.Addr()
	l.believe(st, p, at)
	return verdictAccept, true
}

// mayBelieve tells whether a source can be believed at all while nobody better speaks. One of which nothing is known can if the
// party cannot be where it says, as behind a NAT: else the sound of a party that is silent would go to whoever asks for it.
func (l *latch) mayBelieve(st *rules, p *sign, at rank) bool {
	switch {
	case !st.MayLearn || st.Mode == plan.LearnOff:
		return false
	case at < rankElsewhere || st.Lenient || st.Asymmetric || st.Mode != plan.LearnHeuristic || p.proven:
		return true
	case p.apart:
		return false
	}
	return usable(st.Signalled) && !visible(st.Signalled.Addr(), p.src.Addr()) && !visible(st.Seen, p.src.Addr())
}

// mayFollow tells whether a source that is no better than the believed one may take its place.
func (l *latch) mayFollow(st *rules, p *sign, at rank) bool {
	quiet := p.now - l.last
	switch {
	case st.MediaHandover:
		return p.fits && quiet >= pauseAfter
	case quiet < quietAfter:
		return false
	case at < rankElsewhere || p.proven || p.src.Addr() == l.source.Addr():
	default:
		if l.confirmed || !l.mayBelieve(st, p, at) {
			return false
		}
	}
	if l.rival.source == p.src && l.rival.since < l.last {
		l.rival = rival{} // begun before the believed source spoke again
	}
	return true
}

// need is how many packets it takes to believe a source. RTCP and what is not RTP come too seldom to wait for several, where it
// is known whose address it is.
func (l *latch) need(st *rules, p *sign, at rank) int {
	if st.Lenient || p.proven || at < rankElsewhere && p.kind != kindRTP {
		return 1
	}
	return believeAfter
}

// compete makes the source of p the rival, or counts one more packet of it; false if somebody else who is no worse speaks.
func (l *latch) compete(p *sign, at rank) bool {
	r := &l.rival
	if r.source != p.src {
		if r.rank <= at && l.speaks(p.now) {
			return false
		}
		*r = rival{source: p.src}
	}
	if at == rankFormer && p.kind == kindRTP && p.now-r.last >= quietAfter {
		r.count = 0 // it has to keep on
	}
	r.rank, r.last = at, p.now
	switch {
	case !p.fits:
	case r.count > 0 && p.trail.fits(r.trail, p.kind):
		r.count++
		r.trail = p.trail
	case r.count == 0 || !p.trail.late(r.trail):
		r.count, r.since, r.trail = 1, p.now, p.trail
	}
	return true
}

// speaks tells whether there is a rival that has been heard lately.
func (l *latch) speaks(now int64) bool {
	return l.rival.source.IsValid() && now-l.rival.last < pauseAfter
}

// believe makes the source of p the believed one.
func (l *latch) believe(st *rules, p *sign, at rank) {
	l.source, l.met, l.former = p.src, true, netip.AddrPort{}
	l.rank = rankOf(p.src, l.former, st)
	l.rank = min(l.rank, at)
	l.last, l.heard = p.now, 1
	l.rival = rival{}
	l.confirmed = l.confirmed || l.settled(st, p.now)
}

// fits tells whether a packet comes soon after another one of the same source.
func (t trail) fits(before trail, k kind) bool {
	return t.ssrc == before.ssrc && (k != kindRTP || t.seq-before.seq-1 < maxGap)
}

// late tells whether a packet comes soon before another one of the same source, or is the same.
func (t trail) late(after trail) bool { return t.ssrc == after.ssrc && after.seq-t.seq < maxGap }

// visible tells whether packets from addr can show src where they arrive: an address of a network that is translated on the way
// to us cannot, for somebody whose packets come from outside.
func visible(addr, src netip.Addr) bool {
	return addr.IsValid() && !addr.IsUnspecified() && addr.Is4() == src.Is4() && addr.IsLoopback() == src.IsLoopback() &&
		(!internal(addr) || internal(src))
}

// translated tells whether the party is behind a NAT that has shown it as src, and nothing says that it has left that place.
func translated(st *rules, src netip.AddrPort) bool {
	return usable(st.Signalled) && !visible(st.Signalled.Addr(), src.Addr()) && (st.Seen == src.Addr() || !visible(st.Seen, src.Addr()))
}

// sharedSpace is what providers use between their NAT and their customers' (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

func internal(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a)
}
