package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
)

// resumeEvery is how often a region looks whether an adoption was broken off.
const resumeEvery = 10 * time.Second

// resume brings an adoption to its end that the node where the operator asked for it has not: until then the lost region that comes
// back keeps its calls. Of the nodes of this region, the one that archives does.
func (r *regionState) resume(ctx context.Context, p *regionPeer, l RegionLog) error {
	for pause(ctx, resumeEvery) {
		r.mu.Lock()
		rec := r.records[p.Name].Record
		r.mu.Unlock()
		old := r.n.calls.now()-rec.At > resumeEvery.Microseconds()
		if !rec.Unfinished(r.cfg.Region) || !old || !r.n.journal.Archiving() {
			continue
		}
		if !p.adopting.TryLock() {
			continue // it was not broken off: the operator's is still at work
		}
		err := r.finish(ctx, rec, l)
		p.adopting.Unlock()
		if err != nil {
			r.log.Warn("an adoption that was broken off cannot be finished; trying again", "region", p.Name, "err", err)
		}
	}
	return nil
}

// finish adopts what is left of a region.
func (r *regionState) finish(ctx context.Context, rec regions.Record, l RegionLog) error {
	entries, err := r.mirrored(ctx, l)
	if err != nil {
		return fmt.Errorf("read the mirror of region %s: %w", rec.Region, err)
	}
	entries.Keep(rec)
	_, err = r.adoptCalls(ctx, rec, entries)
	return err
}

// endCopy ends a call that was adopted from a region and, as its mirror shows by now, had ended there before it was lost.
func (r *regionState) endCopy(ctx context.Context, region string, in embed.Entry) {
	r.mu.Lock()
	rec := r.records[region].Record
	r.mu.Unlock()
	if rec.By != r.cfg.Region || rec.State != regions.Taken && rec.State != regions.Returned {
		return
	}
	n := r.n
	e := n.calls.lookup(in.Key)
	if e == nil {
		return
	}
	if owner := e.owner.Load(); owner == nil || !n.owners.carries(*owner) {
		return
	}
	env, err := n.journal.decode(in.Data)
	end, ok := env.Event.(events.Ended)
	if err != nil || !ok || end.Reason == events.ReasonAdopted {
		return
	}
	go func() { // a command may be at work on the call, and the mirror's reader must not wait for it
		e := n.calls.acquire(in.Key, false)
		if e == nil {
			return
		}
		defer n.calls.release(e)
		// The creation of a call is copied with it: another call under the call-id has another one.
		if c := &e.Call; !c.Live() || !n.owners.carries(c.Owner) || c.Created != end.Created {
			return
		}
		n.log.Info("an adopted call had ended where it was adopted from", "call-id", e.Call.ID, "region", region, "reason", end.Reason)
		_ = n.calls.own(ctx, e, events.Ended{Reason: end.Reason, Until: cmp.Or(end.Until, env.At)}) // else its timers end it
	}()
}
