package node

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"rtpjet/events"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// sweepEvery is how often timers are looked at. rtpengine does so about once a second.
const sweepEvery = time.Second

// retries are calls whose sockets could not all be had; each sweep tries again.
type retries struct {
	mu   sync.Mutex
	keys map[string]struct{}
}

func (r *retries) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = make(map[string]struct{})
	}
	r.keys[key] = struct{}{}
}

func (r *retries) take() map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.keys
	r.keys = nil
	return keys
}

// sweep ends calls whose time is over, and retires the events of those that ended a while ago.
func (n *Node) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n.swept.Store(time.Now().Unix())
		n.tellLevel()
		totals := n.engine.Totals()
		n.rate.measure(n.clock(), totals.In)
		n.rateOut.measure(n.clock(), totals.Out)
		sweeper{n.calls}.sweep(ctx)
	}
}

// sweeper does once a second what time asks for: of calls, and of what was given for calls and may not be needed.
type sweeper struct{ *calls }

// sweep looks at each call once.
func (s sweeper) sweep(ctx context.Context) {
	retry := s.retry.take()
	r := round{below: s.journal.followed.Load() + 1, stats: s.engine.Stats}
	for _, e := range s.all() {
		if ctx.Err() != nil {
			return
		}
		_, again := retry[e.key]
		s.sweepCall(ctx, e, again, &r)
	}
	s.retire(ctx, &r)
	s.settle(ctx)
}

// round is what one sweep has found out.
type round struct {
	logAway bool   // one try to write to a log that is slow takes long enough
	below   uint64 // no call that is to stay has an event before this sequence
	over    []over // calls that may be forgotten
	silent  int    // events of silences that were written
	stats   func(netip.AddrPort) (plan.Stats, bool)
}

// over is an ended call as it was when the sweep saw it.
type over struct {
	e    *entry
	id   string
	last uint64 // sequence of its last event
}

// retain notes that the events from first on have to stay.
func (r *round) retain(first uint64) {
	if first > 0 && first < r.below {
		r.below = first
	}
}

func (s sweeper) sweepCall(ctx context.Context, e *entry, again bool, r *round) {
	if !e.mu.TryLock() {
		r.retain(e.first.Load())
		if again {
			s.retry.add(e.key)
		}
		return // a command is at work on it; the next sweep will do
	}
	if e.dead {
		e.mu.Unlock()
		return
	}
	defer s.release(e)
	now := s.now()
	if e.Over(now) {
		r.over = append(r.over, over{e, e.Call.ID, e.Call.Seq})
		return
	}
	r.retain(e.first.Load())
	if again && e.Call.Live() && s.owners.opensFor(e.Call.Owner) {
		s.route(e, false)
	}
	if !e.Call.Live() || r.logAway {
		return
	}
	care := s.care(e, r)
	ev := e.Due(now, care)
	if ev == nil {
		return
	}
	s.tellDue(e, ev, care, r)
	err := s.own(ctx, e, ev)
	r.logAway = err != nil && !errors.Is(err, transact.ErrConflict)
}

// maxSilences is how many silences one sweep tells of. When a whole trunk falls silent, the timers of other calls must not wait
// for all of its events.
const maxSilences = 500

// care is how a locked call that lives is looked after here.
func (s sweeper) care(e *entry, r *round) replica.Care {
	owner := e.Call.Owner
	switch {
	case s.owners.carries(owner):
		return replica.Care{
			Carried: true, Since: s.owners.of(owner).since(), Counting: s.began, Stats: r.stats, Silences: r.silent < maxSilences,
		}
	case s.peers == nil:
		return replica.Care{}
	}
	gone, ok := s.owners.of(owner).caretaker(e.key)
	return replica.Care{Caretaker: ok, Gone: gone.Microseconds()}
}

// tellDue notes what a sweep writes of a call.
func (s sweeper) tellDue(e *entry, ev events.Event, care replica.Care, r *round) {
	switch ev := ev.(type) {
	case events.LegSilent:
		r.silent++
		s.log.Info("a party is silent", "call-id", e.Call.ID, "tag", ev.Tag, "media", ev.Media, "packets before", ev.Packets)
	case events.Ended:
		if ev.Reason == events.ReasonOrphaned {
			gone := time.Duration(care.Gone) * time.Microsecond
			s.log.Warn("ending a call whose owner is gone", "call-id", e.Call.ID, "owner", e.Call.Owner, "gone for", gone.Round(time.Second))
		}
	}
}

// retire removes ended calls from the stream of live calls, once they are in the archive, and from memory. What stands
// before the first event of any other call goes at once; behind a long call each has to be removed by itself. What cannot be
// done now is done by a later sweep. Of several nodes, the one that archives cleans the stream up.
func (s sweeper) retire(ctx context.Context, r *round) {
	if len(r.over) == 0 {
		return
	}
	if !s.journal.Archiving() {
		for _, o := range r.over {
			s.forgetOver(o)
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, retireTime)
	defer cancel()
	var last uint64
	for _, o := range r.over {
		last = max(last, o.last)
	}
	r.below = min(r.below, last+1)
	if err := s.journal.Trim(ctx, r.below); err != nil {
		s.log.Warn("cannot remove ended calls from the log; trying again", "err", err)
		return
	}
	for _, o := range r.over {
		if o.last >= r.below {
			if err := s.journal.Retire(ctx, o.e.key, o.last); err != nil {
				s.log.Warn("cannot remove an ended call from the log; trying again", "call-id", o.id, "err", err)
				return
			}
		}
		s.forgetOver(o)
	}
}

// forgetOver removes an ended call from memory, unless it has come back.
func (s sweeper) forgetOver(o over) {
	o.e.mu.Lock()
	if !o.e.dead && o.e.Forgettable(o.last, s.journal.followed.Load()) {
		s.forget(o.e)
	}
	s.release(o.e)
}

// retireTime bounds the work of one sweep on ended calls.
const retireTime = 500 * time.Millisecond
