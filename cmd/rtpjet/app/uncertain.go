package app

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// uncertain are sockets that an event in the log may name: those of decisions whose append was not answered, and those that
// were given to a peer. They are given back only when the log has said what it holds; another call must not get them before.
type uncertain struct {
	mu   sync.Mutex
	list []heldPorts
}

// heldPorts are the sockets of one decision.
type heldPorts struct {
	key   string
	ports []netip.AddrPort
	until time.Time // nobody can be at work on the decision any more
}

func (u *uncertain) add(r heldPorts) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, r)
}

func (u *uncertain) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.list)
}

// take returns those whose time is over.
func (u *uncertain) take(now time.Time) []heldPorts {
	u.mu.Lock()
	defer u.mu.Unlock()
	var old, young []heldPorts
	for _, r := range u.list {
		if now.Before(r.until) {
			young = append(young, r)
		} else {
			old = append(old, r)
		}
	}
	u.list = young
	return old
}

// remove takes the ports out that are held, and returns them.
func (u *uncertain) remove(ports []netip.AddrPort) []netip.AddrPort {
	u.mu.Lock()
	defer u.mu.Unlock()
	var found []netip.AddrPort
	u.list = slices.DeleteFunc(u.list, func(r heldPorts) bool {
		hit := slices.ContainsFunc(r.ports, func(p netip.AddrPort) bool { return slices.Contains(ports, p) })
		if hit {
			found = append(found, r.ports...)
		}
		return hit
	})
	return found
}

// settle asks the log about the decisions whose time is over, and gives back the sockets that no event names. While the log
// does not answer, they wait.
func (n *Node) settle(ctx context.Context) {
	list := n.uncertain.take(n.clock())
	for i, r := range list {
		if !n.settleOne(ctx, r) {
			for _, later := range list[i:] {
				n.uncertain.add(later)
			}
			return
		}
	}
}

func (n *Node) settleOne(ctx context.Context, r heldPorts) bool {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	e := n.calls.acquire(r.key, true)
	defer n.calls.release(e, n.fold)
	locals := e.call.Locals()
	if !slices.ContainsFunc(r.ports, func(p netip.AddrPort) bool { return !slices.Contains(locals, p) }) {
		return true // the event is there
	}
	if err := n.catchUp(ctx, e); err != nil {
		return false
	}
	n.engine.Release(r.ports...) // but for those that a call has adopted meanwhile
	return true
}
