package node

import (
	"context"
	"net/netip"

	"rtpjet/relay/plan"
)

// source names one source of one direction of a socket.
type source struct {
	local netip.AddrPort
	out   bool
	ssrc  uint32
}

// rollOver makes events of how far the sources of encrypted streams have come, so that a restart or another node can go on
// decrypting and encrypting (docs/decisions/10-learned-state.md).
func (n *Node) rollOver(ctx context.Context) error {
	return takeReports(ctx, n.engine.Crossed(), func(x plan.Crossed) source { return source{x.Local, x.Out, x.SSRC} }, n.rolledOver)
}

// rolledOver returns false if it has to be tried again.
func (n *Node) rolledOver(ctx context.Context, x plan.Crossed) bool {
	e := n.calls.acquire(x.Call, false)
	if e == nil {
		return true
	}
	defer n.calls.release(e)
	if !e.Call.Live() || !n.owners.carries(e.Call.Owner) {
		return true
	}
	ev, ok := e.Call.RolledOver(x)
	return !ok || n.own(ctx, e, ev) == nil
}
