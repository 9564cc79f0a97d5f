package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/projection/transact"
)

// mutate runs a command that may change its call: decide, append, apply, reply (design, decision 3). The reply leaves only
// when the event is in the log and in effect.
func (n *Node) mutate(ctx context.Context, m *ngserver.Message, do func(transact.Effects, transact.Message) transact.Result) ng.Reply {
	e := n.calls.acquire(events.Key(m.CallID), true)
	defer n.calls.release(e)
	res := do(n.effects(ctx, e), transact.Message{
		Request: m.Request, Encoding: m.Encoding, Cookie: m.Cookie, Source: m.Source, Raw: m.Raw,
		Received: m.Received.UnixMicro(), Via: m.Via,
	})
	n.undone(e, m, res.Undone)
	if res.Misplaced > 0 {
		n.log.Warn("sections of an answer that nobody had offered were refused", "call-id", m.CallID, "sections", res.Misplaced)
	}
	if res.PassedOver > 0 {
		n.log.Warn("crypto lines that cannot be used were passed over", "call-id", m.CallID, "command", m.Command, "lines", res.PassedOver)
	}
	switch reason := res.Reply.Reason(); {
	case res.Full:
		n.tally.rejected.Add(1)
	case res.Err == nil:
	case reason == transact.ReasonLog || reason == transact.ReasonSilent || reason == ng.ReasonInternal:
		n.log.Error("command not carried out", "call-id", m.CallID, "command", m.Command, "err", res.Err)
	default:
		n.log.Warn("command refused", "call-id", m.CallID, "command", m.Command, "err", res.Err)
	}
	return res.Reply
}

// append writes one event of a locked call, puts it into effect, and tells the call's owner of it. Errors are those of
// [transact.Effects].
func (n *Node) append(ctx context.Context, e *entry, env events.Envelope) error {
	data, err := n.encode(env)
	if err != nil {
		return err
	}
	keepable := n.keepable(e, env)
	switch {
	case e.unlogged != nil && !keepable:
		return fmt.Errorf("events of the call wait for it: %w", transact.ErrUncertain)
	case e.unlogged != nil, keepable && n.unattended():
		return n.keep(e, data) // in order, and without a wait for a log that is away
	}
	ctx, cancel := n.callContext(ctx, keepable)
	defer cancel()
	last := e.call.Seq
	began := time.Now()
	seq, err := n.journal.Append(ctx, e.key, last, data)
	n.countAppend(began, err)
	if err = n.logAnswered(appendError(err)); err != nil {
		if keepable && errors.Is(err, transact.ErrUncertain) {
			return n.keep(e, data)
		}
		return err
	}
	was := e.call.Owner
	n.apply(e, seq, env, true)
	if n.cluster != nil {
		n.cluster.nudge(ctx, was, e.call.Owner, nudge{Key: e.key, Prev: last, Seq: seq, Data: data, call: env.Call})
	}
	return nil
}

// apply folds an event into a locked call. The relay is brought in line when the call is released, so that it sees the
// outcome of several events and nothing in between; after start-up only: before, it waits for the end of the backlog. fresh is
// true for an event of this moment.
func (n *Node) apply(e *entry, seq uint64, env events.Envelope, fresh bool) {
	was := livenessOf(&e.call)
	e.call.ID = env.Call
	e.call.Apply(seq, env)
	e.mark()
	n.account(was, &e.call, env)
	if !n.relaying.Load() {
		return
	}
	e.changed, e.fresh = true, e.fresh || fresh
	if n.carries(was.owner) && was.live && e.call.Live() && e.call.Owner != was.owner {
		n.log.Warn("a call of this node has another owner now", "call-id", e.call.ID, "owner", e.call.Owner)
	}
}

// route makes the relay's sockets and routes of a locked call those that the projection wants. What another node wrote a
// moment ago has the time of that node's clock; the time for learning counts from now.
func (n *Node) route(e *entry, fresh bool) {
	if !e.call.Live() || !n.keeps(e.call.Owner) {
		n.engine.Drop(e.key)
		return
	}
	streams := e.call.Routes(n.defaults, n.now())
	if fresh && e.learnFrom != e.call.LastSignal {
		e.learnFrom, e.learnSkew = e.call.LastSignal, n.now()-e.call.LastSignal
	}
	for i := range streams {
		streams[i].LearnUntil += e.learnSkew
	}
	if err := n.engine.Set(e.key, streams); err != nil {
		n.log.Error("cannot relay all streams of a call; trying again", "call-id", e.call.ID, "err", err)
		n.retry.add(e.key)
	}
	n.uncertain.adopted(e.key, streams)
}

// fold decodes a log entry and applies it to a locked call, unless it is there already. What cannot be read is left alone,
// counted and reported (design, decision 6).
func (n *Node) fold(e *entry, in logged) {
	c := e.logged()
	if in.Seq <= c.Seq || in.early && c.Seq != in.prev {
		return // an early one whose predecessor is not there yet comes again with the stream
	}
	env, err := n.decode(in.Data)
	if err != nil {
		n.unreadable.Add(1)
		n.log.Error("cannot read an event of a call; leaving it alone", "call-id", e.call.ID, "key", in.Key, "seq", in.Seq, "err", err)
		c.Seq = in.Seq
		e.applied.Store(in.Seq)
		if !e.unreadable && c.First == 0 {
			e.first.Store(in.Seq)
		}
		e.unreadable = true
		if e.unlogged != nil {
			n.refold(e, events.Envelope{})
		}
		return
	}
	if e.unlogged != nil {
		n.foldBase(e, in.Seq, env, in.Data)
		return
	}
	n.apply(e, in.Seq, env, n.relaying.Load())
}

// catchUp folds what the log has of a locked call beyond what we have seen.
func (n *Node) catchUp(ctx context.Context, e *entry) error {
	ctx, cancel := n.callContext(ctx, n.ours(e))
	defer cancel()
	entries, last, err := n.journal.Since(ctx, e.key, e.logged().Seq)
	if err = n.logAnswered(appendError(err)); err != nil {
		return err
	}
	for _, in := range entries {
		n.fold(e, logged{Entry: in})
	}
	switch c := e.logged(); {
	case len(entries) > 0 || last == c.Seq:
	case c.Live():
		// Its end would have been told long before its entries were retired: a leader that was elected a moment ago has not
		// read them yet. Who was away for so long compares (Node.compare).
		return fmt.Errorf("the log does not know a live call: %w", transact.ErrUncertain)
	default:
		n.lost(e, last)
	}
	return nil
}

// lost resets a locked call whose entries have left the stream: it ended, and was retired by somebody else. Its subject
// begins anew after sequence last.
func (n *Node) lost(e *entry, last uint64) {
	if e.logged().Live() {
		n.log.Warn("a call has ended while this node did not hear of it", "call-id", e.call.ID)
	}
	if e.unlogged != nil {
		n.lostBase(e, last)
		return
	}
	if e.call.Live() {
		was := livenessOf(&e.call)
		e.call.Ended, e.call.EndedAt = true, n.now()
		e.markOwner()
		n.account(was, &e.call, events.Envelope{})
		n.engine.Drop(e.key)
	}
	e.call.Seq = last
	e.applied.Store(last)
}

// refused makes the reply for an error of a command that changes nothing.
func (n *Node) refused(m *ngserver.Message, err error) ng.Reply {
	var re *ng.ReasonError
	if !errors.As(err, &re) {
		n.log.Error("command failed", "call-id", m.CallID, "command", m.Command, "err", err)
		return ng.Error(ng.ReasonInternal)
	}
	n.log.Warn("command refused", "call-id", m.CallID, "command", m.Command, "err", err)
	return ng.Error(re.Reason)
}

// now is the time in µs of Unix time.
func (n *Node) now() int64 { return n.clock().UnixMicro() }

// ownTime bounds what the node appends on its own account. A command for the same call has to wait for it, and its client
// gives up after 1 s (field notes §3.5, duty 4).
const ownTime = 400 * time.Millisecond

// logged is an entry of the log, or one that its writer sent straight to the owner of the call: prev is then the sequence of
// the one before it.
type logged struct {
	embed.Entry
	prev  uint64
	early bool
}
