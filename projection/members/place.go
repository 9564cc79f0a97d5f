package members

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"rtpjet/relay/plan"
)

// Wish is what a new call asks of the node that gets it.
type Wish struct {
	// Tried are owners that had no room, or did not answer.
	Tried []string
	// Interfaces are the names that the call has for the interfaces towards its parties; "" is the default one.
	Interfaces []string
	// Turn says which member of a group of interfaces serves the call.
	Turn uint64
}

// Here is this node as one that a new call may go to.
type Here struct {
	Takes bool  // it takes new calls, and has room
	Last  bool  // but rather none as long as a peer does
	First bool  // and rather all, wherever it is
	Calls int64 // that it owns
}

// Locate notes where a node is, this one included, by its lease: its zone, and its media addresses; nil if these are not known.
func (t *Table) Locate(id, zone string, interfaces *plan.Interfaces) {
	t.places[id] = place{zone, interfaces}
}

// candidate is a node that a new call may go to.
type candidate struct {
	id    string
	near  int
	calls int64
	peer  *node // nil: this node
}

// before tells whether a is the better choice.
func (a candidate) before(b candidate) bool {
	if a.near == b.near && a.calls == b.calls && (a.peer == nil) != (b.peer == nil) {
		return a.peer == nil
	}
	return cmp.Or(cmp.Compare(b.near, a.near), cmp.Compare(a.calls, b.calls), strings.Compare(a.id, b.id)) < 0
}

// Place chooses the node that a new call goes to, of those that are alive and have room: one of the nearest zone, and there
// the one with the fewest calls, this node before others that have as few. Where nobody has a zone, this node is nearest to
// itself, and all others are equally far. ok is false if there is none.
func (t *Table) Place(w Wish, here Here, now int64) (id string, ok bool) {
	self, zoned := t.places[t.cfg.Self], t.zoned(now)
	mine := candidate{id: t.cfg.Self, calls: here.Calls, near: 1}
	switch {
	case here.First:
		mine.near = math.MaxInt
	case zoned:
		mine.near = self.near(self.zone, w)
	}
	here.Takes = here.Takes && !slices.Contains(w.Tried, t.cfg.Self)
	best, ok := mine, here.Takes && !here.Last
	for _, n := range t.nodes {
		at := t.places[n.Node]
		if n.Draining || n.Room == 0 || at.interfaces == nil || slices.Contains(w.Tried, n.Node) || t.Judge(n.Node, now) != Alive {
			continue
		}
		c := candidate{id: n.Node, calls: n.Calls, peer: n}
		if zoned {
			c.near = at.near(self.zone, w)
		}
		if !ok || c.before(best) {
			best, ok = c, true
		}
	}
	switch {
	case !ok:
		return t.cfg.Self, here.Takes
	case best.peer != nil:
		best.peer.Calls++ // until the next beat: many calls at once are spread
	}
	return best.id, true
}

// zoned tells whether this node, or one that is alive, has a zone.
func (t *Table) zoned(now int64) bool {
	for id, p := range t.places {
		if known := t.nodes[id] != nil || id == t.cfg.Self; known && p.hasZone() && t.Judge(id, now) == Alive {
			return true
		}
	}
	return false
}
