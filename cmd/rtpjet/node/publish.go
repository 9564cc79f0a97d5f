package node

import (
	"context"
	"time"
)

// Calls that are served while the log is away (--log-loss=serve; [replica.Replica] has what that means for a call). The events
// wait in memory and in a file, and are published when the log answers.

// publisher brings into the log what was served without it.
type publisher struct{ *calls }

// publish brings the events that wait into the log, as soon as it answers anybody, and looks each second whether it does.
func (p publisher) publish(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var warned time.Time
	for {
		if p.unlogged.Num() > 0 {
			if err := p.publishAll(ctx); err != nil && ctx.Err() == nil && time.Since(warned) >= warnEvery {
				warned = time.Now()
				p.log.Warn("events wait for the log", "events", p.unlogged.Num(), "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-p.unlogged.Wake():
		}
	}
}

// publishAll tries each call once, until the log does not answer. Its error is why something still waits.
func (p publisher) publishAll(ctx context.Context) (failed error) {
	for _, key := range p.unlogged.Keys() {
		e := p.acquire(key, false)
		if e == nil {
			continue
		}
		err := p.publishCall(ctx, e)
		p.release(e)
		if err != nil {
			failed = err
		}
		if p.journal.away.Load() != 0 || ctx.Err() != nil {
			return failed
		}
	}
	return failed
}

// publishCall appends what waits of a locked call.
func (p publisher) publishCall(ctx context.Context, e *entry) error {
	x := p.effects(ctx, e)
	x.limit = ownTime // nobody waits but the next command for the call
	err := e.Publish(x)
	p.bring(e)
	return err
}
