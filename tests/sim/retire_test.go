package sim

import "slices"

// retire forgets an ended call, and removes it from the stream if this node is the one that does (app/sweep.go).
func (n *node) retire(h *held) {
	if n.followed < h.call.Seq { // the stream would bring it back
		return
	}
	if n.w.cfg.keepEnded == 0 || h.busy || !h.call.Ended || n.wall()-h.call.EndedAt < n.w.cfg.keepEnded {
		return
	}
	if n.w.archiver() == n {
		n.w.log.retire(h.key, h.call.Seq)
	}
	delete(n.calls, h.key)
	n.order = slices.DeleteFunc(n.order, func(k string) bool { return k == h.key })
}

// archiver is the node that cleans the stream up.
func (w *world) archiver() *node {
	for _, n := range w.nodes {
		if n.serving && !n.cutNATS && !n.paused {
			return n
		}
	}
	return nil
}

// gap is what a follower does that finds entries missing which were retired while it was away: calls of which the stream has
// nothing any more have ended.
func (n *node) gap() {
	for _, key := range slices.Clone(n.order) {
		if n.calls[key].call.Live() && n.w.log.last(key) == 0 {
			n.lock(key, ownTime, func(p *proc) { n.lost(p.h) })
		}
	}
}

// lost resets a call whose entries have left the stream.
func (n *node) lost(h *held) {
	last := n.w.log.last(h.key)
	if len(n.w.log.since(h.key, h.call.Seq)) > 0 || last == h.call.Seq {
		return
	}
	n.w.trace.add(n.w.now, n.id, "%s: has ended while nobody said so here", n.w.short(h.key))
	if h.call.Live() {
		h.call.Ended, h.lost = true, true
		n.route(h)
	}
	h.call.Seq = last
}
