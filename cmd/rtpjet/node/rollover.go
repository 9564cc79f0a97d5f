package node

import (
	"context"
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
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
func (r reports) rollOver(ctx context.Context) error {
	return takeReports(ctx, r.engine.Crossed(), func(x plan.Crossed) source { return source{x.Local, x.Out, x.SSRC} }, r.rolledOver)
}

// rolledOver returns false if it has to be tried again.
func (r reports) rolledOver(ctx context.Context, x plan.Crossed) bool {
	return r.write(ctx, x.Call, func(c *projection.Call) (events.Event, bool) {
		ev, ok := c.RolledOver(x)
		return ev, ok
	})
}
