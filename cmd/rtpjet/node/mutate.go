package node

import (
	"context"
	"errors"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
)

// mutate runs a command that may change its call: decide, append, apply, routes, reply. The reply leaves only when the event is in
// the log and in effect. What others write meanwhile is folded when the call is let go, and in effect before the reply leaves, too.
func (n *Node) mutate(ctx context.Context, m *ngserver.Message) ng.Reply {
	e := n.calls.acquire(events.Key(m.CallID), true)
	defer n.calls.release(e)
	res, _ := transact.Execute(n.effects(ctx, e), n.commandSettings(), transact.Message{ // decide, append and apply, as often as others are faster
		Request: m.Request, Encoding: m.Encoding, Cookie: m.Cookie, Source: m.Source, Raw: m.Raw,
		Received: m.Received.UnixMicro(), Via: m.Via,
	}, n.reportEnv())
	n.bring(e) // routes
	n.undone(e, m, res.Undone)
	n.tellResult(m, res)
	return res.Reply
}

// tellResult writes the lines of the log about what became of a command.
func (n *Node) tellResult(m *ngserver.Message, res transact.Result) {
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
}

// took notes what became of a locked call, by an event unless that is the zero Envelope. The relay is brought in line when all
// has been folded.
func (n *Node) took(e *entry, env events.Envelope, ch replica.Change) {
	e.mark()
	n.tally.account(ch.Was, &e.Call, env)
	if ch.Lost {
		n.log.Warn("a call has ended while this node did not hear of it", "call-id", e.Call.ID)
	}
	if len(ch.Published) > 0 {
		n.unlogged.published(e.key, ch.Published)
	}
	if len(ch.Dropped) > 0 {
		n.unlogged.dropped(e.key, ch.Dropped)
		n.log.Error("events that the log did not get are dropped: another writer has changed the call meanwhile",
			"call-id", ch.Dropped[0].Envelope.Call, "events", len(ch.Dropped), "owner", e.Logged().Owner, "live", e.Logged().Live())
	}
	if !n.relaying.Load() || !n.owners.carries(ch.Was.Owner) {
		return
	}
	if len(ch.Free) > 0 {
		n.uncertain.adopted(e.key, ch.Free)
		n.engine.Release(ch.Free...)
	}
	if ch.Was.Live && e.Call.Live() && e.Call.Owner != ch.Was.Owner && len(ch.Dropped) == 0 {
		n.log.Warn("a call of this node has another owner now", "call-id", e.Call.ID, "owner", e.Call.Owner)
	}
}

// bring makes the relay's sockets and routes of a locked call those that the projection wants, if something was folded since
// this was done last: once for several events, and after start-up only. Before, it waits for the end of the backlog.
func (n *Node) bring(e *entry) {
	if e.Unrouted() && n.relaying.Load() {
		n.route(e, e.Fresh())
		e.Routed()
	}
}

// route is bring whether something was folded or not; fresh says that some of it happened a moment ago.
func (n *Node) route(e *entry, fresh bool) {
	if !e.Call.Live() || !n.owners.keeps(e.Call.Owner) {
		n.engine.Drop(e.key)
		return
	}
	streams := e.Routes(n.defaults, n.now(), fresh)
	if err := n.engine.Set(e.key, streams); err != nil {
		n.log.Error("cannot relay all streams of a call; trying again", "call-id", e.Call.ID, "err", err)
		n.retry.add(e.key)
	}
	if n.uncertain.num.Load() > 0 {
		n.uncertain.adopted(e.key, e.Call.Locals())
	}
}

// fold decodes a log entry and applies it to a locked call, unless it is there already. What cannot be read is left alone,
// counted and reported (docs/decisions/06-failed-reads.md).
func (n *Node) fold(e *entry, in replica.Entry) {
	if !e.Takes(in) {
		return
	}
	env, err := n.journal.decode(in.Data)
	if err != nil {
		n.unreadable.Add(1)
		n.log.Error("cannot read an event of a call; leaving it alone", "call-id", e.Call.ID, "key", e.key, "seq", in.Seq, "err", err)
		n.took(e, events.Envelope{}, e.Unreadable(in.Seq))
		return
	}
	n.took(e, env, e.Fold(in.Seq, env, in.Data, n.relaying.Load()))
}

// catchUp folds what the log has of a locked call beyond what we have seen.
func (n *Node) catchUp(ctx context.Context, e *entry) error { return e.CatchUp(n.effects(ctx, e)) }

// refresh is catchUp for a command. One on a call that can be served without the log goes on without its answer.
func (n *Node) refresh(ctx context.Context, e *entry) error { return e.Refresh(n.effects(ctx, e)) }

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
// gives up after 1 s (docs/decisions/04-time-limits.md).
const ownTime = 400 * time.Millisecond
