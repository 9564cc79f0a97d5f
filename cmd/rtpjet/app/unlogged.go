package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/transact"
)

// Calls that are served while the log is away (design, decision 7; --log-loss=serve). An event of a call of this node takes
// effect without the log, waits here, and is published when the log answers: unlogged_publish.go.

// How long the log is waited for then: long enough for a slow disk, and short enough for a command that needs the log twice
// to be answered within the second that its client waits. Once an event waits, nobody but the publisher asks any more.
const (
	serveFirst = 500 * time.Millisecond
	serveAway  = 200 * time.Millisecond // the log is known to be away
)

// unloggedCall is what the log does not have of a call. The call's own state is base with pending applied under pseudo
// sequences, which follow base's.
type unloggedCall struct {
	base    projection.Call // the call as the log has it; shares nothing with the entry's that is ever written to
	pending []unloggedEvent // oldest first, never empty outside of this file
}

// unloggedEvent is an event as the log is to get it.
type unloggedEvent struct {
	env  events.Envelope // decoded from data, and shares its bytes
	data []byte
}

// logged is the call as the log has it. The entry is locked.
func (e *entry) logged() *projection.Call {
	if e.unlogged != nil {
		return &e.unlogged.base
	}
	return &e.call
}

// mark notes who owns a locked call, and how much of it is in the log, for those who look without the lock.
func (e *entry) mark() {
	e.markOwner()
	c := e.logged()
	e.applied.Store(c.Seq)
	if !e.unreadable {
		e.first.Store(c.First)
	}
}

func (e *entry) markOwner() {
	switch have := e.owner.Load(); {
	case !e.call.Live():
		e.owner.Store(nil)
	case have == nil || *have != e.call.Owner:
		owner := e.call.Owner
		e.owner.Store(&owner)
	}
}

func cloneCall(c *projection.Call) projection.Call {
	out := *c
	out.Parties = slices.Clone(c.Parties) // the parties themselves are never written to
	out.PartyDeleteAt = maps.Clone(c.PartyDeleteAt)
	return out
}

// ours tells whether a locked call can be served without the log: this node owns it, or has events of it that wait.
func (n *Node) ours(e *entry) bool {
	return e.unlogged != nil || n.cfg.ServeUnlogged && e.call.Live() && n.carries(e.call.Owner)
}

// unattended tells whether the log is away and the publisher on the lookout for it, so that nobody else has to wait for it.
func (n *Node) unattended() bool { return n.logAway.Load() != 0 && n.unlogged.num.Load() > 0 }

// callContext bounds an operation on the log for a call; own: one that can be served without it.
func (n *Node) callContext(ctx context.Context, own bool) (context.Context, context.CancelFunc) {
	switch {
	case !own || !n.cfg.ServeUnlogged:
		return n.logContext(ctx)
	case n.logAway.Load() != 0:
		return context.WithTimeout(ctx, serveAway)
	}
	return context.WithTimeout(ctx, serveFirst)
}

// keepable tells whether an event may take effect without the log: one of a call that this node owns, or is to own. What a
// peer's sockets are named in needs the log.
func (n *Node) keepable(e *entry, env events.Envelope) bool {
	if e.unlogged == nil && !n.cfg.ServeUnlogged {
		return false
	}
	if owner, ok := begins(env); ok {
		return n.carries(owner) && !e.call.Live()
	}
	_, moves := env.Event.(events.TakenOver)
	return !moves && e.call.Live() && n.carries(e.call.Owner)
}

// begins tells whether an event begins a call, and whose.
func begins(env events.Envelope) (owner string, ok bool) {
	ev, ok := env.Event.(events.Offered)
	return ev.Owner, ok && ev.Owner != ""
}

// keep puts an event into effect that the log does not have. It is decoded from its bytes: the strings of a command end with
// its datagram.
func (n *Node) keep(e *entry, data []byte) error {
	env, err := n.decode(data)
	if err != nil {
		return fmt.Errorf("keep an event until the log answers: %w", err)
	}
	if !n.unlogged.add(e.key, data) {
		return fmt.Errorf("%w, and no more events can wait for it", transact.ErrUncertain)
	}
	if e.unlogged == nil {
		e.unlogged = &unloggedCall{base: cloneCall(&e.call)}
	}
	e.unlogged.pending = append(e.unlogged.pending, unloggedEvent{env, data})
	n.apply(e, e.call.Seq+1, env, true)
	return nil
}

// catchUpOurs is catchUp for a command. One on a call of this node goes on without a log that does not answer.
func (n *Node) catchUpOurs(ctx context.Context, e *entry) error {
	if !n.ours(e) {
		return n.catchUp(ctx, e)
	}
	if n.unattended() {
		return nil
	}
	if err := n.catchUp(ctx, e); !errors.Is(err, transact.ErrUncertain) {
		return err
	}
	return nil
}

// since reads the events of a call after a sequence; those that wait for the log come with the pseudo sequences that the
// call has them under.
func (n *Node) since(ctx context.Context, e *entry, after uint64) ([]transact.Entry, error) {
	own, base := n.ours(e), e.logged().Seq
	var out []transact.Entry
	if !own || after < base && !n.unattended() {
		ctx, cancel := n.callContext(ctx, own)
		defer cancel()
		entries, _, err := n.journal.Since(ctx, e.key, after)
		if err = appendError(err); err != nil && (!own || !errors.Is(n.logAnswered(err), transact.ErrUncertain)) {
			return nil, err
		}
		for _, in := range entries {
			if e.unlogged != nil && in.Seq > base {
				break // not known yet: the publisher will find it
			}
			env, err := n.decode(in.Data)
			if err != nil {
				env = events.Envelope{Event: events.Unknown{Name: "unreadable"}}
			}
			out = append(out, transact.Entry{Seq: in.Seq, Envelope: env})
		}
	}
	if e.unlogged != nil {
		for i, p := range e.unlogged.pending {
			if seq := base + uint64(i) + 1; seq > after {
				out = append(out, transact.Entry{Seq: seq, Envelope: p.env})
			}
		}
	}
	return out, nil
}

// foldBase folds an event of the log into a locked call of which events wait. It may be the first of these, stored although
// the answer was lost; else another writer was at work.
func (n *Node) foldBase(e *entry, seq uint64, env events.Envelope, data []byte) {
	u := e.unlogged
	u.base.ID = env.Call
	u.base.Apply(seq, env)
	if got := u.cut(data); got > 0 {
		n.unlogged.published(e.key, got, u.size(got))
		u.pending = u.pending[got:]
	} else {
		n.touch(e)
	}
	n.refold(e, env)
}

// cut tells how many of the events that wait an entry of the log makes superfluous: itself and those before it.
func (u *unloggedCall) cut(data []byte) int {
	return 1 + slices.IndexFunc(u.pending, func(p unloggedEvent) bool { return bytes.Equal(p.data, data) })
}

// size is how many bytes the first num events have.
func (u *unloggedCall) size(num int) (bytes int) {
	for _, p := range u.pending[:num] {
		bytes += len(p.data)
	}
	return bytes
}

// lostBase is lost for a call of which events wait.
func (n *Node) lostBase(e *entry, last uint64) {
	base := &e.unlogged.base
	if base.Live() {
		base.Ended, base.EndedAt = true, n.now()
	}
	base.Seq = last
	n.touch(e)
	n.refold(e, events.Envelope{})
}

// touch has the relay brought in line when the call is released.
func (n *Node) touch(e *entry) {
	if n.relaying.Load() {
		e.changed, e.fresh = true, true
	}
}

// refold makes a locked call anew from what the log has of it, env last, and from what waits. Events that do not fit any more
// are dropped: somebody else has taken the call over, ended it, or begun it anew, and the log has the last word.
func (n *Node) refold(e *entry, env events.Envelope) {
	u, was := e.unlogged, livenessOf(&e.call)
	before := e.call.Locals()
	drop := 0
	for drop < len(u.pending) && !n.fits(&u.base, u.pending[drop].env) {
		drop++
	}
	if drop > 0 {
		n.unlogged.dropped(e.key, drop, u.size(drop))
		n.log.Error("events that the log did not get are dropped: another writer has changed the call meanwhile",
			"call-id", u.pending[0].env.Call, "events", drop, "owner", u.base.Owner, "live", u.base.Live())
		u.pending = u.pending[drop:]
		n.touch(e)
	}
	e.call = cloneCall(&u.base)
	for _, p := range u.pending {
		e.call.ID = p.env.Call
		e.call.Apply(e.call.Seq+1, p.env)
	}
	if len(u.pending) == 0 {
		e.unlogged = nil
	}
	n.account(was, &e.call, env)
	e.mark()
	if e.changed && n.carries(was.owner) {
		// The relay closes what the call has adopted. What was reserved a moment ago it does not know yet.
		after := e.call.Locals()
		n.engine.Release(slices.DeleteFunc(before, func(a netip.AddrPort) bool { return slices.Contains(after, a) })...)
	}
}

// fits tells whether an event of this node can follow what the log has of its call.
func (n *Node) fits(base *projection.Call, env events.Envelope) bool {
	if owner, ok := begins(env); ok {
		return n.carries(owner) && !base.Live() && env.Gen > base.Gen
	}
	return base.Live() && base.Gen == env.Gen && n.carries(base.Owner)
}
