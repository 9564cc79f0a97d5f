package app

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// uncertain are the sockets of decisions whose append was not answered: the event may stand in the log and name them. They
// are given back only when the log has said what it holds; another call must not get them before.
type uncertain struct {
	mu   sync.Mutex
	list []heldPorts
}

// heldPorts are the sockets of one such decision.
type heldPorts struct {
	key   string
	ports []netip.AddrPort
	since time.Time
}

func (u *uncertain) add(r heldPorts) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, r)
}

// take returns those that are older than a command can be under way.
func (u *uncertain) take(now time.Time) []heldPorts {
	u.mu.Lock()
	defer u.mu.Unlock()
	var old, young []heldPorts
	for _, r := range u.list {
		if now.Sub(r.since) >= ownTime {
			old = append(old, r)
		} else {
			young = append(young, r)
		}
	}
	u.list = young
	return old
}

// settle asks the log about the decisions whose append was not answered, and gives back the sockets that no event names.
// While the log does not answer, they wait.
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
	if err := n.catchUp(ctx, e); err != nil {
		return false
	}
	n.engine.Release(r.ports...) // but for those that a call has adopted meanwhile
	return true
}
