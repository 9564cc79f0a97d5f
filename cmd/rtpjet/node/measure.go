package node

import (
	"context"
	"runtime"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node/peers"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/events"
	"rtpjet/projection/members"
)

// Measure takes the snapshot that a scrape is made of.
func (i Inspector) Measure(ctx context.Context) *metrics.Snapshot {
	n := i.n
	calls, totals, commands := i.calls(), n.engine.Totals(), n.server.Stats()
	reasons, log := i.unready(ctx)
	s := &metrics.Snapshot{
		Build: Build(), Running: true, Ready: len(reasons) == 0, Draining: n.capacity.draining.Load(),
		Report: i.report(calls, totals, commands), NG: commands, Relay: totals, Calls: calls,
		Log: metrics.Log{
			Reachable: log.err == nil, Head: log.head, Lag: log.lag, Followed: n.journal.followed.Load(),
			Unlogged: n.unlogged.Num(), Held: n.calls.uncertain.num.Load(),
			Unreadable: n.calls.unreadable.Load(), Unopened: n.journal.unopened.Load(), Archiving: n.journal.Archiving(),
		},
		Floats: measureFloats(n.floats.Status()),
	}
	if since := n.journal.away.Load(); since != 0 {
		s.Log.Away = max(0, time.Duration(n.calls.now()-since)*time.Microsecond)
	}
	floating := n.floats.Addresses()
	for _, p := range totals.Pools {
		s.Pools = append(s.Pools, metrics.Pool{Addr: p.Addr, Float: floating[p.Addr], Used: p.Used, Free: p.Free, Resting: p.Resting})
	}
	if n.peers != nil {
		s.Leases, s.Peers = measureNodes(n.peers, n.calls.now())
		s.Regions = measureRegions(n.regions)
	}
	return s
}

// calls counts the live calls, from the calls themselves.
func (i Inspector) calls() (c metrics.Calls) {
	type kind struct{ float, here bool }
	known := make(map[string]kind)
	i.n.calls.each(func(e *entry) {
		owner := e.owner.Load()
		if owner == nil {
			return
		}
		k, ok := known[*owner]
		if !ok {
			o := i.n.owners.of(*owner)
			k.float, k.here = o.Kind == events.OwnerFloat, o.carries()
			known[*owner] = k
		}
		c.Add(k.float, k.here)
	})
	return c
}

// measureNodes is how the nodes of this region are, by their leases and by what is heard of them.
func measureNodes(p *peers.Membership, wall int64) (leases []metrics.Lease, heard []metrics.Peer) {
	for _, l := range p.Nodes() {
		if l.Epoch == 0 {
			continue // ours is not claimed yet
		}
		leases = append(leases, metrics.Lease{
			Node: l.Node, State: l.State, Epoch: l.Epoch, Age: max(0, time.Duration(wall-l.At)*time.Microsecond),
		})
	}
	for _, p := range p.Peers() {
		heard = append(heard, metrics.Peer{
			Node: p.Node, Verdict: p.Verdict.String(), NATS: heardFor(p.Heard[members.NATS]), UDP: heardFor(p.Heard[members.UDP]),
			Skew: time.Duration(p.Skew) * time.Microsecond, Calls: p.Calls,
		})
	}
	return leases, heard
}

func heardFor(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

func measureFloats(list []admin.FloatStatus) (out []metrics.Float) {
	for _, s := range list {
		out = append(out, metrics.Float{
			ID: s.Float, Held: s.Holding, Warm: s.Warm, HasHolder: s.Holder != "", Epoch: s.Epoch, Calls: s.Calls,
		})
	}
	return out
}

// Build is this build, for metrics.
func Build() metrics.Build {
	v, commit := version.Parts()
	return metrics.Build{Version: v, Revision: commit, Go: runtime.Version()}
}
