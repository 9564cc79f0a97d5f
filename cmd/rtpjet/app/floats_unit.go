package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/embed"
	"rtpjet/projection/floats"
)

// recordRetry is the time between two tries to record who holds a float.
const recordRetry = time.Second

// attendCalls opens the sockets of a float's calls, or closes them, as the unit wants.
func (f *floatState) attendCalls(ctx context.Context, u *unit) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.wakeCalls:
		}
		if !f.n.relaying.Load() {
			continue // the end of the backlog brings all calls into effect, and wakes us
		}
		f.mu.Lock()
		fresh, keep := u.fresh, u.keep.Load()
		u.fresh = false
		f.mu.Unlock()
		for _, e := range f.n.calls.all() {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end of ctx is no fault
			}
			f.n.refloat(e, u.owner, fresh)
		}
		f.mu.Lock()
		done := keep == u.keep.Load() && !u.fresh
		f.mu.Unlock()
		if done {
			f.tell(func(k *keeper.Keeper) error { return k.Warm(u.id, keep) })
		} else {
			wake(u.wakeCalls)
		}
	}
}

// refloat brings one call in line with who holds its float. fresh closes its sockets first.
func (n *Node) refloat(e *entry, owner string, fresh bool) {
	e.mu.Lock()
	defer n.calls.release(e)
	if e.dead || !e.Call.Live() || e.Call.Owner != owner {
		return
	}
	if fresh {
		n.engine.Drop(e.key)
	}
	n.route(e, false)
}

// recorder writes into the bucket of leases which floats this node holds. Nobody waits for it.
func (f *floatState) recorder(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.records:
		}
		for _, u := range f.known() {
			if u.own != nil && !f.write(ctx, u) {
				pause(ctx, recordRetry)
				wake(f.records)
			}
		}
	}
}

// write records a float if this node holds it; false if it has to be tried again.
func (f *floatState) write(ctx context.Context, u *unit) bool {
	f.mu.Lock()
	s, rev := u.state, u.rev
	r := floats.Record{Float: u.id, Epoch: s.Epoch, Holder: s.Holder, Successor: s.Successor, At: f.n.now()}
	same := r.Same(u.record)
	f.mu.Unlock()
	if !s.Hold || s.Holder != f.n.id || same {
		return true
	}
	r.Describe(u.own.Interfaces)
	wctx, cancel := context.WithTimeout(ctx, recordRetry)
	defer cancel()
	key := floats.RecordPrefix + u.id
	got, err := f.c.link.PutLease(wctx, key, r.Encode(), rev)
	if errors.Is(err, embed.ErrConflict) {
		var have embed.Lease
		if have, err = f.c.link.GetLease(wctx, key); err == nil {
			f.recorded(have, false)
			return false
		}
	}
	if err != nil {
		f.log.Debug("the holder of a float is not recorded yet", "float", u.id, "err", err)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got > u.rev {
		u.record, u.rev = r, got
	}
	return true
}

// recorded takes in what the bucket says of a float.
func (f *floatState) recorded(l embed.Lease, deleted bool) {
	id, ok := strings.CutPrefix(l.Key, floats.RecordPrefix)
	if !ok {
		return
	}
	var r floats.Record
	if deleted = deleted || l.Revision == 0; !deleted {
		var err error
		if r, err = floats.DecodeRecord(l.Value); err != nil {
			f.log.Error("the record of a float cannot be read; it is left alone", "float", id, "err", err)
			return
		}
	}
	if f.keepRecord(id, r, l.Revision, deleted) {
		wake(f.needed)
		f.tell(func(k *keeper.Keeper) error { return k.Record(r) })
	}
}

// keepRecord tells whether a record is new.
func (f *floatState) keepRecord(id string, r floats.Record, rev uint64, deleted bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.unitLocked(id)
	if deleted {
		u.record, u.rev = floats.Record{}, 0
		wake(f.records)
		return false
	}
	if rev <= u.rev {
		return false
	}
	u.record, u.rev = r, rev
	if u.own == nil && len(r.Interfaces) > 0 {
		if table, err := r.Table(); err == nil {
			u.table.Store(table)
		}
	}
	return true
}
