package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// session is what is in force in a talk, by the rules of RFC 3264 and nothing else: what the parties have said, and which ports they
// were told. It is held against the fold of the log at each event.
//
// It knows what is in force only while the log has the commands in the order in which they were sent: an offer that arrives a second
// time, late, may lead anywhere, until a fresh offer was answered.
type session struct {
	w     *world
	s     *subject
	id    string
	gen   uint64
	sure  bool
	stale bool // something has come late, and may have opened or closed anything
	index int  // of the last signal
	life  int  // of the call, as the client counts
	mixed bool // the parties have lost each other: nothing is known any more

	sides   map[string]*side // by tag
	peer    string           // whom alice's last answer was from
	open    []*exchange      // offers that may still be answered
	settled map[string]int   // by tag of the other one than a: the last offer that the two have settled
}

// side is a party's part of what is in force.
type side struct {
	legs []leg // as its last SDP has them; port 0 if either of the two has refused
	told map[string]netip.AddrPort
}

func (d *side) leg(kind string) (leg, bool) {
	g := signal{legs: d.legs}
	return g.leg(kind)
}

// exchange is an offer and what whoever got it was told.
type exchange struct {
	offer    *signal
	told     map[string]netip.AddrPort // by kind; nil after a takeover
	pending  bool
	answered bool
	said     string // what the first answer has said, and who
	spoilt   bool   // one that was no proposal has come between: what it has refused is gone, and so are its ports
}

// checkSession looks at a talk after an event.
func (w *world) checkSession(key string, s *subject, env events.Envelope) {
	call := w.script(key)
	if call == nil || call.talk == nil || w.broken != nil {
		return
	}
	x := s.session
	if x == nil || x.gen != s.call.Gen || !s.call.Live() {
		x = &session{w: w, s: s, id: call.id, gen: s.call.Gen, index: -1, sure: true, sides: map[string]*side{}, settled: map[string]int{}}
		s.session = x
	}
	if !s.call.Live() {
		return
	}
	switch ev := env.Event.(type) {
	case events.Offered:
		x.offered(w.signals[string(env.Cause.Request)], ev.Pending, env.Cause.Reply)
	case events.Answered:
		x.answered(w.signals[string(env.Cause.Request)], env.Cause.Reply)
	case events.TakenOver:
		x.takenOver()
	case events.PartiesRemoved:
		x.sure = false
	}
	x.check()
}

func (w *world) script(key string) *script {
	if i := slices.IndexFunc(w.calls, func(s *script) bool { return s.key == key }); i >= 0 {
		return w.calls[i]
	}
	return nil
}

func (x *session) fail(format string, args ...any) {
	x.w.fail("%s: "+format, append([]any{x.id}, args...)...)
}

func (x *session) offered(g *signal, pending bool, reply []byte) {
	x.w.trace.add(x.w.now, "", "%s: %v, pending %v", x.id, g, pending)
	x.late(g)
	told := x.checkReply(g, reply, func(l leg) bool { return l.port > 0 })
	if !pending && len(x.sides) > 0 {
		x.w.stats.atOnce++
		x.sure = false // a build of the first level takes it for settled
	}
	for _, e := range x.open {
		if !pending || !e.pending {
			e.spoilt = true
			x.mixed = x.mixed || g.to == "" // forks
		}
	}
	between := func(e *exchange) bool {
		return e.offer.from == g.from && e.offer.to == g.to || e.offer.from == g.to && e.offer.to == g.from
	}
	x.open = slices.DeleteFunc(x.open, func(e *exchange) bool {
		return e.offer == g || e.offer.from == g.from && !e.answered && between(e) && g.to != ""
	})
	x.open = append(x.open, &exchange{offer: g, told: told, pending: pending})
}

// late notes that a signal came behind later ones.
func (x *session) late(g *signal) {
	if x.index < 0 {
		x.life = g.life
	}
	x.mixed = x.mixed || g.life != x.life // a delete between them has failed
	if x.index < 0 && g.to != "" || x.index >= 0 && g.index > x.index+1 {
		x.mixed = true // a command has failed, and the client goes on as if it had not
	}
	if g.index < x.index {
		x.sure, x.stale = false, true
		x.mixed = x.mixed || g.to == "" || g.offer != nil // a fork that begins anew, or sections that nobody has asked for
		for _, e := range x.open {
			e.spoilt = true
		}
	}
	x.sure = x.sure && !x.mixed
	x.index = max(x.index, g.index)
}

func (x *session) answered(g *signal, reply []byte) {
	x.w.trace.add(x.w.now, "", "%s: %v", x.id, g)
	fresh := g.index >= x.index
	x.late(g)
	i := slices.IndexFunc(x.open, func(e *exchange) bool { return e.offer == g.offer })
	x.mixed = x.mixed || i < 0 && fresh // an answer to an offer that we have not had
	if i < 0 || !fresh || x.mixed {
		x.sure = false
		return
	}
	e := x.open[i]
	x.sure = !e.spoilt
	if said := fmt.Sprint(g.from, g.legs); !e.answered {
		e.said = said
	} else if said == e.said && x.settled[x.other(g.from, e.offer.from)] > e.offer.index {
		x.w.stats.repeated++ // another exchange of the two has followed: this settles nothing (RFC 3261 §13.2.1)
		x.peer = x.other(g.from, e.offer.from)
		x.settle(e, g)
		return
	}
	e.answered = true
	x.settled[x.other(g.from, e.offer.from)] = e.offer.index
	e.spoilt = e.spoilt || !e.pending
	x.w.stats.exchanges++
	accepted := func(l leg) bool {
		a, ok := g.leg(l.kind)
		return ok && a.port > 0 && l.port > 0
	}
	told := x.checkReply(e.offer, reply, accepted)
	offerer, answerer := &side{told: told}, &side{told: e.told}
	for _, l := range e.offer.legs {
		a, _ := g.leg(l.kind)
		if !accepted(l) {
			a.port = 0
			switch port, known, ok := x.elsewhere(e, g, l.kind); {
			case !ok:
				l.port = 0
			case known:
				offerer.told[l.kind] = port
			}
		}
		a.kind = l.kind
		offerer.legs, answerer.legs = append(offerer.legs, l), append(answerer.legs, a)
	}
	x.sides[e.offer.from], x.sides[g.from] = offerer, answerer
	x.peer = x.other(g.from, e.offer.from)
	x.settle(e, g)
}

// other is the one of two parties that is not a.
func (x *session) other(one, two string) string {
	if one == "a" {
		return two
	}
	return one
}

// settle forgets the offers that a last answer leaves nothing of: of two that cross, one was refused then. An INVITE that has provisional
// answers outlives an UPDATE, and an UPDATE that waits for its answer outlives the INVITE.
func (x *session) settle(e *exchange, g *signal) {
	if g.last {
		x.open = slices.DeleteFunc(x.open, func(o *exchange) bool {
			if o.offer.index > e.offer.index && !o.answered {
				return o.offer.branch == "" || e.offer.branch == "" || o.offer.branch == e.offer.branch
			}
			return o.offer.index >= e.offer.index || !o.answered
		})
	}
}

// elsewhere tells whether another fork has accepted a section, and where the offerer has it then: what one fork refuses is refused to
// nobody else.
func (x *session) elsewhere(e *exchange, g *signal, kind string) (port netip.AddrPort, known, ok bool) {
	for _, tag := range x.forks() {
		d := x.sides[tag]
		if tag == g.from || e.offer.to != "" {
			continue
		}
		if l, known := d.leg(kind); known && l.port > 0 {
			port, unmoved := x.sides[e.offer.from].told[kind]
			return port, unmoved, true
		}
	}
	return port, false, false
}

// forks are the tags of those who have answered the offer that began the call.
func (x *session) forks() (tags []string) {
	for _, tag := range []string{"b", "b1"} {
		if x.sides[tag] != nil {
			tags = append(tags, tag)
		}
	}
	return tags
}

// takenOver forgets the ports of the owner before: the parties learn of the new ones with their next SDPs.
func (x *session) takenOver() {
	for _, tag := range []string{"a", "b", "b1"} {
		if d := x.sides[tag]; d != nil {
			d.told = nil
		}
	}
	for _, e := range x.open {
		if e.pending && !e.answered && e.offer.to != "" {
			x.w.stats.movedOffers++
		}
		e.told = nil
	}
}

// checkReply looks at the SDP that goes to the other party of an SDP and returns the ports that it names. It has all sections of an
// offer, and those with a port that are wanted.
func (x *session) checkReply(offer *signal, reply []byte, wanted func(leg) bool) map[string]netip.AddrPort {
	told, seen := map[string]netip.AddrPort{}, 0
	for _, m := range sections(reply) {
		l, ok := offer.leg(m.kind)
		if !ok {
			if m.port.Port() != 0 && x.sure {
				x.fail("an SDP about offer %d has a section %s, which is not in that", offer.index, m.kind)
			}
			continue
		}
		seen++
		switch live := m.port.Port() != 0; {
		case live != wanted(l) && x.sure:
			x.fail("an SDP about offer %d has the section %s with port %d", offer.index, m.kind, m.port.Port())
		case live:
			told[m.kind] = m.port
		}
	}
	if seen != len(offer.legs) && x.sure {
		x.fail("an SDP about offer %d lacks %d sections", offer.index, len(offer.legs)-seen)
	}
	return told
}

// check holds what is in force against the fold.
func (x *session) check() {
	c := &x.s.call
	if !x.sure || x.mixed || x.w.broken != nil {
		return
	}
	routes := c.Routes(projection.RouteDefaults{}, c.LastSignal)
	for _, tag := range append(x.forks(), "a") {
		d := x.sides[tag]
		if d == nil {
			continue
		}
		p := c.ByTag(tag)
		if p == nil {
			x.fail("nobody has the tag %s", tag)
			return
		}
		for _, kind := range []string{"audio", "video"} {
			x.checkLeg(p, d, kind)
			if x.w.broken == nil {
				other := "a"
				if tag == "a" {
					other = x.peer
				}
				x.checkSound(c, p, other, kind, routes)
			}
		}
	}
	x.checkOpen(routes)
	x.checkSilent(c, routes)
}

// checkLeg: a section of a party is as the last exchange has settled it.
func (x *session) checkLeg(p *events.Party, d *side, kind string) {
	l, _ := d.leg(kind)
	m := inForce(p, kind)
	if (m != nil) != (l.port > 0) {
		x.fail("%s of %s is in force: %v, and should be: %v", kind, p.Tag, m != nil, l.port > 0)
	}
	if m == nil || x.w.broken != nil {
		return
	}
	var pts []int
	for _, codec := range m.Codecs {
		pts = append(pts, codec.PT)
	}
	is := fmt.Sprintf("port %d, %s, %v", m.Remote.RTP.Port(), m.Direction, pts)
	if want := fmt.Sprintf("port %d, %s, %v", l.port, l.dir, l.pts); is != want {
		x.fail("%s of %s is in force with %s, and should be with %s", kind, p.Tag, is, want)
	}
	if told, ok := d.told[kind]; ok && told != m.Local.RTP {
		x.fail("%s was told %s for its %s, and %s is in force", p.Tag, told, kind, m.Local.RTP)
	}
}

// inForce is a party's section of a kind, if it is settled and has not been refused.
func inForce(p *events.Party, kind string) *events.Media {
	for i := range p.Medias {
		if m := &p.Medias[i]; m.Type == kind && !m.Rejected && m.Proposed == 0 {
			return m
		}
	}
	return nil
}

// checkSound: what a party sends goes to the other one, from the port that that one knows and to the one that it has named.
func (x *session) checkSound(c *projection.Call, p *events.Party, other, kind string, routes []plan.Stream) {
	q, d := c.ByTag(other), x.sides[other]
	m := inForce(p, kind)
	if m == nil || q == nil || d == nil {
		return
	}
	to, ok := d.leg(kind)
	o := inForce(q, kind)
	if !ok || to.port == 0 || o == nil {
		return
	}
	in, out := stream(routes, m.Local.RTP), stream(routes, o.Local.RTP)
	switch {
	case in == nil || out == nil:
		x.fail("%s from %s to %s has no way", kind, p.Tag, other)
	case !slices.Contains(in.RTPSinks, o.Local.RTP):
		x.fail("%s from %s leaves from %v, and not from %v, which %s knows", kind, p.Tag, in.RTPSinks, o.Local.RTP, other)
	case int(out.Signalled.Port()) != to.port:
		x.fail("%s from %s goes to port %d, and %s has port %d", kind, p.Tag, out.Signalled.Port(), other, to.port)
	}
}

func stream(routes []plan.Stream, local netip.AddrPort) *plan.Stream {
	if i := slices.IndexFunc(routes, func(s plan.Stream) bool { return s.Local == local }); i >= 0 {
		return &routes[i]
	}
	return nil
}

// checkOpen: whoever was told a port in an offer that may be answered is heard there, by those who hear the section.
func (x *session) checkOpen(routes []plan.Stream) {
	for _, e := range x.open {
		if !e.pending || e.spoilt || e.answered || e.offer.to == "" || x.sides[e.offer.to] == nil {
			continue
		}
		for _, l := range e.offer.legs {
			told, ok := e.told[l.kind]
			if !ok {
				continue
			}
			s := stream(routes, told)
			if s == nil {
				x.fail("the port %s of offer %d for %s is closed, and the offer may be accepted", told, e.offer.index, l.kind)
				return
			}
			now := inForce(x.s.call.ByTag(e.offer.to), l.kind)
			if now == nil {
				continue
			}
			if as := stream(routes, now.Local.RTP); as != nil && !slices.Equal(s.RTPSinks, as.RTPSinks) {
				x.fail("%s at the port of offer %d leaves from %v, and that of the session in force from %v", l.kind, e.offer.index, s.RTPSinks, as.RTPSinks)
			}
		}
	}
}

// checkSilent: sound leaves only from sockets of the session in force, or of sections that an offer has brought; and when nothing
// waits for an answer, no other sockets are open.
func (x *session) checkSilent(c *projection.Call, routes []plan.Stream) {
	forced := map[netip.AddrPort]bool{}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			if m := &p.Medias[i]; !m.Rejected {
				forced[m.Local.RTP] = true
				forced[m.Local.RTCP] = true
			}
		}
	}
	for i := range routes {
		for _, sink := range slices.Concat(routes[i].RTPSinks, routes[i].RTCPSinks) {
			if !forced[sink] {
				x.fail("sound leaves from %s, which is not in force", sink)
			}
		}
		if len(x.open) == 0 && x.nothingWaits() && !forced[routes[i].Local] {
			x.fail("the socket %s is open, and no offer that waits for an answer names it", routes[i].Local)
		}
	}
}

// nothingWaits tells whether the relay knows that nothing waits for an answer.
func (x *session) nothingWaits() bool {
	t := x.w.script(events.Key(x.id)).talk
	return t.codes && x.sides["b1"] == nil && !x.stale
}
