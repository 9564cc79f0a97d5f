package sim

import "slices"

// retire forgets a call that was over long enough ago, and removes it from the stream if this node is the one that does
// (node/sweep.go).
func (n *node) retire(h *held) {
	over := h.Over(n.wall())
	if n.w.bug == bugRetireAny {
		over = h.Call.Ended && n.wall()-h.Call.EndedAt >= n.core.KeepEnded
	}
	if n.w.cfg.keepEnded == 0 || h.busy || !over || n.w.bug != bugRetireAny && !h.Forgettable(h.Call.Seq, n.followed) {
		return
	}
	if n.w.archiver() == n {
		n.w.checkRetired(n, h)
		n.w.log.retire(h.key, h.Call.Seq)
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

// compareTime is how long the node waits for the log there, since nobody waits for it (node/node.go).
const compareTime = 60 * sec

// gap is what a follower does that finds entries missing which were retired while it was away: calls of which the stream has
// nothing any more have ended.
func (n *node) gap() {
	to := n.followed
	for _, key := range slices.Clone(n.order) {
		if n.calls[key].Logged().Live() && n.w.log.last(key) == 0 {
			n.lock(key, compareTime, func(p *proc) { p.h.Compare(p, to) })
		}
	}
}
