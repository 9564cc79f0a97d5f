package regions

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/regions"
)

// resumeEvery is how often a region looks whether an adoption was broken off.
const resumeEvery = 10 * time.Second

// resume brings an adoption to its end that the node where the operator asked for it has not: until then the lost region that comes
// back keeps its calls. Of the nodes of this region, the one that archives does.
func (d *Driver) resume(ctx context.Context, p *peer, l Log) error {
	for pause.For(ctx, resumeEvery) {
		rec := d.noted(p.Name)
		old := d.wall()-rec.At > resumeEvery.Microseconds()
		if !rec.Unfinished(d.self.Region) || !old || !d.host.State().Archives {
			continue
		}
		if !p.adopting.TryLock() {
			continue // it was not broken off: the operator's is still at work
		}
		err := d.finish(ctx, rec, l)
		p.adopting.Unlock()
		if err != nil {
			d.log.Warn("an adoption that was broken off cannot be finished; trying again", "region", p.Name, "err", err)
		}
	}
	return nil
}

// finish adopts what is left of a region.
func (d *Driver) finish(ctx context.Context, rec regions.Record, l Log) error {
	entries, err := d.readMirror(ctx, l)
	if err != nil {
		return fmt.Errorf("read the mirror of region %s: %w", rec.Region, err)
	}
	entries.Keep(rec)
	_, err = d.adoptCalls(ctx, rec, entries)
	return err
}

// endCopy ends a call that was adopted from a region and, as its mirror shows by now, had ended there before it was lost.
func (d *Driver) endCopy(ctx context.Context, region string, in embed.Entry) {
	rec := d.noted(region)
	if rec.By != d.self.Region || rec.State != regions.Taken && rec.State != regions.Returned {
		return
	}
	if !d.host.Call(in.Key).Live {
		return
	}
	env, err := d.cfg.Decode(in.Data)
	end, ok := env.Event.(events.Ended)
	if err != nil || !ok || end.Reason == events.ReasonAdopted {
		return
	}
	ended := events.Ended{Reason: end.Reason, Until: cmp.Or(end.Until, env.At)}
	which := func(c *projection.Call) bool {
		if c.Created != end.Created { // it is copied with a call: another one under the call-id has another one
			return false
		}
		d.log.Info("an adopted call had ended where it was adopted from", "call-id", c.ID, "region", region, "reason", end.Reason)
		return true
	}
	// A command may be at work on the call, and the mirror's reader must not wait.
	d.tasks.Go(func() { d.host.End(ctx, in.Key, ended, which) })
}
