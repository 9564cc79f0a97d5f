package app

import (
	"context"
	"fmt"
	"time"

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
		old := r.n.now()-rec.At > resumeEvery.Microseconds()
		if !rec.Unfinished(r.cfg.Region) || !old || !r.n.journal.Archiving() {
			continue
		}
		if err := r.finish(ctx, rec, l); err != nil {
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
