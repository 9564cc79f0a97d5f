package sim

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection"
	"rtpjet/projection/replay"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// twin is a call that never had the offers which nobody has answered: it has all other commands, takeovers and learned addresses. Replies
// and routes are the same, but for the numbers of ports, keys and the o= lines, which count what was sent.
type twin struct {
	replay.Shadow
	w    *world
	id   string
	real projection.Call // that the log is of
	seq  uint64
	port uint16
	// next is the index of the next signal. strayed: one has come late or is missing, and what the parties take for agreed is not.
	next    int
	strayed bool
	// early: an address was learned of a section that only an offer had brought. An offer without the section forgets that.
	early bool
	// skipped: an offer was left out. One that is no proposal then has the sockets that a party was told in it.
	skipped bool
	to      map[netip.AddrPort]netip.AddrPort // from the real call's sockets to the twin's
	fro     map[netip.AddrPort]netip.AddrPort
}

// checkTwins plays the twins of all talks.
func (w *world) checkTwins() {
	for _, s := range w.calls {
		if s.talk != nil && w.broken == nil {
			w.checkTwin(s)
		}
	}
}

func (w *world) checkTwin(s *script) {
	answered := map[*signal]bool{}
	for i := range w.log.entries {
		if g := w.signalOf(&w.log.entries[i]); g != nil && g.offer != nil {
			answered[g.offer] = true
		}
	}
	t := &twin{w: w, id: s.id}
	t.State = &projection.Call{}
	t.InterfacesOf = func(node string) *plan.Interfaces { return w.nodes[w.index(node)].face }
	t.Sockets = t.reserve
	t.Bytes = func(n int) []byte { return make([]byte, n) }
	t.forget()
	for i := range w.log.entries {
		e := &w.log.entries[i]
		if e.key != s.key || w.broken != nil {
			continue
		}
		t.step(uint64(i+1), e, answered)
	}
}

// signalOf is the signal of a talk that led to an entry, nil if none did.
func (w *world) signalOf(e *logEntry) *signal {
	if e.env.Cause == nil {
		return nil
	}
	return w.signals[string(e.env.Cause.Request)]
}

func (t *twin) forget() {
	t.to, t.fro = map[netip.AddrPort]netip.AddrPort{}, map[netip.AddrPort]netip.AddrPort{}
}

func (t *twin) reserve(bind netip.Addr, n int) ([]netip.AddrPort, error) {
	t.port += 2
	out := make([]netip.AddrPort, n)
	for i := range out {
		out[i] = netip.AddrPortFrom(bind, 41000+t.port+uint16(i))
	}
	return out, nil
}

// Append applies what the twin has decided.
func (t *twin) Append(env events.Envelope) error {
	t.seq++
	t.State.ID = env.Call
	t.Wrote = append(t.Wrote, env)
	t.State.Apply(t.seq, env)
	return nil
}

// record applies an event that the twin does not decide.
func (t *twin) record(env events.Envelope) {
	env.Gen = t.State.Gen // its generations are counted anew
	_ = t.Append(env)
}

// step has the twin do what was done at an entry.
func (t *twin) step(seq uint64, e *logEntry, answered map[*signal]bool) {
	g := t.w.signalOf(e)
	offer, isOffer := e.env.Event.(events.Offered)
	if isOffer && offer.Owner != "" {
		t.strayed, t.next = g == nil || g.to != "", 0
		if g != nil {
			t.next = g.index
		}
		t.State, t.early, t.skipped = &projection.Call{}, false, false
		t.forget()
	}
	t.strayed = t.strayed || isOffer && !offer.Pending && t.skipped
	if g != nil {
		t.strayed = t.strayed || g.index != t.next && g.index != t.next-1
		t.next = g.index + 1
	}
	before := t.real.Snapshot()
	t.real.ID = e.env.Call
	t.w.fold(&t.real, seq, e.env)
	t.Time, t.Owner, t.Wrote = e.env.At, t.real.Owner, nil
	switch ev := e.env.Event.(type) {
	case events.TakenOver:
		if t.real.Epoch == before.Epoch || t.strayed {
			return
		}
		t.forget()
		if err := transact.TakeOver(t, e.env.Node, ev.Why); err != nil {
			t.w.fail("%s: event %d: the twin cannot be taken over: %v", t.id, seq, err)
		}
	case events.EndpointLearned:
		if t.strayed {
			return
		}
		if p := before.Party(ev.Party); p != nil && ev.Media < len(p.Medias) && p.Medias[ev.Media].Proposed != 0 {
			t.early = true
		}
		p, q := before.Party(ev.Party), t.State.Party(ev.Party)
		if p == nil || q == nil || ev.Media >= len(p.Medias) || ev.Media >= len(q.Medias) || p.Medias[ev.Media].Signal != ev.Signal {
			return
		}
		ev.Signal = q.Medias[ev.Media].Signal
		e := e.env
		e.Event = ev
		t.record(e)
	default:
		switch {
		case t.strayed: // until the call begins anew
		case isOffer && offer.Pending && offer.Owner == "" && g != nil && !answered[g] && t.settled(g.from) && t.settled(g.to):
			t.w.stats.twinned++
			t.skipped = true
		case e.env.Cause != nil:
			t.command(seq, e)
		default:
			t.record(e.env)
		}
	}
	if t.w.broken == nil && !t.strayed {
		t.compare(seq)
	}
}

// settled tells whether something is in force for a party.
func (t *twin) settled(tag string) bool {
	p := t.State.ByTag(tag)
	if p == nil {
		return false
	}
	m := inForce(p, "audio")
	return m != nil && m.Remote.RTP.IsValid()
}

// command carries a command out and compares the reply.
func (t *twin) command(seq uint64, e *logEntry) {
	dict, enc, err := ng.DecodeDict(e.env.Cause.Request)
	if err != nil {
		panic(err)
	}
	req, err := ng.Parse(dict)
	if err != nil {
		panic(err)
	}
	t.State.LastRequest, t.State.Commands = 0, [4]projection.CommandMark{} // it is not the same command twice
	level := events.LevelProposals
	if ev, ok := e.env.Event.(events.Offered); ok && !ev.Pending {
		level = events.LevelFirst
	}
	set := transact.Settings{Node: e.env.Node, InstanceID: "0123456789ab", DeleteDelay: 2, MaxReply: 65507, Level: level}
	msg := ng.Message{Request: req, Encoding: enc, Cookie: e.env.Cause.Cookie, Raw: e.env.Cause.Request}
	if req.Command != ng.CommandOffer && req.Command != ng.CommandAnswer {
		t.record(e.env)
		return
	}
	res, _ := transact.Execute(t, set, msg, report.Env{})
	got := res.Reply.Append(nil, enc)
	if len(t.Wrote) != 1 {
		t.w.fail("%s: event %d: the twin refuses %q: %v", t.id, seq, clip(got), res.Err)
		return
	}
	t.pairAll(seq)
	a, b := sections(e.env.Cause.Reply), sections(got)
	for i := range min(len(a), len(b)) {
		if a[i].port.Port() != 0 && b[i].port.Port() != 0 {
			t.pair(seq, a[i].port, b[i].port)
		}
	}
	if x, y := plain(e.env.Cause.Reply), plain(got); x != y {
		t.w.fail("%s: event %d: the reply is\n%s\nand without the offers that nobody has answered\n%s", t.id, seq, x, y)
	}
}

var (
	portOfLine = regexp.MustCompile(`(m=\w+|a=rtcp:) ?[1-9][0-9]*`)
	masked     = regexp.MustCompile(`(?m)^o=.*$|inline:\S+|sdp\d+:`)
)

// plain is a reply without what may differ.
func plain(reply []byte) string {
	text := strings.ReplaceAll(string(reply), "\r\n", "\n")
	text = masked.ReplaceAllString(text, "")
	text = regexp.MustCompile(`3:sdp\d+:v=`).ReplaceAllString(text, "v=")
	return portOfLine.ReplaceAllString(text, "$1 PORT")
}

func (t *twin) pair(seq uint64, real, twin netip.AddrPort) {
	if !real.IsValid() && !twin.IsValid() || t.w.broken != nil || t.strayed {
		return
	}
	was, ok := t.to[real]
	back, known := t.fro[twin]
	if ok && was != twin || known && back != real || !real.IsValid() || !twin.IsValid() {
		t.w.fail("%s: event %d: the socket %s is %s in the twin, and was %s, which was %s", t.id, seq, real, twin, was, back)
	}
	t.to[real], t.fro[twin] = twin, real
}

// pairAll pairs the sockets of all sections that both calls have, and forgets those that neither has.
func (t *twin) pairAll(seq uint64) {
	a, b := t.real.Locals(), t.State.Locals()
	for real, twin := range t.to {
		if !slices.Contains(a, real) || !slices.Contains(b, twin) {
			delete(t.to, real)
			delete(t.fro, twin)
		}
	}
	for _, q := range t.State.Parties {
		if q == nil || t.real.Party(q.ID) == nil {
			continue
		}
		p := t.real.Party(q.ID)
		for i := range min(len(q.Medias), len(p.Medias)) {
			if q.Medias[i].Proposed == 0 && p.Medias[i].Proposed == 0 {
				t.pair(seq, p.Medias[i].Local.RTP, q.Medias[i].Local.RTP)
				t.pair(seq, p.Medias[i].Local.RTCP, q.Medias[i].Local.RTCP)
			}
		}
	}
}

// compare compares the routes of the two.
func (t *twin) compare(seq uint64) {
	if t.real.Live() != t.State.Live() {
		t.w.fail("%s: event %d: the call lives: %v, the twin: %v", t.id, seq, t.real.Live(), t.State.Live())
	}
	if !t.real.Live() || t.w.broken != nil {
		t.forget()
		return
	}
	inForce := map[netip.AddrPort]bool{}
	for _, p := range t.State.Parties {
		for i := 0; p != nil && i < len(p.Medias); i++ {
			if m := &p.Medias[i]; m.Proposed == 0 {
				inForce[m.Local.RTP], inForce[m.Local.RTCP] = true, true
			}
		}
	}
	t.pairAll(seq)
	routes := t.real.Routes(projection.RouteDefaults{}, t.Time)
	for _, s := range t.State.Routes(projection.RouteDefaults{}, t.Time) {
		local, ok := t.fro[s.Local]
		if !ok || !inForce[s.Local] {
			continue // of a section that only an offer has brought, or of an offer
		}
		r := stream(routes, local)
		if r == nil {
			t.w.fail("%s: event %d: %s has no route", t.id, seq, local)
			return
		}
		if x, y := t.text(*r, t.to), t.text(s, nil); x != y && t.w.broken == nil {
			t.w.fail("%s: event %d: the route of %s is\n%s\nand without the offers that nobody has answered\n%s", t.id, seq, local, x, y)
		}
	}
}

// text is a route for comparison; to renames its sockets.
func (t *twin) text(s plan.Stream, to map[netip.AddrPort]netip.AddrPort) string {
	rename := func(list []netip.AddrPort) (out []netip.AddrPort) {
		for _, a := range list {
			if to != nil {
				a = to[a]
			}
			if _, ok := t.fro[a]; ok {
				out = append(out, a)
			}
		}
		return out
	}
	if t.early {
		s.Learned, s.Confirmed, s.Former = netip.AddrPort{}, false, netip.AddrPort{}
	}
	return fmt.Sprintf("mux %v, opaque %v, signalled %v, learned %v, confirmed %v, former %v, until %d, may learn %v, types %v, blocked %v, sinks %v %v, rtcp %v, srtp %v %v",
		s.Mux, s.Opaque, s.Signalled, s.Learned, s.Confirmed, s.Former, s.LearnUntil, s.MayLearn, s.Types, s.Blocked,
		rename(s.RTPSinks), rename(s.RTCPSinks), s.RTCP, s.Decrypt != nil, s.Encrypt != nil)
}
