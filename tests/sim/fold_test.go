package sim

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection/replica"
)

func (n *node) held(key string) *held {
	h := n.calls[key]
	if h == nil {
		h = &held{Replica: replica.New(&n.core), key: key}
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
		n.letGo(h)
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
	if n.serving && !n.pumping && n.followed < uint64(len(n.w.log.entries)) && !n.cutNATS && n.deaf == 0 {
		n.pumping = true
		n.after(n.w.delay(), n.pump)
	}
}

func (n *node) pump() {
	n.pumping = false
	if n.cutNATS || n.deaf > 0 {
		return
	}
	n.followed++
	switch {
	case n.w.log.entry(n.followed).gone:
		n.gap()
	case n.w.bug != bugSkip || !n.w.chance(20):
		e := n.w.log.entry(n.followed)
		n.deliver(e.key, replica.Entry{Seq: n.followed, Data: e.data})
		if n.logAway != 0 {
			n.rouse()
		}
	}
	n.wake()
}

// deliver hands an entry to its call: it is folded here, or by whoever holds the call.
func (n *node) deliver(key string, in replica.Entry) {
	h := n.held(key)
	if h.Logged().Seq >= in.Seq {
		return
	}
	h.inbox.Put(in)
	if !h.busy {
		n.letGo(h)
	}
}

// letGo folds what has arrived, and brings it into effect at once.
func (n *node) letGo(h *held) {
	if h.busy && n.w.bug == bugLetGo {
		return
	}
	for _, in := range h.inbox.Take() {
		n.foldOne(h, in)
	}
	n.bring(h)
}

// foldOne folds an entry of the log, unless it is there already.
func (n *node) foldOne(h *held, in replica.Entry) {
	if !h.Takes(in) && (n.w.bug != bugUnordered || in.Seq <= h.Logged().Seq) {
		return
	}
	e := n.w.log.entry(in.Seq)
	if e.unreadable {
		h.garbled = true
		n.took(h, events.Envelope{}, h.Unreadable(in.Seq))
		return
	}
	if n.w.bug == bugPublishTwice && h.Waiting() {
		in.Data = nil
	}
	env := e.env
	switch ev := env.Event.(type) {
	case events.Ended:
		if n.w.bug == bugIgnoreEnd && n.id == "n2" {
			return
		}
	case events.TakenOver:
		if n.w.bug == bugEpoch {
			ev.Epoch = h.Call.Epoch + 1
			env.Event = ev
		}
	}
	n.took(h, env, h.Fold(in.Seq, env, in.Data, true))
}

// took looks at what became of a call.
func (n *node) took(h *held, env events.Envelope, ch replica.Change) {
	if ch.Was.Owner == n.id {
		n.grants.Adopted(h.key, ch.Free)
		n.pool.release(ch.Free)
	}
	if ch.Lost {
		h.lost = true
		n.w.trace.add(n.w.now, n.id, "%s: has ended while nobody said so here", n.w.short(h.key))
	}
	if ev, ok := env.Event.(events.Offered); ok && ev.Owner != "" {
		h.lost = false
	}
	n.unwait(h, ch)
	if n.w.bug.folds() {
		n.bend(h, env)
	}
	n.w.checkFolded(n, h)
}

// bend folds an event with the planted bug.
func (n *node) bend(h *held, env events.Envelope) {
	if env.Event == nil {
		h.bent = *h.Call.Snapshot()
		return
	}
	h.bent.ID = env.Call
	n.w.fold(&h.bent, h.Call.Seq, env)
	h.Call = *h.bent.Snapshot()
}

// bring brings the sockets in line with what was folded.
func (n *node) bring(h *held) {
	if h.Unrouted() {
		n.route(h)
		h.Routed()
	}
}

// route brings the sockets in line with the projection, and looks at the result.
func (n *node) route(h *held) {
	was := h.owner
	h.owner = h.Call.Owner
	if n.w.bug != bugKeepSockets || was != n.id || !h.Call.Live() || h.Call.Owner == n.id {
		n.open(h)
	}
	n.w.checkSockets(n, h)
}

// open makes the node's sockets those that the projection wants.
func (n *node) open(h *held) {
	var want []netip.AddrPort
	if h.Call.Live() && h.Call.Owner == n.id {
		want = h.Call.Locals()
	}
	h.unbound = !n.pool.set(h.key, want)
	n.grants.Adopted(h.key, want)
	if h.unbound && !n.forgets {
		n.w.fail("%s cannot bind the sockets of %s: another call has one", n.id, n.w.short(h.key))
	}
}

// own counts the live calls that are this node's.
func (n *node) own() (calls int) {
	for _, key := range n.order {
		if c := &n.calls[key].Call; c.Live() && c.Owner == n.id {
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
