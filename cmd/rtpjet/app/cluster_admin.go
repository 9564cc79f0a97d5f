package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rtpjet/embed"
	"rtpjet/projection/members"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// drainRequest switches draining on or off. With Stop the process ends when it has no more calls, or after Deadline.
type drainRequest struct {
	On       bool          `json:"on"`
	Move     bool          `json:"move,omitempty"` // its floats move to other nodes now
	Stop     bool          `json:"stop,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"` // ns; 0: none
}

// takeoverRequest asks a node to take over all calls of another one.
type takeoverRequest struct {
	Node  string `json:"node"`
	Force bool   `json:"force,omitempty"` // although it is alive
}

// adminReply answers operators.
type adminReply struct {
	Error string `json:"error,omitempty"`
	Calls int    `json:"calls"`
	Node  string `json:"node,omitempty"` // where a float is now
}

// Status is what a node says of itself and of its peers.
type Status struct {
	Node       string `json:"node"`
	Epoch      uint64 `json:"epoch"`
	Draining   bool   `json:"draining"`
	Own        int64  `json:"own"`
	Foreign    int64  `json:"foreign"`
	Followed   uint64 `json:"followed"` // sequence up to which every event is known
	Unreadable uint64 `json:"unreadable"`
	Held       int    `json:"held"`     // reservations that the log is still to be asked about
	Unlogged   int64  `json:"unlogged"` // events that took effect and wait for the log
	Writes     int    `json:"writes"`   // the level of events that it writes, see events.Level
	// WritesFor is who reads no higher level than that; empty: the build has no higher one.
	WritesFor string         `json:"writes_for,omitempty"`
	Peers     []members.Peer `json:"peers"`
	Floats    []FloatStatus  `json:"floats,omitempty"`
	// Regions are the other regions, as this node sees them.
	Regions []regions.Status `json:"regions,omitempty"`
	Load    Load             `json:"load"`
}

// Load is how much a node has to do, and how far it is behind.
type Load struct {
	PacketsIn  uint64 `json:"packets_in"` // a second
	PacketsOut uint64 `json:"packets_out"`
	Behind     uint64 `json:"behind"` // events that are in the log and not known yet
	Lag        int64  `json:"lag"`    // how old the first of them is, µs
}

// Status tells how the node is, and what it thinks of its peers.
func (n *Node) Status() Status {
	own, foreign := n.callsNow()
	s := Status{
		Node: n.id, Draining: n.draining.Load(), Own: own, Foreign: foreign,
		Followed: n.followed.Load(), Unreadable: n.unreadable.Load(), Held: int(n.uncertain.num.Load()),
		Unlogged: n.unlogged.num.Load(),
	}
	s.Writes, s.WritesFor = n.level()
	s.Floats = n.floats.status()
	s.Regions = n.regions.status()
	if c := n.cluster; c != nil {
		s.Epoch = c.epoch.Load()
		c.mu.Lock()
		s.Peers = c.table.Peers(c.now())
		c.mu.Unlock()
	}
	return s
}

func (c *cluster) serveStatus(ctx context.Context, m embed.Msg) {
	s := c.n.Status()
	s.Load = c.n.load(ctx)
	respond(m, s)
}

// load is what the node has to do at the moment.
func (n *Node) load(ctx context.Context) (l Load) {
	totals, uptime := n.engine.Totals(), n.clock().Sub(n.started)
	l.PacketsIn, l.PacketsOut = n.rate.now(totals.In, uptime).Packets, n.rateOut.now(totals.Out, uptime).Packets
	if log := n.probeLog(ctx); log.err == nil {
		l.Lag = log.lag.Microseconds()
		if followed := n.followed.Load(); log.head > followed {
			l.Behind = log.head - followed
		}
	}
	return l
}

// serveDrain takes the node out of the choice for new calls, or back. The lease says so, too, for those who look.
func (c *cluster) serveDrain(ctx context.Context, m embed.Msg) {
	var req drainRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		respond(m, adminReply{Error: err.Error()})
		return
	}
	c.n.draining.Store(req.On)
	c.n.floats.setDraining(req.On)
	uctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := c.update(uctx, func(l *members.Lease, _ uint64) { l.Draining = req.On }); err != nil {
		c.log.Warn("draining is in force, but the lease does not show it", "err", err)
	}
	c.beatOnce(false)
	if req.On && req.Move {
		mctx, cancel := context.WithTimeout(ctx, moveTime)
		left := c.n.floats.handOver(mctx)
		cancel()
		if left > 0 {
			respond(m, adminReply{Error: "not all floats of the node could move; see rtpjet float list", Calls: int(c.n.ownCalls())})
			return
		}
	}
	c.log.Info("draining", "on", req.On, "calls", c.n.ownCalls(), "stops", req.Stop)
	respond(m, adminReply{Calls: int(c.n.ownCalls())})
	if req.On && req.Stop {
		c.stopWhenEmpty(ctx, req.Deadline)
	}
}

// stopWhenEmpty ends the process at zero calls, or at the deadline, unless draining is switched off before.
func (c *cluster) stopWhenEmpty(ctx context.Context, deadline time.Duration) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var over <-chan time.Time
	if deadline > 0 {
		t := time.NewTimer(deadline)
		defer t.Stop()
		over = t.C
	}
	for c.n.draining.Load() {
		if c.n.ownCalls() == 0 {
			c.log.Info("drained; the node ends")
			c.end(errEnded)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-over:
			c.log.Warn("the deadline for draining is over; the node ends", "calls", c.n.ownCalls())
			c.end(errEnded)
			return
		case <-tick.C:
		}
	}
}

// serveTakeover takes over the calls of a node, spread over those with room.
func (c *cluster) serveTakeover(ctx context.Context, m embed.Msg) {
	var req takeoverRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		respond(m, adminReply{Error: err.Error()})
		return
	}
	if v := c.n.judge(req.Node); v != members.Gone && !req.Force {
		respond(m, adminReply{Error: fmt.Sprintf("node %s is %s: its calls would be silent until each is signalled again; "+
			"drain it instead, or say --force", req.Node, v)})
		return
	}
	taken, failed := 0, error(nil)
	for _, e := range c.n.calls.all() {
		if ctx.Err() != nil {
			return
		}
		ok, err := c.n.takeOver(ctx, e, req.Node)
		if err != nil {
			failed = err
		}
		if ok {
			taken++
		}
	}
	c.log.Warn("calls taken over because an operator asked for it", "node", req.Node, "calls", taken, "err", failed)
	r := adminReply{Calls: taken}
	if failed != nil {
		r.Error = "not all calls could be taken over: " + failed.Error()
	}
	respond(m, r)
}

// takeOver takes over one call if it is owned by that node.
func (n *Node) takeOver(ctx context.Context, e *entry, owner string) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	e.mu.Lock()
	defer n.calls.release(e)
	for range 4 { // others may be at work on the same
		if e.dead || !e.Call.Live() || e.Call.Owner != owner {
			return taken, nil
		}
		err = transact.TakeOver(n.effects(ctx, e), n.id, transact.WhyAsked)
		if err == nil {
			return true, nil
		}
		if cerr := n.catchUp(ctx, e); cerr != nil {
			return false, cerr
		}
	}
	return false, err
}

// serveAdopt makes the calls of a lost region this one's.
func (c *cluster) serveAdopt(ctx context.Context, m embed.Msg) {
	var req adoptRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		respond(m, adminReply{Error: err.Error()})
		return
	}
	if c.n.regions == nil {
		respond(m, adminReply{Error: errNoRegions.Error()})
		return
	}
	var r adminReply
	calls, err := c.n.regions.adopt(ctx, req)
	if r.Calls = calls; err != nil {
		r.Error = err.Error()
	}
	respond(m, r)
}

// serveForget forgets a region.
func (c *cluster) serveForget(ctx context.Context, m embed.Msg) {
	var req forgetRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		respond(m, adminReply{Error: err.Error()})
		return
	}
	err := errNoRegions
	if c.n.regions != nil {
		err = c.n.regions.forget(ctx, req.Region)
	}
	var r adminReply
	if err != nil {
		r.Error = err.Error()
	}
	respond(m, r)
}

var errNoRegions = errors.New("this node knows no other region: start it with --region-peer")
