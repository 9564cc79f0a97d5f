package node

import (
	"context"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/logerror"
	"rtpjet/events"
	"rtpjet/projection/replica"
)

// How a call reaches the log, and how long it waits for that.

// Encode implements [replica.Effects].
func (x *effects) Encode(env events.Envelope) ([]byte, error) { return x.c.journal.encode(env) }

// Decode implements [replica.Effects].
func (x *effects) Decode(data []byte) (events.Envelope, error) { return x.c.journal.decode(data) }

// Store implements [replica.Effects].
func (x *effects) Store(last uint64, data []byte, ours bool) (uint64, error) {
	ctx, cancel := x.patience(ours)
	defer cancel()
	began := time.Now()
	seq, err := x.c.journal.Append(ctx, x.e.key, last, data)
	x.c.journal.countAppend(began, err)
	return seq, x.c.journal.answered(logerror.Of(err))
}

// patience bounds an operation on the log.
func (x *effects) patience(ours bool) (context.Context, context.CancelFunc) {
	if x.limit > 0 {
		return context.WithTimeout(x.ctx, x.limit)
	}
	return x.c.journal.callContext(x.ctx, ours)
}

// Read implements [replica.Effects].
func (x *effects) Read(after uint64, ours bool) ([]replica.Entry, uint64, error) {
	ctx, cancel := x.patience(ours)
	defer cancel()
	entries, last, err := x.c.journal.Since(ctx, x.e.key, after)
	if err = x.c.journal.answered(logerror.Of(err)); err != nil {
		return nil, 0, err
	}
	out := make([]replica.Entry, len(entries))
	for i, in := range entries {
		out[i] = replica.Entry{Seq: in.Seq, Data: in.Data}
	}
	return out, last, nil
}

// Unattended implements [replica.Effects].
func (x *effects) Unattended() bool {
	return x.c.journal.away.Load() != 0 && x.c.unlogged.Num() > 0
}

// Wait implements [replica.Effects].
func (x *effects) Wait(data []byte) bool { return x.c.unlogged.Add(x.e.key, data) }

// Fold implements [replica.Effects].
func (x *effects) Fold(in replica.Entry) { x.c.fold(x.e, in) }

// Took implements [replica.Effects].
func (x *effects) Took(env events.Envelope, ch replica.Change) { x.c.took(x.e, env, ch) }
