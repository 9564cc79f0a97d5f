package floats

import (
	"context"
	"errors"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/embed"
	"rtpjet/projection/floats"
)

// recordRetry is the time between two tries to record who holds a float.
const recordRetry = time.Second

// recorder writes into the bucket of leases which floats this node holds. Nobody waits for it.
func (d *Driver) recorder(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.records:
		}
		for _, f := range d.Known() {
			if f.own != nil && !d.write(ctx, f) {
				pause.For(ctx, recordRetry)
				wake(d.records)
			}
		}
	}
}

// write records a float if this node holds it; false if it has to be tried again.
func (d *Driver) write(ctx context.Context, f *Float) bool {
	d.mu.Lock()
	s, rev := f.state, f.rev
	r := floats.Record{Float: f.id, Epoch: s.Epoch, Holder: s.Holder, Successor: s.Successor, At: d.cfg.Clock().UnixMicro()}
	same := r.Same(f.record)
	d.mu.Unlock()
	if !s.Hold || s.Holder != d.cfg.Node || same {
		return true
	}
	r.Describe(f.own)
	wctx, cancel := context.WithTimeout(ctx, recordRetry)
	defer cancel()
	key := floats.RecordPrefix + f.id
	got, err := d.cfg.Link.PutLease(wctx, key, r.Encode(), rev)
	if errors.Is(err, embed.ErrConflict) {
		var have embed.Lease
		if have, err = d.cfg.Link.GetLease(wctx, key); err == nil {
			d.Recorded(have, false)
			return false
		}
	}
	if err != nil {
		d.log.Debug("the holder of a float is not recorded yet", "float", f.id, "err", err)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if got > f.rev {
		f.record, f.rev = r, got
	}
	return true
}

// Recorded takes in what the bucket of leases says of a float. Other keys are left alone.
func (d *Driver) Recorded(l embed.Lease, deleted bool) {
	id, ok := strings.CutPrefix(l.Key, floats.RecordPrefix)
	if !ok {
		return
	}
	var r floats.Record
	if deleted = deleted || l.Revision == 0; !deleted {
		var err error
		if r, err = floats.DecodeRecord(l.Value); err != nil {
			d.log.Error("the record of a float cannot be read; it is left alone", "float", id, "err", err)
			return
		}
	}
	if d.keepRecord(id, r, l.Revision, deleted) {
		wake(d.needed)
		d.toKeeper(func(k Keeper) error { return k.Record(r) })
	}
}

// keepRecord tells whether a record is new.
func (d *Driver) keepRecord(id string, r floats.Record, rev uint64, deleted bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.floatLocked(id)
	if deleted {
		f.record, f.rev = floats.Record{}, 0
		wake(d.records)
		return false
	}
	if rev <= f.rev {
		return false
	}
	f.record, f.rev = r, rev
	if f.own == nil && len(r.Interfaces) > 0 {
		if table, err := r.Table(); err == nil {
			f.table.Store(table)
		}
	}
	return true
}
