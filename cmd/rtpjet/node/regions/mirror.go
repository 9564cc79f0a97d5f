package regions

import (
	"context"
	"errors"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/embed"
	"rtpjet/events"
)

// compareMirror looks, after a cut, whether calls of the mirror have ended without a trace in it.
func (d *Driver) compareMirror(ctx context.Context, p *peer, l Log) {
	p.mu.Lock()
	head, age := p.link.Last().Head, p.link.Age(d.now())
	due := p.doubt && p.link.Reachable(d.now()) && age >= 0 && age < 2*greetEvery.Milliseconds()+greetTime.Milliseconds()
	p.mu.Unlock()
	if !due {
		return
	}
	why, err := l.MirrorReplaced(ctx)
	if err == nil && why != "" {
		d.log.Warn("the mirror of a region is of another stream; it is made anew", "region", p.Name, "why", why)
		p.mu.Lock()
		p.mixed = true
		p.mu.Unlock()
		return
	}
	if err != nil {
		d.log.Debug("cannot compare a mirror with its home; trying again", "region", p.Name, "err", err)
		return
	}
	keys, err := l.HomeKeys(ctx)
	if err != nil {
		d.log.Debug("cannot compare a mirror with its home; trying again", "region", p.Name, "err", err)
		return
	}
	if n := p.index.vanished(keys, head, time.Now()); n > 0 {
		d.log.Info("calls of a region ended while it was cut off", "region", p.Name, "calls", n)
	}
	p.mu.Lock()
	p.doubt = false
	p.mu.Unlock()
}

// mirrorPace lets the entries of a mirror gather for a moment while there are many.
const mirrorPace = 20 * time.Millisecond

// followMirror keeps the index of a region until ctx ends.
func (d *Driver) followMirror(ctx context.Context, p *peer, l Log) error {
	p.index.reset()
	for {
		err := l.Follow(ctx, p.index.from(), embed.Follower{
			Entry: func(e embed.Entry) {
				p.index.note(e, time.Now())
				if events.IsEnd(e.Data) {
					d.endCopy(ctx, p.Name, e)
				}
				p.mu.Lock()
				p.link.Mirrored(e.Seq, d.now())
				p.mu.Unlock()
			},
			Pace:     mirrorPace,
			CaughtUp: func(uint64) { p.index.complete() },
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it is the end that was asked for
		}
		switch {
		case errors.Is(err, embed.ErrReset):
			d.log.Warn("the mirror of a region begins anew", "region", p.Name)
			p.index.reset()
			p.mu.Lock()
			p.link.Anew()
			p.mixed = false
			p.mu.Unlock()
		case err != nil:
			d.log.Warn("cannot follow the mirror of a region; trying again", "region", p.Name, "err", err)
		}
		if !pause.For(ctx, greetEvery) {
			return nil
		}
	}
}

// cleanEvery is how often a mirror is cleaned, and cleanMost how many calls behind a long one lose their entries in a round.
const (
	cleanEvery = 10 * time.Second
	cleanMost  = 2000
)

// clean removes from the mirror what the home has removed from its stream, or will soon: the entries of calls that ended more than
// keepEnded ago. Of the nodes of this region, the one that archives does.
func (d *Driver) clean(ctx context.Context, p *peer, l Log) error {
	for pause.For(ctx, cleanEvery) {
		d.compareMirror(ctx, p, l)
		old := time.Now().Add(-2 * d.cfg.KeepEnded)
		archives := d.host.State().Archives
		below, behind := p.index.expired(old, !archives)
		if !archives {
			continue
		}
		if err := l.Trim(ctx, below); err != nil {
			d.log.Debug("cannot clean a mirror; trying again", "region", p.Name, "err", err)
			continue
		}
		for key, last := range behind {
			if err := l.Retire(ctx, key, last); err != nil {
				d.log.Debug("cannot clean a mirror; trying again", "region", p.Name, "err", err)
				break
			}
			p.index.purged(key, last)
		}
	}
	return nil
}
