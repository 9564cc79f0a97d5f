package sim

import (
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// homeTime is how long the home of a call may take to answer, as in cmd/rtpjet/node.
const homeTime = 700 * ms

// reasonRegion is why a command for a call of another region is refused, as in cmd/rtpjet/node.
const reasonRegion = "Home region of the call does not answer"

// receive does what the NG server does with its reply cache.
func (n *regionNode) receive(m *message, answer func(reply)) {
	c := n.cache[m.id()]
	switch {
	case c == nil:
	case c.done:
		answer(c.reply)
		return
	default:
		c.waiting = append(c.waiting, answer)
		return
	}
	c = &cached{waiting: []func(reply){answer}}
	n.cache[m.id()] = c
	n.w.stats.Commands++
	n.spawn(func(p *regionProc) {
		r := n.carryOut(p, m)
		c.done, c.reply = true, r
		for _, f := range c.waiting {
			f(r)
		}
		c.waiting = nil
	})
}

// carryOut carries a command out, here or elsewhere, and looks at what it took.
func (n *regionNode) carryOut(p *regionProc, m *message) reply {
	w, key, began := n.w, m.call.key, n.w.now
	was := *n.g.log.call(key)
	fenced := n.fenced(was.First)
	w.note(n.qualified(), "%s: %s, cookie %s", m.CallID, m.Command, m.cookie)
	r, ok := n.elsewhere(p, m)
	if !ok {
		r = n.here(p, m, "")
	}
	w.note(n.qualified(), "%s: replies to %s, cookie %s: %q after %d waits", m.CallID, m.Command, m.cookie, r.reason, p.waves)
	is := n.g.log.call(key)
	if was.Live() && is.Live() && was.First == is.First && !fenced && !w.split[key] && n.g.log.entries[is.First-1].at < began-100*ms { // the node has heard of it
		switch {
		case p.waves > 0:
			w.fail("%s: %s at %s waits for another region, and its home is here", m.CallID, m.Command, n.qualified())
		case r.reason == reasonRegion || r.reason == ng.ReasonUnknownCallID:
			w.fail("%s: %s at %s is refused (%s), and its home is here", m.CallID, m.Command, n.qualified(), r.reason)
		}
	}
	if p.heard && p.waves > 1 {
		w.fail("%s: %s at %s takes %d round trips, and the home answers", m.CallID, m.Command, n.qualified(), p.waves)
	}
	if took := w.now - began; took > 8*sec && began > n.g.awake && w.calm {
		w.fail("%s: %s at %s takes %d ms", m.CallID, m.Command, n.qualified(), took/ms)
	}
	return r
}

// here carries a command out in this region.
func (n *regionNode) here(p *regionProc, m *message, via string) reply {
	p.lock(m.call.key)
	defer p.unlock()
	res := execute(&homeEffects{p}, n.id, via, m)
	return reply{res.Reply.Append(nil, ng.Bencode), res.Reply.Reason()}
}

func execute(fx transact.Effects, id, via string, m *message) transact.Result {
	set := transact.Settings{Node: id, InstanceID: "0123456789ab", DeleteDelay: 0, MaxReply: 65507, Level: events.Level}
	msg := ng.Message{Request: m.Request, Encoding: ng.Bencode, Cookie: m.cookie, Raw: m.raw, Via: via}
	if res, ok := transact.Execute(fx, set, msg, report.Env{}); ok {
		return res
	}
	if !fx.Call().Live() { // a query
		if err := fx.CatchUp(); err != nil || !fx.Call().Live() {
			return transact.Result{Reply: ng.Error(ng.ReasonUnknownCallID)}
		}
	}
	out := ng.OK()
	report.Query(out.Object, fx.Call(), m.Request, fx.Stats(), report.Env{})
	return transact.Result{Reply: out}
}

// fenced tells whether a call of this region is another one's, which adopted it.
func (n *regionNode) fenced(first uint64) bool {
	return n.fence != nil && n.fence.Ends(first, n.fence.Upto)
}

// route says who carries out a command.
func (n *regionNode) route(key string, begins bool) regions.Route {
	h := n.calls[key]
	if h != nil && h.Call.Live() {
		if n.fenced(h.Call.First) {
			return regions.Route{Home: n.fence.By} // it is about to be ended here
		}
		return regions.Decide(true, true, begins, nil, nil)
	}
	var others []regions.Sighting
	for i, v := range n.peers {
		s, ok := v.seen[key]
		if n.w.bug == regionsAll {
			s.first = 1
		}
		if ok {
			others = append(others, regions.Sighting{Region: n.w.regions[i].name, First: s.first})
		}
	}
	return regions.Decide(false, h != nil && h.Call.Gen > 0, begins, others, n.known())
}

func (n *regionNode) elsewhere(p *regionProc, m *message) (reply, bool) {
	route := n.route(m.call.key, regions.Begins(m.Info().Begins, m.ToTag))
	switch {
	case route.Home != "":
		return n.atHome(p, n.w.regions[n.w.index(route.Home)], m), true
	case route.AskAll:
		return n.askAll(p, m)
	}
	return reply{}, false
}

// forwarded is what a home says to a command.
type forwarded struct {
	kind byte // 'r', 'u', 'b', 'n' for nobody; 0: nothing
	reply
}

func (n *regionNode) atHome(p *regionProc, home *region, m *message) reply {
	w := n.w
	if n.peers[home.i].link.Reachable(n.now()) {
		w.stats.Forwarded++
		p.waves++
		got := wait(p, homeTime, forwarded{}, func(done func(forwarded)) { n.forward(home, m, false, done) })
		if got.kind == 'r' {
			p.heard = true
			return got.reply
		}
	}
	return n.fromMirror(p, home, m)
}

func (n *regionNode) fromMirror(p *regionProc, home *region, m *message) reply {
	w := n.w
	w.stats.FromMirror++
	p.pause(w.near())
	c := n.g.mirrors[home.i].project(home, m.call.key)
	reachable := n.peers[home.i].link.Reachable(n.now())
	x := &abroad{homeEffects{p}, home, m.call.key, c}
	switch {
	case !c.Live():
		return reply{nil, ng.ReasonUnknownCallID}
	case m.Info().Answerer != ng.HomeOrMirror && !reachable:
		return reply{nil, reasonRegion}
	}
	res := execute(x, n.qualified(), n.qualified(), m)
	return reply{res.Reply.Append(nil, ng.Bencode), res.Reply.Reason()}
}

// forward sends a command to a node of another region, now and then twice.
func (n *regionNode) forward(home *region, m *message, ifKnown bool, done func(forwarded)) {
	w := n.w
	times := 1
	if w.chance(50) && !w.calm {
		times = 2
		w.stats.Twice++
	}
	via := n.qualified()
	for range times {
		w.cross(n.g.i, home.i, func() {
			back := func(f forwarded) { w.cross(home.i, n.g.i, func() { done(f) }) }
			to := home.up()
			switch {
			case to == nil:
				return
			case !to.serving:
				back(forwarded{kind: 'b'})
				return
			}
			to.spawn(func(q *regionProc) {
				if ifKnown && !to.lives(q, m) {
					back(forwarded{kind: 'u'})
					return
				}
				back(forwarded{'r', to.here(q, m, via)})
			})
		})
	}
}

// lives tells whether a call exists in this region.
func (n *regionNode) lives(p *regionProc, m *message) bool {
	p.lock(m.call.key)
	defer p.unlock()
	if !p.h.Call.Live() {
		_ = (&homeEffects{p}).CatchUp() // it cannot fail here
	}
	return p.h.Call.Live()
}

// askAll asks all regions whether they know a call that nobody here knows.
func (n *regionNode) askAll(p *regionProc, m *message) (reply, bool) {
	p.lock(m.call.key)
	if p.h.Call.Gen == 0 {
		_ = (&homeEffects{p}).CatchUp()
	}
	knows := p.h.Call.Gen > 0
	p.unlock()
	if knows {
		return reply{}, false
	}
	var ask []*region
	for _, g := range n.w.regions {
		if g != n.g && n.peers[g.i].link.Reachable(n.now()) {
			ask = append(ask, g)
		}
	}
	if len(ask) == 0 {
		return reply{}, false
	}
	n.w.stats.Asked++
	p.waves++
	got := wait(p, homeTime, forwarded{}, func(done func(forwarded)) {
		left := len(ask)
		for _, g := range ask {
			open := true
			n.forward(g, m, true, func(f forwarded) {
				if f.kind == 'r' {
					done(f)
				}
				if open {
					open = false
					if left--; left == 0 {
						done(f)
					}
				}
			})
		}
	})
	p.heard = got.kind == 'r'
	return got.reply, got.kind == 'r'
}

// regionKey is the key of a call-id.
func regionKey(id string) string { return events.Key(id) }
