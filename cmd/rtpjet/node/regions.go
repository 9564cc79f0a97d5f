package node

import (
	"context"
	"time"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node/regions"
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	adoption "rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// newRegionDriver makes the driver of a node that has to do with other regions; nil for any other one.
func newRegionDriver(n *Node, cfg Config) *regions.Driver {
	if len(cfg.Regions) == 0 && cfg.RegionServer == nil {
		return nil
	}
	return regions.New(regions.Config{
		Region: cfg.Region, Instance: cfg.InstanceID, Node: n.id, Peers: cfg.Regions, Server: cfg.RegionServer, Leases: cfg.Link,
		Host: regionHost{n}, Settings: n.commands.settings, Templates: cfg.Templates, KeepEnded: cfg.KeepEnded,
		Encode: n.journal.encode, Decode: n.journal.decode, Clock: n.clock, Logger: n.log,
	})
}

// regionHost is the node as the driver of its regions needs it.
type regionHost struct{ n *Node }

var _ regions.Host = regionHost{}

// State implements [regions.Host].
func (h regionHost) State() regions.State {
	s := regions.State{
		Serving: h.n.stage.Load() == stageServing, Folded: !h.n.calls.backlog.Load(), Archives: h.n.journal.Archiving(), Followed: h.n.journal.followed.Load(),
	}
	s.Level, _ = h.n.peers.Level()
	return s
}

// Handle implements [regions.Host].
func (h regionHost) Handle(ctx context.Context, m *ng.Message) ng.Reply {
	return h.n.commands.Handle(ctx, m)
}

// Call implements [regions.Host].
func (h regionHost) Call(key string) regions.Call {
	e := h.n.calls.lookup(key)
	if e == nil {
		return regions.Call{}
	}
	return regions.Call{Known: true, Live: e.owner.Load() != nil, First: e.first.Load()}
}

// Look implements [regions.Host].
func (h regionHost) Look(ctx context.Context, key string) (regions.Call, error) {
	e, err := h.n.calls.look(ctx, key)
	defer h.n.calls.release(e)
	return regions.Call{Known: e.Call.Gen > 0, Live: e.Call.Live()}, err
}

// Adopt implements [regions.Host].
func (h regionHost) Adopt(ctx context.Context, key, why string, next func(c *projection.Call) (adoption.Move, error)) (err error) {
	e := h.n.calls.acquire(key, true)
	defer h.n.calls.release(e)
	for range 6 { // others may be at work on the same
		if cerr := h.n.calls.catchUp(ctx, e); cerr != nil {
			return cerr
		}
		var move adoption.Move
		switch move, err = next(&e.Call); move {
		case adoption.Rehome:
			err = transact.TakeOver(h.n.calls.effects(ctx, e), h.n.id, why)
		case adoption.Settled:
			return err
		}
	}
	return err
}

// End implements [regions.Host].
func (h regionHost) End(ctx context.Context, key string, end events.Ended, which func(c *projection.Call) bool) {
	e := h.n.calls.acquire(key, false)
	if e == nil {
		return
	}
	defer h.n.calls.release(e)
	if e.Call.Live() && h.n.owners.carries(e.Call.Owner) && which(&e.Call) {
		_ = h.n.calls.own(ctx, e, end) // else its timers end it
	}
}

// EndAll implements [regions.Host].
func (h regionHost) EndAll(ctx context.Context, end events.Ended, which func(c *projection.Call) bool) (left int) {
	for _, e := range h.n.calls.all() {
		e.mu.Lock()
		if !e.dead && e.Call.Live() && which(&e.Call) && !h.ends(ctx, e, end) {
			left++
		}
		h.n.calls.release(e)
	}
	return left
}

// ends ends a locked call that this node carries, or whose owner is gone if it looks after what that has left; false: it lives yet.
func (h regionHost) ends(ctx context.Context, e *entry, end events.Ended) bool {
	if !h.n.owners.carries(e.Call.Owner) {
		if _, ok := h.n.owners.of(e.Call.Owner).caretaker(e.key); !ok {
			return false
		}
	}
	return h.n.calls.own(ctx, e, end) == nil || !e.Call.Live()
}

// measureRegions is how the other regions are.
func measureRegions(d *regions.Driver) (out []metrics.Region) {
	for _, s := range d.Status() {
		out = append(out, metrics.Region{
			Name: s.Region, State: s.State, Age: time.Duration(s.AgeMS) * time.Millisecond, Lag: s.Lag, RTT: time.Duration(s.RTTMS * float64(time.Millisecond)),
			Skew: time.Duration(s.SkewMS) * time.Millisecond, Calls: s.Calls, Cuts: s.Cuts,
		})
	}
	return out
}
