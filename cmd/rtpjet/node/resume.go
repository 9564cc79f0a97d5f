package node

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/events"
	"rtpjet/projection/replica"
)

// resume puts the whole projection into effect: the calls that were this node's before a restart get their sockets back.
func (c *calls) resume() {
	for _, key := range c.unlogged.Keys() {
		c.lookupOrAdd(key)
	}
	all := c.all()
	var next, own atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				if c.resumeCall(all[i]) {
					own.Add(1)
				}
			}
		})
	}
	workers.Wait()
	c.backlog.Store(false)
	c.relaying.Store(true)
	if c.floats != nil {
		c.floats.Ready()
	}
	if own.Load() > 0 {
		c.log.Info("calls taken up again", "calls", own.Load(), "after", time.Duration(c.now()-c.began)*time.Microsecond)
	}
}

// resumeCall folds what the backlog has of a call, and gives it its sockets if it is ours.
func (c *calls) resumeCall(e *entry) (own bool) {
	e.mu.Lock()
	defer c.release(e)
	batch := e.arrived()
	for _, in := range batch {
		c.fold(e, in)
	}
	c.inherit(e, batch)
	e.Routed() // here, and the end of the backlog has nothing to add
	if !e.Call.Live() || !c.owners.opensFor(e.Call.Owner) {
		return false
	}
	c.route(e, false)
	return c.owners.carries(e.Call.Owner)
}

// compare ends the calls whose entries left the stream while this node did not follow it: they ended without its hearing of it.
func (c *calls) compare(ctx context.Context, from, to uint64) {
	c.log.Warn("events were missed; comparing the calls with the stream", "from", from, "to", to)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		keys, err := c.journal.Keys(ctx)
		if err != nil {
			c.log.Warn("cannot compare the calls with the stream; trying again", "err", err)
			pause.For(ctx, time.Second)
			continue
		}
		for _, e := range c.all() {
			if _, ok := keys[e.key]; ok || e.applied.Load() >= to {
				continue
			}
			e.mu.Lock()
			if !e.dead {
				x := c.effects(ctx, e)
				x.limit = time.Minute // nobody waits
				e.Compare(x, to)
			}
			c.release(e)
		}
		return
	}
}

// inherit has a call go on with the events that an earlier process could not publish. batch is what was folded of the call.
func (c *calls) inherit(e *entry, batch []replica.Entry) {
	left := c.unlogged.Take(e.key)
	if len(left) == 0 {
		return
	}
	for i := range left {
		left[i].Envelope = c.journal.opened(left[i].Envelope) // the file has secrets as the log has them
	}
	c.took(e, events.Envelope{}, e.Inherit(left, batch))
}
