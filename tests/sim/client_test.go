package sim

import (
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/transact"
)

// clientTimeout is when a client sends its command again.
const clientTimeout = sec

// reply is what a node has said to a command.
type reply struct {
	raw    []byte
	reason string // of an error
}

func (r reply) ok() bool { return r.reason == "" }

// transient tells whether the same command may succeed a moment later, though nothing has changed the call.
func (r reply) transient() bool {
	switch r.reason {
	case transact.ReasonLog, transact.ReasonSilent, ng.ReasonInternal, ng.ReasonOutOfPorts, ng.ReasonSessionLimit:
		return true
	}
	return false
}

// cached is a command under way or done, in a node's reply cache.
type cached struct {
	done    bool
	reply   reply
	waiting []func(reply)
}

// send brings a message to a node, and its reply back. got may be called never.
func (w *world) send(n *node, m *message, got func(reply)) {
	if w.lost() {
		return
	}
	w.after(w.delay(), func() {
		if !n.serving {
			return
		}
		n.run(n.inc, func() {
			n.receive(m, func(r reply) {
				if !w.lost() {
					w.after(w.delay(), func() { got(r) })
				}
			})
		})
	})
}

// receive does what the NG server does with its reply cache.
func (n *node) receive(m *message, answer func(reply)) {
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
	n.w.stats.commands++
	n.lock(m.call.key, commandTime, func(p *proc) {
		from := uint64(len(n.w.log.entries))
		p.served = p.h.Waiting()
		n.w.trace.add(n.w.now, n.id, "%s: %s, cookie %s", m.CallID, m.Command, m.cookie)
		res := n.execute(p, m)
		n.bring(p.h)
		r := reply{raw: res.Reply.Append(nil, ng.Bencode), reason: res.Reply.Reason()}
		n.w.trace.add(n.w.now, n.id, "%s: replies to %s, cookie %s: %s %v", m.CallID, m.Command, m.cookie, r.reason, res.Err)
		n.w.checkReply(p, m, r, from)
		c.done, c.reply = true, r
		for _, f := range c.waiting {
			f(r)
		}
		c.waiting = nil
	})
}

func (n *node) execute(p transact.Effects, m *message) transact.Result {
	n.w.checkLevel(n)
	set := transact.Settings{Node: n.id, InstanceID: "0123456789ab", DeleteDelay: 2, MaxReply: 65507, Level: n.level()}
	msg := ng.Message{Request: m.Request, Encoding: ng.Bencode, Cookie: m.cookie, Raw: m.raw}
	if res, ok := transact.Execute(p, set, msg, report.Env{}); ok {
		return res
	}
	out := ng.OK() // a query
	if c := p.Call(); c.Live() {
		report.Query(out.Object, c, m.Request, p.Stats(), report.Env{})
	}
	return transact.Result{Reply: out}
}

// any returns a node at random: clients know no better.
func (w *world) any() *node { return w.nodes[w.rng.IntN(len(w.nodes))] }

// step sends the next command of a script.
func (s *script) step() {
	if len(s.plan) == 0 || s.w.calm {
		s.over = true
		return
	}
	s.last = s.build(s.plan[0])
	s.plan = s.plan[1:]
	m := s.last
	if s.w.chance(100) { // thrown at everybody at once
		for _, n := range s.w.nodes {
			s.w.send(n, m, func(reply) {})
		}
	}
	for s.w.chance(200) { // a duplicate somewhere, sooner or later
		s.w.after(s.w.between(0, 1500*ms), func() { s.w.send(s.w.any(), m, func(reply) {}) })
	}
	s.try(m, s.w.any(), 5, func(reply) { s.w.after(s.w.between(0, s.w.cfg.think), s.step) })
}

// noReply is the reason of a client that has heard nothing.
const noReply = "no reply"

// try sends a command until there is a reply that is more than a temporary trouble: at each timeout the same bytes, at an
// error under a new cookie. done is called once.
func (s *script) try(m *message, n *node, tries int, done func(reply)) {
	open := true
	again := func(m *message, r reply, wait int64) {
		if tries == 0 {
			done(r)
			return
		}
		if s.w.chance(600) || s.w.calm {
			n = s.w.any()
		}
		s.w.after(wait, func() { s.try(m, n, tries-1, done) })
	}
	s.w.send(n, m, func(r reply) {
		if !open {
			return
		}
		open = false
		s.full = r.reason == ng.ReasonOutOfPorts
		if !r.transient() {
			done(r)
			return
		}
		fresh := *m
		fresh.cookie = s.cookie()
		again(&fresh, r, s.w.between(0, 300*ms))
	})
	s.w.after(clientTimeout, func() {
		if open {
			open = false
			again(m, reply{reason: noReply}, 0)
		}
	})
}
