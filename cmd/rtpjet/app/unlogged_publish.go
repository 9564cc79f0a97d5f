package app

import (
	"context"
	"errors"
	"time"

	"rtpjet/events"
	"rtpjet/projection/transact"
)

// publish brings the events that wait into the log, as soon as it answers anybody, and looks each second whether it does.
func (n *Node) publish(ctx context.Context, start <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return nil
	case <-start:
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var warned time.Time
	for {
		if n.unlogged.num.Load() > 0 {
			if err := n.publishAll(ctx); err != nil && ctx.Err() == nil && time.Since(warned) >= warnEvery {
				warned = time.Now()
				n.log.Warn("events wait for the log", "events", n.unlogged.num.Load(), "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.unlogged.wake:
		}
	}
}

// publishAll tries each call once, until the log does not answer. Its error is why something still waits.
func (n *Node) publishAll(ctx context.Context) (failed error) {
	for _, key := range n.unlogged.keys() {
		e := n.calls.acquire(key, false)
		if e == nil {
			continue
		}
		err := n.publishCall(ctx, e)
		n.calls.release(e)
		if err != nil {
			failed = err
		}
		if n.logAway.Load() != 0 || ctx.Err() != nil {
			return failed
		}
	}
	return failed
}

// publishTries bounds how often others may be faster than a call's events in one round.
const publishTries = 8

// publishCall appends what waits of a locked call, in order. The entry in the log that makes a conflict may be our own; if it
// is not, the call is folded anew on it, and what still fits follows.
func (n *Node) publishCall(ctx context.Context, e *entry) error {
	for tries := 0; e.unlogged != nil; {
		err := n.publishFirst(ctx, e)
		if err == nil {
			continue
		}
		if tries++; !errors.Is(err, transact.ErrConflict) || tries > publishTries {
			return err
		}
		if err := n.catchUp(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) publishFirst(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	first := e.unlogged.pending[0]
	began := time.Now()
	seq, err := n.journal.Append(ctx, e.key, e.unlogged.base.Seq, first.data)
	n.countAppend(began, err)
	if err = n.logAnswered(appendError(err)); err != nil {
		return err
	}
	n.foldBase(e, seq, first.env, first.data)
	return nil
}

// inherit has a call go on with the events that an earlier process could not publish. batch is what was folded of the call:
// some of them may be in it.
func (n *Node) inherit(e *entry, batch []logged) {
	left := n.unlogged.take(e.key)
	if len(left) == 0 {
		return
	}
	for i := range left {
		left[i].env = n.opened(left[i].env) // the file has secrets as the log has them
	}
	u := &unloggedCall{base: cloneCall(&e.call), pending: left}
	for _, in := range batch {
		if got := u.cut(in.Data); got > 0 {
			n.unlogged.published(e.key, got, u.size(got))
			u.pending = u.pending[got:]
		}
	}
	e.unlogged = u
	n.refold(e, events.Envelope{})
}
