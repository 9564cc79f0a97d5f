package app

import (
	"context"
	"strings"
	"time"

	"rtpjet/projection/members"
	"rtpjet/projection/regions"
)

// floatPrefix begins how events name a float as the owner of a call. No node can have such a name.
const floatPrefix = "float."

func floatOwner(id string) string { return floatPrefix + id }

// cutFloat returns the float that owns a call; ok is false if a node does.
func cutFloat(owner string) (id string, ok bool) { return strings.CutPrefix(owner, floatPrefix) }

// An owner of calls is a node or a float. What commands and timers want to know of one:

// carries tells whether the calls of an owner are this node's at the moment: its own, or those of a float that it holds.
func (n *Node) carries(owner string) bool {
	if owner == n.id {
		return true
	}
	u := n.floats.unit(owner)
	return u != nil && u.holding.Load()
}

// keeps tells whether the sockets of an owner's calls have to be open here: where it is carried, and where it may have to be.
func (n *Node) keeps(owner string) bool {
	if owner == n.id {
		return true
	}
	u := n.floats.unit(owner)
	return u != nil && (u.keep.Load() || u.holding.Load())
}

// carrier returns the node that carries an owner's calls; empty if nobody does at the moment.
func (n *Node) carrier(owner string) string {
	if regions.Foreign(owner) {
		return "" // an owner in a region that is lost
	}
	if _, ok := cutFloat(owner); !ok {
		return owner
	}
	u := n.floats.unit(owner)
	switch {
	case u == nil:
		return ""
	case u.holding.Load():
		return n.id
	}
	return *u.holder.Load()
}

// successor returns the node that keeps an owner's calls warm; empty if there is none.
func (n *Node) successor(owner string) string {
	if u := n.floats.unit(owner); u != nil {
		return *u.successor.Load()
	}
	return ""
}

// since is when this node became the holder of an owner's calls, µs of Unix time; 0 if it is no float's.
func (f *floatState) since(owner string) int64 {
	if u := f.unit(owner); u != nil {
		return u.acquired.Load()
	}
	return 0
}

// judge says how the owner of calls is that is a float. It is gone only if no node is there that could hold it: until then
// somebody will.
func (f *floatState) judge(owner string) members.Verdict {
	u := f.unit(owner)
	if u == nil {
		return members.Silent
	}
	if u.holding.Load() {
		return members.Alive
	}
	if holder := *u.holder.Load(); holder != "" {
		if f.n.judge(holder) == members.Alive {
			return members.Alive
		}
		return members.Silent
	}
	if gone, ok := f.goneFor(u); ok && gone > 0 {
		return members.Gone
	}
	return members.Silent
}

// goneFor tells for how long a float that this node cannot hold has had no holder, beyond floatGone: nodes that can hold it
// would have taken it by then.
func (f *floatState) goneFor(u *unit) (time.Duration, bool) {
	since := u.vacant.Load()
	if since == 0 || u.own != nil {
		return 0, false
	}
	d := time.Duration(f.now()-since)*time.Microsecond - floatGone
	return d, d > 0
}

// settledFor waits until this node, the holder of a float since a moment ago, knows which ports are in use.
func (f *floatState) settledFor(ctx context.Context, owner string) bool {
	u := f.unit(owner)
	if u == nil {
		return true
	}
	select {
	case <-*u.settled.Load():
		return true
	case <-ctx.Done():
		return false
	}
}

// choose returns the float with the fewest calls of those that a node holds, and that were not tried.
func (f *floatState) choose(node string, tried func(owner string) bool) (owner string, ok bool) {
	least := int64(0)
	for _, u := range f.known() {
		if f.n.carrier(u.owner) != node || tried(u.owner) {
			continue
		}
		if calls := f.n.gauge(u.owner).Load(); !ok || calls < least || calls == least && u.owner < owner {
			owner, least, ok = u.owner, calls, true
		}
	}
	return owner, ok
}
