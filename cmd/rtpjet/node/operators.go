package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// operators is the node as operators ask it.
type operators struct{ n *Node }

var _ admin.Server = operators{}

// Status implements [admin.Server].
func (o operators) Status(ctx context.Context) admin.Status { return Inspect(o.n).Status(ctx) }

// Why implements [admin.Server].
func (o operators) Why(req admin.WhyRequest) admin.WhyReply {
	n := o.n
	r := admin.WhyReply{Now: n.calls.now(), Timeouts: n.cfg.Timeouts}
	e := n.calls.acquire(req.Key, false)
	if e == nil {
		r.Unknown = true
		return r
	}
	locals, owner := e.Call.Locals(), e.Call.Owner
	n.calls.release(e)
	r.Unknown, r.Carried, r.Since = len(locals) == 0, n.owners.carries(owner), n.owners.of(owner).since()
	for _, local := range locals {
		if st, ok := n.engine.Stats(local); ok {
			r.Stats = append(r.Stats, admin.SocketStats{Local: local, Stats: st})
		}
	}
	return r
}

// Drain implements [admin.Server]. The lease says that the node is draining, too, for those who look.
func (o operators) Drain(ctx context.Context, req admin.DrainRequest, answer func(admin.Reply)) {
	n := o.n
	n.capacity.draining.Store(req.On)
	n.floats.Drain(req.On)
	uctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := n.peers.Update(uctx, func(l *members.Lease) { l.Draining = req.On }); err != nil {
		n.log.Warn("draining is in force, but the lease does not show it", "err", err)
	}
	n.peers.Beat()
	if req.On && req.Move {
		mctx, cancel := context.WithTimeout(ctx, admin.MoveTime)
		left := n.floats.HandOver(mctx)
		cancel()
		if left > 0 {
			answer(admin.Reply{Error: "not all floats of the node could move; see rtpjet float list", Calls: int(n.tally.own())})
			return
		}
	}
	n.log.Info("draining", "on", req.On, "calls", n.tally.own(), "stops", req.Stop)
	answer(admin.Reply{Calls: int(n.tally.own())})
	if req.On && req.Stop {
		o.stopWhenEmpty(ctx, req.Deadline)
	}
}

// stopWhenEmpty ends the process at zero calls, or at the deadline, unless draining is switched off before.
func (o operators) stopWhenEmpty(ctx context.Context, deadline time.Duration) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var over <-chan time.Time
	if deadline > 0 {
		t := time.NewTimer(deadline)
		defer t.Stop()
		over = t.C
	}
	for o.n.capacity.draining.Load() {
		if o.n.tally.own() == 0 {
			o.n.log.Info("drained; the node ends")
			o.n.peers.End(errEnded)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-over:
			o.n.log.Warn("the deadline for draining is over; the node ends", "calls", o.n.tally.own())
			o.n.peers.End(errEnded)
			return
		case <-tick.C:
		}
	}
}

// Takeover implements [admin.Server].
func (o operators) Takeover(ctx context.Context, req admin.TakeoverRequest) admin.Reply {
	n := o.n
	if v := n.owners.judge(req.Node); v != members.Gone && !req.Force {
		return admin.Reply{Error: fmt.Sprintf("node %s is %s: its calls would be silent until each is signalled again; "+
			"drain it instead, or say --force", req.Node, v)}
	}
	taken, failed := 0, error(nil)
	for _, e := range n.calls.all() {
		if err := ctx.Err(); err != nil {
			return admin.Reply{Calls: taken, Error: "not all calls could be taken over: " + err.Error()}
		}
		ok, err := n.calls.takeOver(ctx, e, req.Node)
		if err != nil {
			failed = err
		}
		if ok {
			taken++
		}
	}
	n.log.Warn("calls taken over because an operator asked for it", "node", req.Node, "calls", taken, "err", failed)
	r := admin.Reply{Calls: taken}
	if failed != nil {
		r.Error = "not all calls could be taken over: " + failed.Error()
	}
	return r
}

// takeOver takes over one call if it is owned by that node.
func (c *calls) takeOver(ctx context.Context, e *entry, owner string) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	e.mu.Lock()
	defer c.release(e)
	for range 4 { // others may be at work on the same
		if e.dead || !e.Call.Live() || e.Call.Owner != owner {
			return taken, nil
		}
		err = transact.TakeOver(c.effects(ctx, e), c.node, transact.WhyAsked)
		if err == nil {
			c.bring(e)
			return true, nil
		}
		if cerr := c.catchUp(ctx, e); cerr != nil {
			return false, cerr
		}
	}
	return false, err
}

// Adopt implements [admin.Server].
func (o operators) Adopt(ctx context.Context, req admin.AdoptRequest) admin.Reply {
	regions := o.n.regions
	if regions == nil {
		return admin.Reply{Error: errNoRegions.Error()}
	}
	calls, err := regions.Adopt(ctx, req.Region, req.Without)
	return replyOf(calls, err)
}

// Forget implements [admin.Server].
func (o operators) Forget(ctx context.Context, req admin.ForgetRequest) admin.Reply {
	regions := o.n.regions
	if regions == nil {
		return admin.Reply{Error: errNoRegions.Error()}
	}
	return replyOf(0, regions.Forget(ctx, req.Region))
}

func replyOf(calls int, err error) admin.Reply {
	r := admin.Reply{Calls: calls}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

var errNoRegions = errors.New("this node knows no other region: start it with --region-peer")
