package node

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// Measure takes the snapshot that a scrape is made of.
func (n *Node) Measure(ctx context.Context) *metrics.Snapshot {
	calls, totals, commands := n.countCalls(), n.engine.Totals(), n.server.Stats()
	reasons, log := n.unready(ctx)
	s := &metrics.Snapshot{
		Build: Build(), Running: true, Ready: len(reasons) == 0, Draining: n.draining.Load(),
		Report: n.report(calls, totals, commands), NG: commands, Relay: totals, Calls: calls,
		Log: metrics.Log{
			Reachable: log.err == nil, Head: log.head, Lag: log.lag, Followed: n.followed.Load(),
			Unlogged: n.unlogged.num.Load(), Held: n.uncertain.num.Load(),
			Unreadable: n.unreadable.Load(), Unopened: n.unsealed.Load(), Archiving: n.journal.Archiving(),
		},
		Floats: measureFloats(n.floats.Status()),
	}
	if since := n.logAway.Load(); since != 0 {
		s.Log.Away = max(0, time.Duration(n.now()-since)*time.Microsecond)
	}
	floating := n.floats.Addresses()
	for _, p := range totals.Pools {
		s.Pools = append(s.Pools, metrics.Pool{Addr: p.Addr, Float: floating[p.Addr], Used: p.Used, Free: p.Free, Resting: p.Resting})
	}
	if n.cluster != nil {
		s.Leases, s.Peers = n.cluster.measure()
		s.Regions = n.regions.measure()
	}
	return s
}

// countCalls counts the live calls, from the calls themselves.
func (n *Node) countCalls() (c metrics.Calls) {
	type kind struct{ float, here bool }
	known := make(map[string]kind)
	n.calls.each(func(e *entry) {
		owner := e.owner.Load()
		if owner == nil {
			return
		}
		k, ok := known[*owner]
		if !ok {
			o := n.owner(*owner)
			k.float, k.here = o.Kind == events.OwnerFloat, o.carries()
			known[*owner] = k
		}
		c.Add(k.float, k.here)
	})
	return c
}

// countAppend counts an append to the log that has just ended.
func (n *Node) countAppend(began time.Time, err error) {
	result := metrics.AppendOK
	switch {
	case errors.Is(err, embed.ErrConflict):
		result = metrics.AppendConflict
	case err != nil:
		result = metrics.AppendFailed
	}
	n.counters.Append(result, time.Since(began))
}

// countTakeover counts a call that has another owner now.
func (n *Node) countTakeover(before, now, why string) {
	direction := metrics.TakenElsewhere
	switch {
	case n.carries(now):
		direction = metrics.TakenIn
	case n.carries(before):
		direction = metrics.TakenOut
	}
	if why != transact.WhyGone && why != transact.WhyAsked {
		why = "other" // the word of another release
	}
	n.counters.TakenOver(direction, why)
	if direction != metrics.TakenIn || why != transact.WhyGone || n.cluster == nil {
		return
	}
	n.cluster.mu.Lock()
	us, ok := n.cluster.table.Unheard(before, n.cluster.now())
	n.cluster.mu.Unlock()
	if ok {
		n.counters.TakeoverSilence(time.Duration(us) * time.Microsecond)
	}
}

// logProbe asks the log how far it is. Whoever wants to know within probeEvery gets the same answer.
type logProbe struct {
	mu   sync.Mutex
	at   time.Time
	last logState
}

// logState is what the log has answered.
type logState struct {
	head uint64
	lag  time.Duration
	err  error
}

const (
	probeEvery = 500 * time.Millisecond
	probeTime  = 500 * time.Millisecond // for the log to answer
)

// probeLog tells how far the log is, and how old the first entry that this node has not read.
func (n *Node) probeLog(ctx context.Context) logState {
	p := &n.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() && time.Since(p.at) < probeEvery {
		return p.last
	}
	// Not the asker's context: who hangs up must not make the log look silent to the next one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	var s logState
	if s.head, s.err = n.journal.Head(ctx); s.err == nil {
		if followed := n.followed.Load(); followed < s.head {
			e, found, err := n.journal.Next(ctx, followed+1)
			if s.err = err; found {
				s.lag = max(0, n.clock().Sub(e.Time))
			}
		}
	}
	p.at, p.last = time.Now(), s
	return s
}

func (c *cluster) measure() (leases []metrics.Lease, peers []metrics.Peer) {
	wall := c.n.now()
	add := func(l members.Lease) {
		leases = append(leases, metrics.Lease{
			Node: l.Node, State: l.State, Epoch: l.Epoch, Age: max(0, time.Duration(wall-l.At)*time.Microsecond),
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mine.Epoch > 0 {
		add(c.mine)
	}
	for id, l := range c.leases {
		if id != c.n.id {
			add(l.Lease)
		}
	}
	for _, p := range c.table.Peers(c.now()) {
		peers = append(peers, metrics.Peer{
			Node: p.Node, Verdict: p.Verdict.String(), NATS: heardFor(p.Heard[members.NATS]), UDP: heardFor(p.Heard[members.UDP]),
			Skew: time.Duration(p.Skew) * time.Microsecond, Calls: p.Calls,
		})
	}
	return leases, peers
}

// measure is how the other regions are.
func (r *regionState) measure() (out []metrics.Region) {
	for _, s := range r.status() {
		out = append(out, metrics.Region{
			Name: s.Region, State: s.State, Age: time.Duration(s.AgeMS) * time.Millisecond, Lag: s.Lag, RTT: time.Duration(s.RTTMS * float64(time.Millisecond)),
			Skew: time.Duration(s.SkewMS) * time.Millisecond, Calls: s.Calls, Cuts: s.Cuts,
		})
	}
	return out
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
