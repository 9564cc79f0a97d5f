package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
)

// The reasons for refusals that are not a decision's.
const (
	reasonLog     = "Event log unavailable"
	reasonForeign = "Call is owned by another node"
)

// step is what a decision leads to. event is nil if nothing changes.
type step struct {
	event events.Event
	fresh bool // the event begins a new generation of the call
	reply ng.Reply
}

// decider decides a command on the call as it is; it may be called again if another writer was faster.
type decider func(c *projection.Call, res projection.Resources, now int64) (step, error)

// maxAttempts bounds how often a decision is made anew because another writer was faster.
const maxAttempts = 8

// mutate runs a command through decide, append, apply (design, decision 3): the reply leaves only when the event is in the
// log and in effect.
func (n *Node) mutate(ctx context.Context, m *ngserver.Message, create bool, decide decider) ng.Reply {
	key := events.Key(m.CallID)
	e := n.calls.acquire(key, create)
	if e == nil {
		e = &entry{key: key} // decided on a call that is not there, and never kept
		st, err := decide(&e.call, nil, n.now())
		if err != nil {
			return n.refused(m, err)
		}
		return st.reply
	}
	defer n.calls.release(e, n.fold)
	for range maxAttempts {
		if e.call.Live() && e.call.Owner != n.id {
			return ng.Error(reasonForeign)
		}
		res := &reservation{node: n, turn: events.Digest([]byte(m.CallID))}
		now := n.now()
		st, err := decide(&e.call, res, now)
		if err != nil {
			res.release()
			return n.refused(m, err)
		}
		if st.event == nil {
			res.release()
			return st.reply
		}
		raw := st.reply.Append(nil, m.Encoding)
		if m.Command != ng.CommandDelete && len(m.Cookie)+1+len(raw) > ngserver.MaxReply {
			res.release() // the client would never learn of its ports
			return n.refused(m, &ng.ReasonError{Reason: ng.ReasonReplyTooLarge})
		}
		env := events.Envelope{
			Call: strings.Clone(m.CallID), Gen: e.call.Gen, Node: n.id, At: now, Event: st.event,
			Cause: &events.Cause{Cookie: m.Cookie, From: m.Source, Request: m.Raw, Reply: raw},
		}
		if st.fresh {
			env.Gen++
		}
		err = n.append(ctx, e, env)
		if err == nil {
			return st.reply.Encoded(raw)
		}
		if errors.Is(err, embed.ErrUnavailable) && len(res.taken) > 0 {
			n.uncertain.add(heldPorts{key: e.key, ports: res.taken, since: n.clock()})
		} else {
			res.release()
		}
		if !errors.Is(err, embed.ErrConflict) {
			n.log.Error("command not carried out: the event log did not take it", "call-id", m.CallID,
				"command", m.Command, "err", err)
			return ng.Error(reasonLog)
		}
		if err := n.catchUp(ctx, e); err != nil {
			n.log.Error("cannot read the event log", "call-id", m.CallID, "err", err)
			return ng.Error(reasonLog)
		}
	}
	n.log.Error("command not carried out: other writers were always faster", "call-id", m.CallID)
	return ng.Error(reasonLog)
}

// append writes one event of a locked call and puts it into effect.
func (n *Node) append(ctx context.Context, e *entry, env events.Envelope) error {
	data, err := events.Encode(env)
	if err != nil {
		return err
	}
	seq, err := n.journal.Append(ctx, e.key, e.call.Seq, data, "")
	if err != nil {
		return err
	}
	n.apply(e, seq, env)
	return nil
}

// apply folds an event into a locked call and brings the relay in line. After start-up this happens event by event; before,
// the relay waits for the end of the backlog.
func (n *Node) apply(e *entry, seq uint64, env events.Envelope) {
	was := livenessOf(&e.call)
	// The cause is for the log; in memory it would be most of a call.
	env.Cause = nil
	e.call.ID = env.Call
	e.call.Apply(seq, env)
	e.applied.Store(e.call.Seq)
	if !e.unreadable {
		e.first.Store(e.call.First)
	}
	n.account(was, &e.call, env)
	if n.relaying.Load() {
		n.route(e)
	}
}

// route makes the relay's sockets and routes of a locked call those that the projection wants.
func (n *Node) route(e *entry) {
	if !e.call.Live() || e.call.Owner != n.id {
		n.engine.Drop(e.key)
		return
	}
	if err := n.engine.Set(e.key, e.call.Routes(n.defaults)); err != nil {
		n.log.Error("cannot relay all streams of a call; trying again", "call-id", e.call.ID, "err", err)
		n.retry.add(e.key)
	}
}

// fold decodes a log entry and applies it to a locked call, unless it is there already. What cannot be read is left alone,
// counted and reported (design, decision 6).
func (n *Node) fold(e *entry, in embed.Entry) {
	if in.Seq <= e.call.Seq {
		return
	}
	env, err := events.Decode(in.Data)
	if err != nil {
		n.unreadable.Add(1)
		n.log.Error("cannot read an event; leaving it alone", "seq", in.Seq, "key", in.Key, "err", err)
		e.call.Seq = in.Seq
		e.applied.Store(in.Seq)
		if !e.unreadable && e.call.First == 0 {
			e.first.Store(in.Seq)
		}
		e.unreadable = true
		return
	}
	n.apply(e, in.Seq, env)
}

// catchUp folds what the log has of a locked call beyond what we have seen.
func (n *Node) catchUp(ctx context.Context, e *entry) error {
	entries, last, err := n.journal.Since(ctx, e.key, e.call.Seq)
	if err != nil {
		return err
	}
	for _, in := range entries {
		n.fold(e, in)
	}
	if len(entries) == 0 && last != e.call.Seq && !e.call.Live() {
		// The ended call was retired by somebody else: the subject begins anew.
		e.call.Seq = last
		e.applied.Store(last)
	}
	return nil
}

// refused makes the reply for an error of a decision.
func (n *Node) refused(m *ngserver.Message, err error) ng.Reply {
	var r *projection.Refusal
	var re *ng.ReasonError
	switch {
	case errors.As(err, &r):
		re = &ng.ReasonError{Reason: r.Reason}
	case !errors.As(err, &re):
		n.log.Error("command failed", "call-id", m.CallID, "command", m.Command, "err", err)
		return ng.Error(ng.ReasonInternal)
	}
	n.log.Warn("command refused", "call-id", m.CallID, "command", m.Command, "err", err)
	return ng.Error(re.Reason)
}

// now is the time in µs of Unix time.
func (n *Node) now() int64 { return n.clock().UnixMicro() }

// reservation hands out the node's resources to one decision and takes them back if it comes to nothing.
type reservation struct {
	node  *Node
	turn  uint64 // which member of a group serves the call
	taken []netip.AddrPort
}

// Local implements [projection.Resources]. The members of a round-robin group are spread by call, so that a call that names
// the group again stays where it is. "internal" and "external" are an old way to say IPv4 and IPv6, unless there are
// interfaces of these names (ng-reference §4.2).
func (r *reservation) Local(name, family string) (projection.LocalAddress, bool) {
	t := r.node.cfg.Interfaces
	if !t.Known(name) {
		switch name {
		case "internal":
			name, family = "", "IP4"
		case "external":
			name, family = "", "IP6"
		}
	}
	a, exact := t.Lookup(name, family, r.turn)
	if !exact {
		r.node.log.Warn("unknown interface; using the default", "interface", name)
	}
	return projection.LocalAddress{Interface: a.Name, Bind: a.Addr, Advertised: a.Advertised}, true
}

func (r *reservation) Reserve(bind netip.Addr, num int) ([]netip.AddrPort, error) {
	got, err := r.node.engine.Reserve(bind, num)
	if err != nil {
		return nil, fmt.Errorf("reserve %d ports on %s: %w", num, bind, err)
	}
	r.taken = append(r.taken, got...)
	return got, nil
}

func (r *reservation) release() {
	if len(r.taken) > 0 {
		r.node.engine.Release(r.taken...)
		r.taken = nil
	}
}

var _ projection.Resources = (*reservation)(nil)

// ownTime bounds what the node appends on its own account. A command for the same call has to wait for it, and its client
// gives up after 1 s (field notes §3.5, duty 4).
const ownTime = 400 * time.Millisecond
