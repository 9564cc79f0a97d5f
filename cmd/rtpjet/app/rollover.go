package app

import (
	"context"
	"net/netip"
	"time"

	"rtpjet/relay/plan"
)

// source names one source of one direction of a socket.
type source struct {
	local netip.AddrPort
	out   bool
	ssrc  uint32
}

// rollOver makes events of how far the sources of encrypted streams have come, so that a restart or another node can go on
// decrypting and encrypting (design, decision 10).
func (n *Node) rollOver(ctx context.Context) error {
	// The latest state of each source that the log did not take.
	pending := make(map[source]plan.Crossed)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case x, ok := <-n.engine.Crossed():
			if !ok {
				return nil
			}
			if len(pending) > 0 || !n.rolledOver(ctx, x) {
				pending[source{x.Local, x.Out, x.SSRC}] = x
			}
		case <-tick.C:
			for s, x := range pending {
				if !n.rolledOver(ctx, x) {
					break // one in each round finds out whether the log is back
				}
				delete(pending, s)
			}
		}
	}
}

// rolledOver returns false if it has to be tried again.
func (n *Node) rolledOver(ctx context.Context, x plan.Crossed) bool {
	e := n.calls.acquire(x.Call, false)
	if e == nil {
		return true
	}
	defer n.calls.release(e)
	if !e.call.Live() || e.call.Owner != n.id {
		return true
	}
	ev, ok := e.call.RolledOver(x)
	return !ok || n.own(ctx, e, ev) == nil
}
