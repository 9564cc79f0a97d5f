package app

import (
	"time"

	"rtpjet/projection/members"
)

// judge says how a float is. It is gone only if no node is there that could hold it: until then somebody will.
func (f *floatState) judge(u *unit) members.Verdict {
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
