package node

import (
	"context"
	"net/netip"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/events"
	"rtpjet/projection/members"
)

// FloatConfig is what a node needs to hold floating addresses, and to vote on them.
type FloatConfig struct {
	Floats []config.Float
	// Start starts a keeper, and Keeper is one that runs already. A node without Floats has one started as soon as the
	// cluster has floats: it votes. nil: this node does not.
	Start  func(ctx context.Context) (*keeper.Keeper, error)
	Keeper *keeper.Keeper
}

func newFloatDriver(n *Node, cfg FloatConfig) *floats.Driver {
	c := floats.Config{
		Node: n.id, Host: floatHost{n}, Link: n.cfg.Link, Moved: n.counters.FloatMoved, Clock: n.clock, Logger: n.log,
	}
	for i := range cfg.Floats {
		c.Own = append(c.Own, floats.Own{ID: cfg.Floats[i].ID, Interfaces: cfg.Floats[i].Interfaces})
	}
	if cfg.Keeper != nil {
		c.Keeper = cfg.Keeper
	}
	if cfg.Start != nil {
		c.Start = func(ctx context.Context) (floats.Keeper, error) {
			k, err := cfg.Start(ctx)
			if err != nil {
				return nil, err
			}
			return k, nil
		}
	}
	return floats.New(c)
}

// floatHost is the node as the driver of its floats needs it.
type floatHost struct{ n *Node }

var _ floats.Host = floatHost{}

// Relaying implements [floats.Host].
func (h floatHost) Relaying() bool { return h.n.calls.relaying.Load() }

// Calls implements [floats.Host].
func (h floatHost) Calls(owner string) int64 { return h.n.tally.gauge(owner).Load() }

// Attend implements [floats.Host].
func (h floatHost) Attend(ctx context.Context, owner string, fresh bool) {
	for _, e := range h.n.calls.all() {
		if ctx.Err() != nil {
			return
		}
		h.attendCall(e, owner, fresh)
	}
}

// attendCall brings one call in line with who holds its float.
func (h floatHost) attendCall(e *entry, owner string, fresh bool) {
	e.mu.Lock()
	defer h.n.calls.release(e)
	if e.dead || !e.Call.Live() || e.Call.Owner != owner {
		return
	}
	if fresh {
		h.n.engine.Drop(e.key)
	}
	h.n.calls.route(e, false)
}

// CatchUp implements [floats.Host].
func (h floatHost) CatchUp(ctx context.Context, more func() bool) error {
	head, err := h.n.journal.Head(ctx)
	if err != nil {
		return err
	}
	for h.n.journal.followed.Load() < head && more() && pause.For(ctx, followPace/4) {
	}
	return nil
}

// Voters implements [floats.Host].
func (h floatHost) Voters() (nodes []string, keepers map[string]netip.AddrPort) {
	return h.n.peers.Voters()
}

// Announce implements [floats.Host].
func (h floatHost) Announce(ctx context.Context, keeper netip.AddrPort) error {
	return h.n.peers.Update(ctx, func(l *members.Lease) { l.Keeper = keeper })
}

// Alive implements [floats.Host].
func (h floatHost) Alive(node string) bool { return h.n.owners.judgeNode(node) == members.Alive }

// End implements [floats.Host].
func (h floatHost) End(err error) { h.n.peers.End(err) }

// handingOver returns a context for the node's work that ends a moment after ctx: when the floats of this node have moved, or
// it is plain that they cannot.
func (n *Node) handingOver(ctx context.Context) (context.Context, context.CancelFunc) {
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer end()
		n.stage.Store(stageEnding)
		if n.floats != nil {
			n.floats.Leave(work)
		}
	})
	return work, func() { stop(); end() }
}

// Move implements [admin.Server].
func (o operators) Move(ctx context.Context, req admin.MoveRequest) admin.Reply {
	ctx, cancel := context.WithTimeout(ctx, admin.MoveTime)
	defer cancel()
	n := o.n
	target, err := n.floats.Move(ctx, req.Float, req.To)
	if err != nil {
		return replyOf(0, err)
	}
	owner := events.Owner{Kind: events.OwnerFloat, Name: req.Float}.String()
	calls := n.tally.gauge(owner).Load()
	if !n.floats.Wait(ctx, func() bool { now := n.owners.carrier(owner); return now != "" && now != n.id }) {
		return admin.Reply{Error: "the float has not moved yet: node " + target + " is not ready; see rtpjet float list, and the log of both nodes"}
	}
	return admin.Reply{Calls: int(calls), Node: n.owners.carrier(owner)}
}
