package sim

import (
	"rtpjet/events"
	"rtpjet/projection/members"
)

// mixed tells whether the world has nodes of two builds: in every fourth one they are upgraded as they restart, and some go back. The
// earlier build is played by this one: it announces nothing and writes as that does, and sees more in events than that could.
func (w *world) mixed() bool { return w.seed%4 == 1 }

// firstBuild is what level of events a node reads at the start.
func (w *world) firstBuild(i int) int {
	if w.mixed() && i%2 == 0 {
		return events.LevelFirst
	}
	return events.Level
}

// nextBuild is what level of events a node reads that starts.
func (n *node) nextBuild() int {
	switch {
	case !n.w.mixed() || n.w.now == start:
		return n.reads
	case n.w.chance(200):
		return events.LevelFirst
	}
	return events.Level
}

// announces is what a build says in its lease that reads a level.
func announces(level int) int {
	if level == events.LevelFirst {
		return 0
	}
	return level
}

// level is what level of events the node may write.
func (n *node) level() int {
	if n.w.bug == bugLevel {
		return n.reads
	}
	level, _ := n.table.Level(n.reads, patience, n.w.now)
	return level
}

// toldTime is how long it takes a node at most to hear of a lease.
const toldTime = sec

// checkLevel: nobody writes what a node does not read that has its lease, and of which there was time to hear.
func (w *world) checkLevel(n *node) {
	if n.cutNATS || w.now-n.hears < toldTime {
		return
	}
	for i, m := range w.nodes {
		if w.now-w.leases.at[i] >= toldTime && n.level() > w.held(n, i) {
			w.fail("%s writes level %d, and %s reads %d", n.id, n.level(), m.id, w.held(n, i))
		}
	}
}

// held is what level a node reads as long as it has its lease, and n has not missed it for too long.
func (w *world) held(n *node, i int) int {
	l := w.leases.have[i]
	if w.nodes[i] == n || l.State != members.Up {
		return n.reads
	}
	if since, gone := n.table.GoneSince(l.Node, w.now); gone && w.now-since > patience {
		return n.reads
	}
	return max(l.Level, events.LevelFirst)
}

// checkLevels: when all is well, everybody writes as much as all read.
func (w *world) checkLevels() {
	for _, n := range w.nodes {
		if !n.serving {
			continue
		}
		want := n.reads
		for i := range w.nodes {
			want = min(want, w.held(n, i))
		}
		if got := n.level(); got != want {
			w.fail("all is well, and %s writes level %d instead of %d", n.id, got, want)
		}
	}
}
