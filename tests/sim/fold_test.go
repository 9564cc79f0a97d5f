package sim

import (
	"net/netip"
	"slices"

	"rtpjet/events"
)

func (n *node) held(key string) *held {
	h := n.calls[key]
	if h == nil {
		h = &held{key: key}
		n.calls[key] = h
		n.order = append(n.order, key)
	}
	return h
}

// lock runs job as soon as nobody else works on the call. Its time counts from now.
func (n *node) lock(key string, limit int64, job func(*proc)) {
	h, deadline := n.held(key), n.w.now+limit
	if h.busy {
		h.waiting = append(h.waiting, func() { n.hold(h, deadline, job) })
		return
	}
	n.hold(h, deadline, job)
}

func (n *node) hold(h *held, deadline int64, job func(*proc)) {
	h.busy = true
	n.spawn(h, deadline, job, func() {
		n.drainInbox(h)
		h.busy = false
		if len(h.waiting) > 0 {
			next := h.waiting[0]
			h.waiting = h.waiting[1:]
			h.busy = true // nobody else gets in between
			n.after(0, next)
		}
	})
}

// wake has the follower deliver what is there.
func (n *node) wake() {
	if n.serving && !n.pumping && n.followed < uint64(len(n.w.log.entries)) && !n.cutNATS {
		n.pumping = true
		n.after(n.w.delay(), n.pump)
	}
}

func (n *node) pump() {
	n.pumping = false
	if n.cutNATS {
		return
	}
	n.followed++
	switch {
	case n.w.log.entry(n.followed).gone:
		n.gap()
	case n.w.bug != bugSkip || !n.w.chance(20):
		n.deliver(n.w.log.entry(n.followed).key, arrival{seq: n.followed})
	}
	n.wake()
}

// deliver hands an entry to its call: it is folded here, or by whoever holds the call.
func (n *node) deliver(key string, in arrival) {
	h := n.held(key)
	if h.call.Seq >= in.seq {
		return
	}
	h.inbox = append(h.inbox, in)
	if !h.busy {
		n.drainInbox(h)
	}
}

func (n *node) drainInbox(h *held) {
	for len(h.inbox) > 0 {
		in := h.inbox[0]
		h.inbox = h.inbox[1:]
		n.foldOne(h, in)
		n.route(h)
	}
}

func (n *node) foldOne(h *held, in arrival) {
	e := n.w.log.entry(in.seq)
	if in.seq <= h.call.Seq || in.early && h.call.Seq != e.prev && n.w.bug != bugUnordered {
		return // an early one whose predecessor is not there yet comes again with the stream
	}
	env := e.env
	switch ev := env.Event.(type) {
	case events.Ended:
		if n.w.bug == bugIgnoreEnd && n.id == "n2" {
			return
		}
	case events.TakenOver:
		if n.w.bug == bugEpoch {
			ev.Epoch = h.call.Epoch + 1
			env.Event = ev
		}
	}
	n.apply(h, in.seq, env)
}

// route brings the sockets in line with the projection, and looks at the result.
func (n *node) route(h *held) {
	was := h.owner
	h.owner = h.call.Owner
	if n.w.bug != bugKeepSockets || was != n.id || !h.call.Live() || h.call.Owner == n.id {
		n.open(h)
	}
	n.w.checkSockets(n, h)
}

// apply folds an event.
func (n *node) apply(h *held, seq uint64, env events.Envelope) {
	if ev, ok := env.Event.(events.Offered); ok && ev.Owner != "" {
		h.lost = false
	}
	h.call.ID = env.Call
	n.w.fold(&h.call, seq, env)
	n.w.checkFolded(n, h)
}

// open makes the node's sockets those that the projection wants.
func (n *node) open(h *held) {
	var want []netip.AddrPort
	if h.call.Live() && h.call.Owner == n.id {
		want = h.call.Locals()
	}
	h.unbound = !n.pool.set(h.key, want)
	for i := range n.grants { // what a call has adopted may be free and reserved for another by the time of settling
		g := &n.grants[i]
		g.ports = slices.DeleteFunc(g.ports, func(a netip.AddrPort) bool { return slices.Contains(want, a) })
	}
	if h.unbound {
		n.w.fail("%s cannot bind the sockets of %s: another call has one", n.id, n.w.short(h.key))
	}
}

// own counts the live calls that are this node's.
func (n *node) own() (calls int) {
	for _, key := range n.order {
		if c := &n.calls[key].call; c.Live() && c.Owner == n.id {
			calls++
		}
	}
	return calls
}

// takesNew tells whether the node has room for another call.
func (n *node) takesNew() bool {
	resting := n.w.now-n.booted < bootRest && n.booted > start
	return !n.draining && !resting && (n.room < 0 || n.own() < n.room)
}
