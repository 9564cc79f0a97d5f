package node

import (
	"net/netip"

	"rtpjet/cmd/rtpjet/node/peers"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/replica"
	"rtpjet/relay/plan"
)

func newMembership(n *Node, cfg Config) (*peers.Membership, error) {
	return peers.New(peers.Config{
		Node: n.id, Zone: cfg.Zone, Interfaces: cfg.Interfaces, NG: n.Addrs(), Keeper: n.floats.Addr(), ClusterKey: cfg.ClusterKey,
		SealKeys: cfg.SealKeys, Timeout: cfg.NodeTimeout, OrphanTimeout: n.cfg.OrphanTimeout, CommandBudget: CommandBudget,
		Host: peerHost{n}, Link: cfg.Link, Operators: operators{n}, Clock: n.clock, Logger: n.log,
	})
}

// peerHost is the node as its membership needs it.
type peerHost struct{ n *Node }

var _ peers.Host = peerHost{}

// Load implements [peers.Host].
func (h peerHost) Load() peers.Load {
	return peers.Load{
		Calls: h.n.tally.own(), Room: h.n.capacity.room(), Draining: h.n.capacity.draining.Load(), Unlogged: h.n.cfg.ServeUnlogged && h.n.journal.away.Load() != 0,
	}
}

// Reserve implements [peers.Host].
func (h peerHost) Reserve(r peers.Reservation, until int64) ([]netip.AddrPort, error) {
	if o := h.n.owners.of(r.Owner); o.Kind == events.OwnerFloat && !(o.carries() && o.settled()) {
		return nil, peers.ErrMoved
	}
	ports, err := h.n.engine.Reserve(r.Bind, r.Num)
	if err == nil {
		h.n.calls.uncertain.add(r.Key, ports, until)
	}
	return ports, err
}

// Release implements [peers.Host].
func (h peerHost) Release(key string, ports []netip.AddrPort) {
	h.n.engine.Release(h.n.calls.uncertain.remove(key, ports)...)
}

// Stats implements [peers.Host].
func (h peerHost) Stats(local netip.AddrPort) (plan.Stats, bool) { return h.n.engine.Stats(local) }

// Deliver implements [peers.Host]. Before the backlog is folded, an event has to wait for its turn.
func (h peerHost) Deliver(e peers.Event) (await func(), ok bool) {
	if !h.n.calls.relaying.Load() {
		return nil, false
	}
	calls := h.n.calls
	if calls.deliver(e.Key, replica.Entry{Seq: e.Seq, Data: e.Data, Prev: e.Prev, Early: true}) {
		return nil, true
	}
	return func() { // a command is at work on the call; it folds the event before it lets go
		if held := calls.acquire(e.Key, false); held != nil {
			calls.release(held)
		}
	}, true
}

// NodesChanged implements [peers.Host]: the keeper is told who votes.
func (h peerHost) NodesChanged() { h.n.floats.NodesChanged() }

// OtherLease implements [peers.Host].
func (h peerHost) OtherLease(lease embed.Lease, deleted bool) {
	if !h.n.regions.Recorded(lease, deleted) {
		h.n.floats.Recorded(lease, deleted)
	}
}
