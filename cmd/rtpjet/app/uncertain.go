package app

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/relay/plan"
)

// uncertain are sockets that an event in the log may name: those of decisions whose append was not answered, and those that
// were given to a peer. They are given back only when the log has said what it holds; another call must not get them before.
// Those that a call has adopted are no longer here: they may be closed and given out again before the log is asked.
type uncertain struct {
	mu   sync.Mutex
	list map[string][]heldPorts // by the key of the call
	num  atomic.Int64           // of all lists, for a look without mu
}

// heldPorts are the sockets of one decision.
type heldPorts struct {
	ports []netip.AddrPort
	until time.Time // nobody can be at work on the decision any more
}

func (u *uncertain) add(key string, h heldPorts) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.list == nil {
		u.list = make(map[string][]heldPorts)
	}
	u.list[key] = append(u.list[key], h)
	u.num.Add(1)
}

// removeIf takes out what a call has here and drop says yes to.
func (u *uncertain) removeIf(key string, drop func(heldPorts) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := u.list[key]
	if len(before) == 0 {
		return // a node that has just begun is told of sockets that the process before it gave
	}
	after := slices.DeleteFunc(before, drop)
	u.num.Add(int64(len(after) - len(before)))
	if u.list[key] = after; len(after) == 0 {
		delete(u.list, key)
	}
}

// adopted notes that sockets belong to the call now.
func (u *uncertain) adopted(key string, streams []plan.Stream) {
	if u.num.Load() == 0 {
		return
	}
	u.removeIf(key, func(h heldPorts) bool {
		return slices.ContainsFunc(streams, func(s plan.Stream) bool { return slices.Contains(h.ports, s.Local) })
	})
}

// remove takes out what was given for one decision on a call, and returns it.
func (u *uncertain) remove(key string, ports []netip.AddrPort) (found []netip.AddrPort) {
	u.removeIf(key, func(h heldPorts) bool {
		hit := slices.ContainsFunc(h.ports, func(p netip.AddrPort) bool { return slices.Contains(ports, p) })
		if hit {
			found = append(found, h.ports...)
		}
		return hit
	})
	return found
}

// due returns the calls that have something here whose time is over.
func (u *uncertain) due(now time.Time) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var keys []string
	for key, list := range u.list {
		if slices.ContainsFunc(list, func(h heldPorts) bool { return !now.Before(h.until) }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// settle asks the log about the decisions whose time is over, and gives back the sockets that no event names. While the log
// does not answer, they wait.
func (n *Node) settle(ctx context.Context) {
	now := n.clock()
	for _, key := range n.uncertain.due(now) {
		if !n.settleOne(ctx, key, now) {
			return
		}
	}
}

func (n *Node) settleOne(ctx context.Context, key string, now time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	e := n.calls.acquire(key, true)
	defer n.calls.release(e)
	if err := n.catchUp(ctx, e); err != nil {
		return false
	}
	if e.changed { // what the log named is adopted now
		n.route(e, e.fresh)
		e.changed, e.fresh = false, false
	}
	n.uncertain.removeIf(key, func(h heldPorts) bool {
		over := !now.Before(h.until)
		if over {
			n.engine.Release(h.ports...)
		}
		return over
	})
	return true
}
