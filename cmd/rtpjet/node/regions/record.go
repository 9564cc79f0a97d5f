package regions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"rtpjet/embed"
	"rtpjet/projection/regions"
)

// storedRecord is a record as the bucket of leases has it.
type storedRecord struct {
	regions.Record
	rev uint64
}

// noted is what this region has noted of another one, as far as this node has seen it.
func (d *Driver) noted(region string) regions.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records[region].Record
}

// known are all records, of this region and of what the others have said, the own ones first.
func (d *Driver) known() []regions.Record {
	d.mu.Lock()
	var out []regions.Record
	for _, rec := range d.records {
		out = append(out, rec.Record)
	}
	d.mu.Unlock()
	for _, p := range d.peers {
		p.mu.Lock()
		out = append(out, made(p.link.Last(), p.Name)...)
		p.mu.Unlock()
	}
	return out
}

// made are the records of a greeting that its region has made itself: only the adopter knows that it has adopted.
func made(h regions.Hello, by string) (out []regions.Record) {
	for _, rec := range h.Records {
		if rec.By == by {
			out = append(out, rec)
		}
	}
	return out
}

// Recorded takes a lease of the bucket, if it is a record of a region; ok is false if it is not. The Driver may be nil.
func (d *Driver) Recorded(in embed.Lease, deleted bool) (ok bool) {
	name, ok := strings.CutPrefix(in.Key, regions.RecordKey(""))
	switch {
	case !ok || d == nil:
	case deleted:
		d.noteRecord(name, nil, in.Revision)
	default:
		d.noteRecord(name, in.Value, in.Revision)
	}
	return ok
}

// noteRecord notes what the bucket has of a region; an empty value is one that was deleted.
func (d *Driver) noteRecord(name string, value []byte, rev uint64) {
	var rec regions.Record
	if len(value) > 0 {
		if err := json.Unmarshal(value, &rec); err != nil {
			d.log.Error("what this region has noted of another one cannot be read; it is left alone", "region", name, "err", err)
			return
		}
	}
	d.mu.Lock()
	if have := d.records[name]; rev >= have.rev {
		d.records[name] = storedRecord{rec, rev}
	}
	d.mu.Unlock()
	if p := d.peer(name); p != nil {
		p.mu.Lock()
		p.link.Know(rec.Instance)
		p.mu.Unlock()
	}
}

// update changes what this region has noted of another one, compare-and-set. change says what is wanted, or an error.
func (d *Driver) update(ctx context.Context, name string, change func(regions.Record) (regions.Record, error)) (regions.Record, error) {
	for {
		have, err := d.cfg.Leases.GetLease(ctx, regions.RecordKey(name))
		if err != nil {
			return regions.Record{}, fmt.Errorf("read what is noted of region %s: %w", name, err)
		}
		rec := regions.Record{Region: name}
		if have.Revision > 0 {
			if err := json.Unmarshal(have.Value, &rec); err != nil {
				return regions.Record{}, fmt.Errorf("read what is noted of region %s: %w", name, err)
			}
		}
		want, err := change(rec)
		if err != nil || want == rec && have.Revision > 0 {
			d.noteRecord(name, have.Value, have.Revision)
			return rec, err
		}
		data, err := json.Marshal(want)
		if err != nil {
			return rec, fmt.Errorf("note of region %s: %w", name, err)
		}
		rev, err := d.cfg.Leases.PutLease(ctx, regions.RecordKey(name), data, have.Revision)
		if errors.Is(err, embed.ErrConflict) {
			continue
		}
		if err != nil {
			return rec, fmt.Errorf("note of region %s: %w", name, err)
		}
		d.noteRecord(name, data, rev)
		return want, nil
	}
}

// Forget drops what is noted of a region, and has its mirror made anew.
func (d *Driver) Forget(ctx context.Context, name string) error {
	p := d.peer(name)
	if p == nil {
		return fmt.Errorf("there is no region %s here; rtpjet region list shows those that there are", name)
	}
	if _, err := d.update(ctx, name, func(regions.Record) (regions.Record, error) {
		return regions.Record{Region: name}, nil
	}); err != nil {
		return err
	}
	p.mu.Lock()
	l := p.log
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.ResetMirror(ctx)
}
