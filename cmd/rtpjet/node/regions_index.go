package node

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
	whole bool   // all that the mirror had at the start is in it
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

// complete notes that all is in the index that the mirror had.
func (x *regionIndex) complete() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.whole = true
}

// incomplete tells whether the mirror has to be asked as well.
func (x *regionIndex) incomplete() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return !x.whole
}

// from is where to go on in the mirror.
func (x *regionIndex) from() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.next
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

// vanished notes the end of calls whose entries are not at home any more: all of them that began up to a sequence.
func (x *regionIndex) vanished(keys map[string]uint64, upto uint64, now time.Time) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k, first := range x.first {
		if _, ok := keys[k]; !ok && first <= upto {
			delete(x.first, k)
			x.over[k] = endedKey{first, upto, now}
			n++
		}
	}
	return n
}

// compareMirror looks, after a cut, whether calls of the mirror have ended without a trace in it.
func (r *regionState) compareMirror(ctx context.Context, p *regionPeer, l RegionLog) {
	p.mu.Lock()
	head, age := p.link.Last().Head, p.link.Age(r.now())
	due := p.doubt && p.link.Reachable(r.now()) && age >= 0 && age < 2*greetEvery.Milliseconds()+greetTime.Milliseconds()
	p.mu.Unlock()
	if !due {
		return
	}
	why, err := l.MirrorReplaced(ctx)
	if err == nil && why != "" {
		r.log.Warn("the mirror of a region is of another stream; it is made anew", "region", p.Name, "why", why)
		p.mu.Lock()
		p.mixed = true
		p.mu.Unlock()
		return
	}
	if err != nil {
		r.log.Debug("cannot compare a mirror with its home; trying again", "region", p.Name, "err", err)
		return
	}
	keys, err := l.HomeKeys(ctx)
	if err != nil {
		r.log.Debug("cannot compare a mirror with its home; trying again", "region", p.Name, "err", err)
		return
	}
	if n := p.index.vanished(keys, head, time.Now()); n > 0 {
		r.log.Info("calls of a region ended while it was cut off", "region", p.Name, "calls", n)
	}
	p.mu.Lock()
	p.doubt = false
	p.mu.Unlock()
}

// followMirror keeps the index of a region until ctx ends.
func (r *regionState) followMirror(ctx context.Context, p *regionPeer, l RegionLog) error {
	p.index.reset()
	for {
		err := l.Follow(ctx, p.index.from(), embed.Follower{
			Entry: func(e embed.Entry) {
				p.index.note(e, time.Now())
				if events.IsEnd(e.Data) {
					r.endCopy(ctx, p.Name, e)
				}
				p.mu.Lock()
				p.link.Mirrored(e.Seq, r.now())
				p.mu.Unlock()
			},
			Pace:     followPace,
			CaughtUp: func(uint64) { p.index.complete() },
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it is the end that was asked for
		}
		switch {
		case errors.Is(err, embed.ErrReset):
			r.log.Warn("the mirror of a region begins anew", "region", p.Name)
			p.index.reset()
			p.mu.Lock()
			p.link.Anew()
			p.mixed = false
			p.mu.Unlock()
		case err != nil:
			r.log.Warn("cannot follow the mirror of a region; trying again", "region", p.Name, "err", err)
		}
		if !pause(ctx, greetEvery) {
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
func (r *regionState) clean(ctx context.Context, p *regionPeer, l RegionLog) error {
	for pause(ctx, cleanEvery) {
		r.compareMirror(ctx, p, l)
		old := time.Now().Add(-2 * r.n.cfg.KeepEnded)
		archives := r.n.journal.Archiving()
		below, behind := p.index.expired(old, !archives)
		if !archives {
			continue
		}
		if err := l.Trim(ctx, below); err != nil {
			r.log.Debug("cannot clean a mirror; trying again", "region", p.Name, "err", err)
			continue
		}
		for key, last := range behind {
			if err := l.Retire(ctx, key, last); err != nil {
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
