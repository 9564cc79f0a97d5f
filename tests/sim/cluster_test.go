package sim

import (
	"rtpjet/projection/members"
)

// Times of the cluster, as in cmd/rtpjet/node; there are fewer beats, which cost the simulation most of its time.
const (
	beatEvery = 100 * ms
	silence   = 600 * ms
	fenceTime = 300 * ms
	// patience is for how long the level of events of a node counts that is gone.
	patience = 10 * sec
)

// bucket are the leases: compare-and-set, and watched by everybody.
type bucket struct {
	w    *world
	have [8]members.Lease // by node
	rev  [8]uint64
	at   [8]int64 // when it was written
}

// put writes a lease if nobody else has since.
func (b *bucket) put(i int, l members.Lease, rev uint64) bool {
	if b.rev[i] != rev && b.w.bug != bugFenceBlind {
		return false
	}
	if l.Epoch != b.have[i].Epoch+1 {
		b.w.fail("the lease of %s goes from epoch %d to %d", l.Node, b.have[i].Epoch, l.Epoch)
	}
	b.w.trace.add(b.w.now, "kv", "lease of %s: epoch %d, %s %s", l.Node, l.Epoch, l.State, l.By)
	b.have[i] = l
	b.rev[i]++
	b.at[i] = b.w.now
	for _, n := range b.w.nodes {
		b.w.toWatcher(n, func() { n.watch(i, l) })
	}
	return true
}

// watch takes note of a lease. One's own that a peer has claimed is claimed again: what the log says of the calls stands.
func (n *node) watch(i int, l members.Lease) {
	if l.Epoch > n.view[i].Epoch {
		n.view[i] = l
		n.table.Announced(l.Node, l.Level, l.State == members.Up)
	}
	if n.w.nodes[i] == n && n.serving && n.view[i].Epoch > n.epoch {
		n.claim(func() {})
	}
}

// watchAll reads all leases, at the start and when NATS is there again.
func (n *node) watchAll() {
	for i := range n.view {
		l := n.w.leases.have[i]
		n.w.toWatcher(n, func() { n.watch(i, l) })
	}
}

// toWatcher brings a change of the bucket to a node that watches it. What is lost comes again; what a node that is cut off misses, it
// reads when it is back.
func (w *world) toWatcher(n *node, f func()) {
	inc := n.inc
	if w.lost() && !n.cutNATS {
		w.after(100*ms, func() {
			if n.inc == inc {
				w.toWatcher(n, f)
			}
		})
		return
	}
	w.after(w.delay(), func() {
		if !n.cutNATS {
			n.run(inc, f)
		}
	})
}

func (w *world) index(id string) int {
	for i, n := range w.nodes {
		if n.id == id {
			return i
		}
	}
	panic(id)
}

// claim takes the node's own lease with the next epoch, however often it takes.
func (n *node) claim(then func()) {
	if n.claiming {
		return
	}
	n.claiming = true
	i := n.w.index(n.id)
	var try func()
	try = func() {
		if n.cutNATS {
			n.after(50*ms, try)
			return
		}
		have, rev := n.w.leases.have[i], n.w.leases.rev[i]
		n.after(n.w.delay(), func() {
			l := members.Lease{Node: n.id, Epoch: have.Epoch + 1, State: members.Up, At: n.wall(), Level: announces(n.reads)}
			if n.cutNATS || !n.w.leases.put(i, l, rev) {
				n.after(20*ms, try)
				return
			}
			n.epoch, n.claiming = l.Epoch, false
			then()
		})
	}
	n.after(n.w.delay(), try)
}

// beat tells the others of this node, on both paths.
func (n *node) beat() {
	n.after(beatEvery, n.beat)
	n.table.Tick(!n.cutNATS, n.w.now)
	n.say(false)
}

func (n *node) say(leaving bool) {
	b := members.Beat{
		Node: n.id, Epoch: n.epoch, At: n.wall(), Calls: int64(n.own()), Room: -1, Draining: n.draining, Leaving: leaving,
	}
	if n.room >= 0 {
		b.Room = max(int64(n.room)-b.Calls, 0)
	}
	for _, to := range n.w.nodes {
		if to == n {
			continue
		}
		n.tell(to, func() { to.table.Heard(members.NATS, b, to.wall(), n.w.now) })
		if n.cutUDP || to.cutUDP || n.w.lost() {
			continue
		}
		switch {
		case to.up:
			inc := to.inc
			n.w.after(n.w.delay(), func() {
				to.run(inc, func() { to.table.Heard(members.UDP, b, to.wall(), n.w.now) })
			})
		case !to.dark:
			n.after(n.w.delay(), func() { n.refused(to) })
		}
	}
}

// leave ends a process as it should end: it says goodbye and gives its lease back.
func (n *node) leave() {
	n.w.trace.add(n.w.now, n.id, "leaves")
	n.say(true)
	i := n.w.index(n.id)
	l, rev := n.w.leases.have[i], n.w.leases.rev[i]
	if l.Epoch == n.epoch && !n.cutNATS {
		l.State, l.Epoch = members.Down, l.Epoch+1
		n.w.leases.put(i, l, rev)
	}
	n.crash()
}

// refused notes that nobody listens at a peer, and asks NATS what it knows.
func (n *node) refused(peer *node) {
	n.table.Refused(peer.id, n.w.now)
	if !peer.up && !n.cutNATS {
		n.after(n.w.delay(), func() { n.table.Absent(peer.id, n.w.now) })
	}
}

// tell sends a message to a peer by NATS that nobody answers.
func (n *node) tell(to *node, f func()) {
	if n.cutNATS || to.cutNATS || !to.up || n.w.lost() {
		return
	}
	inc := to.inc
	n.w.after(n.w.delay(), func() {
		if !to.cutNATS {
			to.run(inc, f)
		}
	})
}

// toLog has something happen at the log or the bucket, if the request gets there.
func (w *world) toLog(n *node, f func()) {
	if n.cutNATS || w.lost() {
		return
	}
	w.after(w.delay(), func() {
		if !n.cutNATS {
			f()
		}
	})
}

// fromLog brings an answer of the log or of the bucket to a node.
func (w *world) fromLog(n *node, f func()) {
	if n.cutNATS || n.deaf > 0 || w.lost() {
		return
	}
	inc := n.inc
	w.after(w.delay(), func() {
		if !n.cutNATS {
			n.run(inc, f)
		}
	})
}

// judge says how a peer is.
func (n *node) judge(id string) members.Verdict {
	v := n.table.Judge(id, n.w.now)
	if v == members.Silent && n.w.bug == bugKeepSockets {
		return members.Gone
	}
	return v
}
