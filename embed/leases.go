package embed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// Lease is a claim: a key of the region's bucket and what its owner wrote there.
type Lease struct {
	// Key has the tokens of a NATS subject: letters, digits, - and _, joined by dots.
	Key string
	// Value is what was written. It belongs to the receiver.
	Value []byte
	// Revision grows with each change of any lease; 0: there is no lease.
	Revision uint64
}

// A deleted key of a bucket is a message that says so: its header has one of these operations, or a reason if it was the
// server that removed the key.
const (
	headerOperation = "KV-Operation"
	headerMarker    = "Nats-Marker-Reason"
	operationDelete = "DEL"
	operationPurge  = "PURGE"
)

func isDeletion(h nats.Header) bool {
	op := h.Get(headerOperation)
	return op == operationDelete || op == operationPurge || h.Get(headerMarker) != ""
}

// GetLease reads a lease from the leader of the bucket: it is not older than the last write that was confirmed. The zero
// revision means that there is none. Without a leader it waits for one, for as long as ctx allows, 5 s without a deadline.
func (l *Log) GetLease(ctx context.Context, key string) (Lease, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	lease, _, err := l.lease(ctx, key)
	return lease, err
}

// lease also returns where the subject of the key ends, which is its deletion if there is no lease.
func (l *Log) lease(ctx context.Context, key string) (lease Lease, last uint64, err error) {
	e, err := l.getFrom(ctx, names.LeasesStream(l.cfg.Region), key, fmt.Sprintf(`{"last_by_subj":%q}`, names.LeaseSubject(l.cfg.Region, key)))
	if err != nil || !e.found {
		return Lease{Key: key}, 0, err
	}
	if len(e.header) > 0 {
		h, err := nats.DecodeHeadersMsg(e.header)
		if err != nil {
			return Lease{}, 0, fmt.Errorf("read lease %s: decode header: %w", key, err)
		}
		if isDeletion(h) {
			return Lease{Key: key}, e.Seq, nil
		}
	}
	return Lease{Key: key, Value: e.Data, Revision: e.Seq}, e.Seq, nil
}

// PutLease writes a lease whose revision is still the given one, 0 if there must be none, and returns the new revision. If
// another writer was faster the error matches [ErrConflict]. It tries again for as long as [Log.Append] does and, like
// that, knows its own value: a lease that has value already, and is newer than revision, counts as written by this call. So
// value must say whose it is.
func (l *Log) PutLease(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return l.writeLease(ctx, key, value, revision, nil)
}

// DeleteLease removes a lease whose revision is still the given one. A lease that is gone already is no error; one that has
// another revision is, and the error matches [ErrConflict].
func (l *Log) DeleteLease(ctx context.Context, key string, revision uint64) error {
	if revision == 0 {
		return nil
	}
	_, err := l.writeLease(ctx, key, nil, revision, nats.Header{headerOperation: []string{operationDelete}})
	return err
}

// writeLease writes a value, or a deletion if there is a header.
func (l *Log) writeLease(ctx context.Context, key string, value []byte, revision uint64, header nats.Header) (uint64, error) {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	subject, expected := names.LeaseSubject(l.cfg.Region, key), revision
	for {
		seq, err := l.publish(ctx, subject, key, expected, value, header)
		if err == nil {
			return seq, nil
		}
		if errors.Is(err, ErrConflict) {
			now, last, gerr := l.lease(ctx, key)
			switch {
			case gerr != nil:
				err = gerr
			case header != nil && now.Revision == 0:
				return last, nil
			case header == nil && now.Revision > revision && bytes.Equal(now.Value, value):
				return now.Revision, nil
			case revision == 0 && now.Revision == 0 && last != expected:
				expected = last // what is in the way is a deletion
				continue
			case last == expected && errors.Is(err, errInFlight):
				err = fmt.Errorf("write lease %s: %w: %w", key, ErrUnavailable, errInFlight)
			}
		}
		if !l.tryAgain(ctx, err) {
			return 0, err
		}
	}
}

// FollowLeases calls entry with every lease that there is, caughtUp, which may be nil, when that is through, and then entry
// with every change, until ctx ends or the connection is closed. A deleted lease has no value. Calls come one at a time;
// what changes twice in a short time may be told once. It survives lost connections and servers. If somebody deletes the
// bucket, it is made again, and entry is told that all leases are deleted, so that their owners can put them again.
func (l *Log) FollowLeases(ctx context.Context, entry func(lease Lease, deleted bool), caughtUp func()) error {
	prefix := names.LeaseSubject(l.cfg.Region, "")
	known := make(map[string]bool)
	r := &follow{
		l: l, stream: names.LeasesStream(l.cfg.Region), filter: prefix + ">", missing: true,
		next: 1, caughtUp: caughtUp == nil,
	}
	if caughtUp != nil {
		r.f.CaughtUp = func(uint64) { caughtUp() }
	}
	r.deliver = func(m *nats.Msg, d delivery) {
		lease := Lease{Key: strings.TrimPrefix(m.Subject, prefix), Revision: d.streamSeq}
		if isDeletion(m.Header) {
			delete(known, lease.Key)
			entry(lease, true)
			return
		}
		known[lease.Key] = true
		lease.Value = m.Data
		entry(lease, false)
	}
	for {
		err := r.all(ctx)
		if !errors.Is(err, ErrReset) {
			return err
		}
		// A bucket that is made while the server still takes the one before apart may lose its subject to that, and never
		// answer a write again.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(remakeAfter):
		}
		if err := l.remakeBucket(ctx); err != nil {
			if ctx.Err() != nil || l.nc.IsClosed() {
				return err
			}
			l.log.Warn("the bucket of leases is gone and cannot be made again; trying again", "err", err)
			if !l.tryAgain(ctx, ErrUnavailable) {
				return ctx.Err()
			}
			continue
		}
		if same, err := r.sameStream(ctx); err != nil || same {
			continue // it was not gone: a server that has just begun did not know of it
		}
		l.log.Warn("somebody has deleted the bucket of leases; it is made again, and every node puts its leases again")
		gone := known
		known = make(map[string]bool)
		r.restart()
		for key := range gone {
			entry(Lease{Key: key}, true)
		}
	}
}

// remakeAfter is the time between the loss of the bucket and its making.
const remakeAfter = 300 * time.Millisecond

// remakeBucket creates the bucket if it is not there, with the identity of the cluster as it was.
func (l *Log) remakeBucket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	err := withReplicas(l.nc, l.cfg, func(n int) error { return ensureBucket(ctx, l.js, leasesConfig(l.cfg), n, l.cfg.Replicas > 0) })
	if err != nil {
		return requestError("make", "the bucket of leases", err)
	}
	if id := l.instance.Load(); id != nil {
		if _, err := l.PutLease(ctx, clusterKey, []byte(*id), 0); err != nil && !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return nil
}
