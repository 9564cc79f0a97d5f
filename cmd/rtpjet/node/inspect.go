package node

import (
	"context"
	"net/netip"
	"sync/atomic"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// Inspector is a node for those who look at it and change nothing: operators, metrics, probes, and the web page (package view, which
// says in its Host what the methods do). Its methods are safe for concurrent use.
type Inspector struct{ n *Node }

// Inspect returns what there is to see of a node.
func Inspect(n *Node) Inspector { return Inspector{n} }

// State tells how the node is, and what it thinks of its peers. It asks nobody.
func (i Inspector) State() admin.Status {
	n := i.n
	own, foreign := n.tally.calls()
	s := admin.Status{
		Node: n.id, Draining: n.capacity.draining.Load(), Own: own, Foreign: foreign,
		Followed: n.journal.followed.Load(), Unreadable: n.calls.unreadable.Load(), Held: int(n.calls.uncertain.num.Load()),
		Unlogged: n.unlogged.Num(),
	}
	s.Writes, s.WritesFor = n.level()
	s.Floats = n.floats.Status()
	s.Regions = n.regions.Status()
	if n.peers != nil {
		s.Epoch, s.Peers = n.peers.Epoch(), n.peers.Peers()
	}
	return s
}

// Status is State, and what the node has to do at the moment: for that it asks the log how far it is.
func (i Inspector) Status(ctx context.Context) admin.Status {
	n, s := i.n, i.State()
	totals, uptime := n.engine.Totals(), n.clock().Sub(n.started)
	s.Load.PacketsIn, s.Load.PacketsOut = n.rate.now(totals.In, uptime).Packets, n.rateOut.now(totals.Out, uptime).Packets
	if log := n.journal.probe(ctx); log.err == nil {
		s.Load.Lag = log.lag.Microseconds()
		if followed := n.journal.followed.Load(); log.head > followed {
			s.Load.Behind = log.head - followed
		}
	}
	return s
}

// Cluster tells what this node knows of all nodes, and of the floating addresses.
func (i Inspector) Cluster() (nodes []admin.Node, floats []admin.FloatStatus) {
	n := i.n
	if n.peers != nil {
		return n.peers.Nodes(), n.floats.Status()
	}
	return []admin.Node{{Verdict: members.Alive.String(), Lease: members.Lease{
		Node: n.id, State: members.Up, Version: version.Short(), Started: n.started.UnixMicro(), NG: n.Addrs(), Zone: n.cfg.Zone,
	}}}, nil
}

// Carried counts the live calls by the node that carries them.
func (i Inspector) Carried() map[string]int64 {
	calls := map[string]int64{}
	i.n.tally.live.Range(func(owner, g any) bool {
		calls[i.n.owners.carrier(owner.(string))] += g.(*atomic.Int64).Load()
		return true
	})
	return calls
}

// Judge says how an owner of calls is, which is given by its text in events: for a node, its name.
func (i Inspector) Judge(owner string) members.Verdict { return i.n.owners.judge(owner) }

// Live calls f with each live call's key, and the sequence of its last event.
func (i Inspector) Live(f func(key string, last uint64)) {
	i.n.calls.each(func(e *entry) {
		if e.owner.Load() != nil {
			f(e.key, e.applied.Load())
		}
	})
}

// Peek calls f with a live call, unless a command is at work on it.
func (i Inspector) Peek(key string, f func(c *projection.Call, last uint64)) (busy bool) {
	e := i.n.calls.lookup(key)
	if e == nil {
		return false
	}
	if !e.mu.TryLock() {
		return true
	}
	if e.dead {
		e.mu.Unlock()
		return false
	}
	if e.Call.Live() {
		f(&e.Call, e.applied.Load())
	}
	i.n.calls.release(e)
	return false
}

// Last is the sequence of the last event of a call that this node has seen.
func (i Inspector) Last(key string) uint64 {
	if e := i.n.calls.lookup(key); e != nil {
		return e.applied.Load()
	}
	return 0
}

// Counters returns a copy of a live call, and what its sockets have counted.
func (i Inspector) Counters(ctx context.Context, key string) (c *projection.Call, stats func(netip.AddrPort) (plan.Stats, bool)) {
	e := i.n.calls.acquire(key, false)
	if e == nil {
		return nil, nil
	}
	c = e.Call.Snapshot()
	i.n.calls.release(e) // the owner may be slow
	if !c.Live() {
		return nil, nil
	}
	stats, _ = i.n.calls.stats(ctx, c)
	return c, stats
}
