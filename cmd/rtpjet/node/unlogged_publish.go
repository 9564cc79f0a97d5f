package node

import (
	"context"
	"time"

	"rtpjet/events"
	"rtpjet/projection/replica"
)

// Calls that are served while the log is away (--log-loss=serve; [replica.Replica] has what that means for a call). The events
// wait in memory and in a file, and are published when the log answers.

// publish brings the events that wait into the log, as soon as it answers anybody, and looks each second whether it does.
func (n *Node) publish(ctx context.Context, start <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return nil
	case <-start:
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var warned time.Time
	for {
		if n.unlogged.num.Load() > 0 {
			if err := n.publishAll(ctx); err != nil && ctx.Err() == nil && time.Since(warned) >= warnEvery {
				warned = time.Now()
				n.log.Warn("events wait for the log", "events", n.unlogged.num.Load(), "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.unlogged.wake:
		}
	}
}

// publishAll tries each call once, until the log does not answer. Its error is why something still waits.
func (n *Node) publishAll(ctx context.Context) (failed error) {
	for _, key := range n.unlogged.keys() {
		e := n.calls.acquire(key, false)
		if e == nil {
			continue
		}
		err := n.publishCall(ctx, e)
		n.calls.release(e)
		if err != nil {
			failed = err
		}
		if n.journal.away.Load() != 0 || ctx.Err() != nil {
			return failed
		}
	}
	return failed
}

// publishCall appends what waits of a locked call.
func (n *Node) publishCall(ctx context.Context, e *entry) error {
	x := n.effects(ctx, e)
	x.limit = ownTime // nobody waits but the next command for the call
	err := e.Publish(x)
	n.bring(e)
	return err
}

// inherit has a call go on with the events that an earlier process could not publish. batch is what was folded of the call.
func (n *Node) inherit(e *entry, batch []replica.Entry) {
	left := n.unlogged.take(e.key)
	if len(left) == 0 {
		return
	}
	for i := range left {
		left[i].Envelope = n.journal.opened(left[i].Envelope) // the file has secrets as the log has them
	}
	n.took(e, events.Envelope{}, e.Inherit(left, batch))
}
