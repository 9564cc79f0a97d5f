package sim

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
)

// The invariants. Each check stands where what it is about has just changed, so together they hold after every step.

// short is the call-id of a key.
func (w *world) short(key string) string {
	for _, s := range w.calls {
		if s.key == key {
			return s.id
		}
	}
	return key
}

// checkOwner: one owner in each epoch of a call, whoever looks.
func (w *world) checkOwner(who, key string, c *projection.Call) {
	if !c.Live() {
		return
	}
	o := ownership{key, c.First, c.Epoch}
	if was, ok := w.log.owners[o]; !ok {
		w.log.owners[o] = c.Owner
	} else if was != c.Owner {
		w.fail("%s has %s in epoch %d owned by %s, others by %s", who, w.short(key), c.Epoch, c.Owner, was)
	}
}

// causeID tells commands apart.
func causeID(c *events.Cause) string { return c.Cookie + "\x00" + string(c.Request) }

// checkAppended looks at an event before it is folded: a takeover is by whoever knew the owner before, and no command is
// carried out twice.
// What was carried out without the log, its node could not know.
func (w *world) checkAppended(key string, s *subject, seq uint64, env events.Envelope, unlogged bool) {
	c := &s.call
	if ev, ok := env.Event.(events.TakenOver); ok && w.bug != bugEpoch {
		w.stats.takeovers++
		if !c.Live() || env.Gen != c.Gen || ev.Epoch != c.Epoch+1 || ev.From != c.Owner {
			w.fail("takeover of %s from %s to %s with epoch %d, but it is owned by %s in epoch %d",
				w.short(key), ev.From, ev.Owner, ev.Epoch, c.Owner, c.Epoch)
		}
	}
	if env.Cause == nil {
		return
	}
	id := causeID(env.Cause)
	if unlogged || w.log.twice[id] {
		w.log.twice[id] = true
		return
	}
	_, offered := env.Event.(events.Offered)
	_, answered := env.Event.(events.Answered)
	if list := w.log.caused[id]; len(list) > 0 && w.repeatable(s, list[len(list)-1], seq, offered || answered) {
		w.fail("command with cookie %s is carried out twice, as events %d and %d", env.Cause.Cookie, list[len(list)-1], seq)
	}
	w.log.caused[id] = append(w.log.caused[id], seq)
}

// repeatable tells whether a command that led to event seq must be recognised at a time at which the log ends before until:
// if its mark is still in projection.Call, and, for a reply that names sockets, they are still the call's.
func (w *world) repeatable(s *subject, seq, until uint64, moves bool) bool {
	if w.log.entry(seq).gone {
		return false
	}
	gen, caused := w.log.entry(seq).env.Gen, 0
	for _, q := range s.seqs {
		if q <= seq || q >= until {
			continue
		}
		env := w.log.entry(q).env
		if env.Cause != nil {
			caused++
		}
		switch env.Event.(type) {
		case events.Ended:
			return false // a node that has started since has passed over what led to the end
		case events.TakenOver:
			if moves {
				return false
			}
		}
		if env.Gen != gen { // a projection forgets with a generation's first event what ended the one before
			return false
		}
	}
	return caused < len(s.call.Commands)
}

// checkPorts: whoever owns a call has its sockets open, from the moment of the event on.
func (w *world) checkPorts(key string, s *subject) {
	if len(s.locals) == 0 {
		return
	}
	n := w.nodes[w.index(s.call.Owner)]
	if !n.serving {
		return // it binds them when it starts
	}
	if h := n.calls[key]; h != nil && h.Waiting() {
		return // the log is behind
	}
	for _, a := range s.locals {
		switch _, so := n.pool.at(a); {
		case so == nil:
			w.fail("call %s of %s names the socket %s of another node", w.short(key), n.id, a)
		case so.key == key:
		case so.key != "":
			w.fail("call %s names the socket %s, which %s has given to %s", w.short(key), a, n.id, w.short(so.key))
		case w.now-n.booted > bootRest+sec:
			w.fail("call %s names the socket %s, which %s has given up", w.short(key), a, n.id)
		}
	}
}

// behind tells whether the log may be behind what a node has done with its sockets.
func (w *world) behind(id string) bool {
	n := w.nodes[w.index(id)]
	return len(n.disk) > 0 || n.forgets
}

// checkFreed: no socket is closed that the log still has in a call of the node.
func (w *world) checkFreed(n *node, a netip.AddrPort, key string) {
	if h := n.calls[key]; h != nil && h.Waiting() {
		return // the log is behind
	}
	if w.log.named[a] == key && w.log.subjects[key].call.Owner == n.id {
		w.fail("%s closes the socket %s, which its call %s still names", n.id, a, w.short(key))
	}
}

// checkAcknowledged: what was acknowledged is in the log.
func (w *world) checkAcknowledged(seq uint64, key string, data []byte) {
	if seq == 0 || seq > uint64(len(w.log.entries)) || w.log.entry(seq).key != key || !bytes.Equal(w.log.entry(seq).data, data) {
		w.fail("event %d of %s was acknowledged and is not in the log", seq, w.short(key))
	}
}

// checkFolded: a projection is what the log was at that event.
func (w *world) checkFolded(n *node, h *held) {
	c := h.Logged()
	w.checkOwner(n.id, h.key, c)
	if !h.lost && c.Seq > 0 && c.Seq <= uint64(len(w.log.entries)) && w.log.entry(c.Seq).sum != summary(c) {
		w.fail("%s has folded %s up to %d to another call than the log is", n.id, w.short(h.key), c.Seq)
	}
}

// checkSockets: a node has the sockets of its calls open, and of those that it lost none.
func (w *world) checkSockets(n *node, h *held) {
	have := n.pool.adopted(h.key)
	if h.Call.Live() && h.Call.Owner == n.id {
		if want := h.Call.Locals(); len(have) != len(want) && !h.unbound {
			w.fail("%s has %d sockets of %s open, not %d", n.id, len(have), h.Call.ID, len(want))
		}
	} else if len(have) > 0 {
		w.fail("%s has sockets of %s open, which is not its own", n.id, h.Call.ID)
	}
}

// checkReply: a command that the log has gets the reply that stands there; a reply names sockets only if an event does; and
// a refusal has a reason in the log as it was at some time since the command was begun.
func (w *world) checkReply(p *proc, m *message, r reply, from uint64) {
	if m.Command == "query" {
		return
	}
	key := m.call.key
	s := w.log.subject(key)
	if r.ok() && m.moves() {
		for _, a := range named(r.raw) {
			if !s.ports[a] {
				w.fail("%s replies with the socket %s, which no event names", p.n.id, a)
			}
		}
	}
	if p.served || w.log.twice[m.id()] {
		w.stats.served++ // by what the node knows, which is not what the log has
		return
	}
	for _, seq := range w.log.caused[m.id()] {
		if seq > from || r.transient() || !w.repeatable(s, seq, uint64(len(w.log.entries))+1, m.moves()) {
			continue
		}
		w.stats.repeats++
		if !bytes.Equal(w.log.entry(seq).env.Cause.Reply, r.raw) {
			w.fail("%s replies to %s, cookie %s, with %q and not as event %d has it: %q",
				p.n.id, m.Command, m.cookie, r.raw, seq, w.log.entry(seq).env.Cause.Reply)
		}
	}
	if p.wrote || r.transient() {
		return
	}
	if seq := w.repeated(s, m, r); seq == 0 {
		w.checkNothing(p.n, m, r, from)
	} else if m.moves() && !w.holds(s, seq, from) {
		w.fail("%s repeats the reply of event %d to %s, cookie %s, though the call has ended or has another owner since",
			p.n.id, seq, m.Command, m.cookie)
	}
}

// repeated finds the event whose reply was given again, 0 if there is none.
func (w *world) repeated(s *subject, m *message, r reply) uint64 {
	for _, seq := range slices.Backward(s.seqs) {
		if c := w.log.entry(seq).env.Cause; c != nil && bytes.Equal(c.Request, m.raw) && bytes.Equal(c.Reply, r.raw) {
			return seq
		}
	}
	return 0
}

// holds tells whether the sockets of an event's reply were still the call's when the log ended at upto.
func (w *world) holds(s *subject, seq, upto uint64) bool {
	for _, q := range s.seqs {
		if q > seq && q <= upto {
			switch w.log.entry(q).env.Event.(type) {
			case events.TakenOver, events.Ended:
				return false
			}
		}
	}
	return true
}

// told is an m= section of an SDP of ours.
type told struct {
	kind string
	port netip.AddrPort
}

// sections returns those of the SDP of a reply.
func sections(raw []byte) []told {
	var session netip.Addr
	var all []told
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if text, ok := strings.CutPrefix(line, "c=IN IP4 "); ok {
			addr, _ := netip.ParseAddr(text)
			if len(all) == 0 {
				session = addr
			} else {
				last := &all[len(all)-1]
				last.port = netip.AddrPortFrom(addr, last.port.Port())
			}
		}
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[0], "m=") {
			port, _ := strconv.Atoi(f[1])
			all = append(all, told{f[0][2:], netip.AddrPortFrom(session, uint16(port))})
		}
	}
	return all
}

// named returns the sockets that the SDP of a reply names.
func named(raw []byte) []netip.AddrPort {
	var out []netip.AddrPort
	for _, m := range sections(raw) {
		if m.port.Port() > 0 {
			out = append(out, m.port)
		}
	}
	return out
}
