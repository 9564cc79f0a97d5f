package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
)

// regionIndex says which calls live in another region, by the mirror. It has the key of each and the place of its first
// entry, and no projection: that is folded when somebody asks, from the mirror, which is here. So a call of another region
// takes some 100 bytes of a node's memory and not the 10 kB of its own ones (docs/scale.md). It is safe for concurrent use.
type regionIndex struct {
	mu    sync.RWMutex
	first map[string]uint64 // of live calls
	again map[string]uint64 // where a live call began whose call-id the mirror has entries of an earlier one of
	over  map[string]endedKey
	next  uint64 // of the stream
}

// endedKey is what the mirror still has of a call that has ended.
type endedKey struct {
	first, last uint64
	at          time.Time
}

// began says where a live call began; ok is false if it does not live there.
func (x *regionIndex) began(key string) (first uint64, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	first, ok = x.first[key]
	if again := x.again[key]; again > 0 {
		first = again
	}
	return first, ok
}

func (x *regionIndex) live() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.first)
}

// keys are those of all live calls.
func (x *regionIndex) keys() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]string, 0, len(x.first))
	for k := range x.first {
		out = append(out, k)
	}
	return out
}

// note takes an entry of the mirror.
func (x *regionIndex) note(e embed.Entry, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next = e.Seq + 1
	switch first, ok := x.first[e.Key]; {
	case events.IsEnd(e.Data):
		if !ok {
			first = e.Seq
			if was, again := x.over[e.Key]; again {
				first = was.first
			}
		}
		delete(x.first, e.Key)
		delete(x.again, e.Key)
		x.over[e.Key] = endedKey{first, e.Seq, now}
	case !ok:
		x.first[e.Key] = e.Seq
		if was, again := x.over[e.Key]; again { // the same call-id once more
			x.first[e.Key], x.again[e.Key] = was.first, e.Seq
			delete(x.over, e.Key)
		}
	}
}

// last is the end of the mirror, as far as it was followed.
func (x *regionIndex) last() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return max(x.next, 1) - 1
}

// reset forgets everything: the mirror begins anew.
func (x *regionIndex) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.first, x.again, x.over, x.next = make(map[string]uint64), make(map[string]uint64), make(map[string]endedKey), 1
}

// drop forgets calls whose entries are not in the mirror any more.
func (x *regionIndex) drop(keys map[string]uint64, upto uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k, first := range x.first {
		if _, ok := keys[k]; !ok && first <= upto {
			delete(x.first, k)
		}
	}
}

// followMirror keeps the index of a region until ctx ends.
func (r *regionState) followMirror(ctx context.Context, p *regionPeer, l RegionLog) error {
	p.index.reset()
	for {
		err := l.Follow(ctx, p.index.next, embed.Follower{
			Entry: func(e embed.Entry) {
				p.index.note(e, time.Now())
				p.mu.Lock()
				p.link.Mirrored(e.Seq, r.now())
				p.mu.Unlock()
			},
			Pace: followPace,
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, embed.ErrReset):
			r.log.Warn("the mirror of a region begins anew", "region", p.Name)
			p.index.reset()
		case err != nil:
			r.log.Warn("cannot follow the mirror of a region; trying again", "region", p.Name, "err", err)
		}
		if !pause(ctx, greetEvery) {
			return nil
		}
	}
}

// mirrorCleaner removes entries from a mirror, whose home does not do it.
type mirrorCleaner interface {
	TrimMirror(ctx context.Context, below uint64) error
	PurgeMirror(ctx context.Context, key string, upto uint64) error
}

// cleanEvery is how often a mirror is cleaned, and cleanMost how many calls behind a long one lose their entries in a round.
const (
	cleanEvery = 10 * time.Second
	cleanMost  = 2000
)

// clean removes from the mirror what the home has removed from its stream, or will soon: the entries of calls that ended more than
// keepEnded ago. Of the nodes of this region, the one that archives does.
func (r *regionState) clean(ctx context.Context, p *regionPeer, l RegionLog) error {
	c, ok := l.(mirrorCleaner)
	if !ok {
		return nil
	}
	for pause(ctx, cleanEvery) {
		old := time.Now().Add(-2 * r.n.cfg.KeepEnded)
		archives := r.n.journal.Archiving()
		below, behind := p.index.expired(old, !archives)
		if !archives {
			continue
		}
		if err := c.TrimMirror(ctx, below); err != nil {
			r.log.Debug("cannot clean a mirror; trying again", "region", p.Name, "err", err)
			continue
		}
		for key, last := range behind {
			if err := c.PurgeMirror(ctx, key, last); err != nil {
				r.log.Debug("cannot clean a mirror; trying again", "region", p.Name, "err", err)
				break
			}
			p.index.purged(key, last)
		}
	}
	return nil
}

// expired says below which sequence nothing of the mirror is needed, and which calls behind it are over; it forgets those before
// it. If forget is set, all that are over for that long are forgotten: another node cleans.
func (x *regionIndex) expired(old time.Time, forget bool) (below uint64, behind map[string]uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	below = x.next
	for _, first := range x.first {
		below = min(below, first)
	}
	for _, e := range x.over {
		if e.at.After(old) {
			below = min(below, e.first)
		}
	}
	behind = make(map[string]uint64)
	for key, e := range x.over {
		switch {
		case e.at.After(old):
		case forget || e.last < below:
			delete(x.over, key)
		case len(behind) < cleanMost:
			behind[key] = e.last
		}
	}
	return below, behind
}

// purged notes that the entries of a call are gone from the mirror.
func (x *regionIndex) purged(key string, last uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.over[key]; ok && e.last == last {
		delete(x.over, key)
	}
}
