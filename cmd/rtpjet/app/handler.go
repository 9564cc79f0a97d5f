package app

import (
	"context"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/ngserver/rewrite"
	"rtpjet/projection"
)

// Handle answers one NG command.
func (n *Node) Handle(ctx context.Context, m *ngserver.Message) ng.Reply {
	if len(m.Unknown) > 0 {
		n.log.Debug("keys or flags not understood", "call-id", m.CallID, "command", m.Command,
			"unknown", strings.Join(m.Unknown, ", "))
	}
	switch m.Command {
	case "ping":
		return ng.Pong()
	case "offer":
		return n.signal(ctx, m, false)
	case "answer":
		return n.signal(ctx, m, true)
	case "delete":
		return n.delete(ctx, m)
	case "query":
		return n.query(m)
	case "list":
		return n.list(m)
	case "statistics":
		return n.statistics()
	case "block media", "unblock media", "block DTMF", "unblock DTMF":
		return n.block(ctx, m)
	case "start recording", "stop recording", "pause recording":
		return n.record(m)
	}
	return ng.Error(ng.ReasonUnsupported)
}

// signal handles offer and answer.
func (n *Node) signal(ctx context.Context, m *ngserver.Message, answer bool) ng.Reply {
	if err := rewrite.Validate(m.Request, answer); err != nil {
		return n.refused(m, err)
	}
	digest := events.Digest(m.Raw)
	return n.mutate(ctx, m, !answer, func(c *projection.Call, res projection.Resources, now int64) (step, error) {
		if reply, ok := n.repeated(ctx, m, c, digest); ok {
			return step{reply: reply}, nil
		}
		if !answer && !c.Live() && n.full() {
			n.tally.rejected.Add(1)
			return step{reply: ng.LoadLimit(m.Request, ng.ReasonSessionLimit)}, nil
		}
		out, err := rewrite.Signal(c, m.Request, answer, n.settings, res, now)
		if err != nil {
			return step{}, err
		}
		reply := ng.OK()
		if out.SDP != nil {
			reply.Bytes("sdp", out.SDP)
		}
		switch ev := out.Event.(type) {
		case events.Offered:
			ev.Request = digest
			out.Event = ev
		case events.Answered:
			ev.Request = digest
			out.Event = ev
		}
		return step{event: out.Event, fresh: out.New, reply: reply}, nil
	})
}

// repeated finds the reply to a request that is the same, byte for byte, as the last one that changed the call: a client
// that tries another node sends it under a new cookie (field notes §3.5, duty 2). Only addresses may have been learned in
// between. A forced version counts repetitions.
func (n *Node) repeated(ctx context.Context, m *ngserver.Message, c *projection.Call, digest uint64) (ng.Reply, bool) {
	if !c.Live() || c.LastRequest != digest || c.DeleteAt != 0 || m.Replace.ForceIncrementSDPVer {
		return ng.Reply{}, false
	}
	entries, _, err := n.journal.Since(ctx, events.Key(c.ID), c.LastRequestSeq-1)
	if err != nil || len(entries) == 0 || entries[0].Seq != c.LastRequestSeq {
		return ng.Reply{}, false
	}
	for _, in := range entries[1:] { // a deleted branch is gone even if the same offer brings it back
		if env, err := events.Decode(in.Data); err != nil || events.KindOf(env.Event) != events.KindEndpointLearned {
			return ng.Reply{}, false
		}
	}
	env, err := events.Decode(entries[0].Data)
	if err != nil || env.Cause == nil || len(env.Cause.Reply) == 0 {
		return ng.Reply{}, false
	}
	return ng.Raw(env.Cause.Reply), true
}

// full tells whether the configured number of calls is reached.
func (n *Node) full() bool {
	return n.cfg.MaxSessions >= 0 && n.tally.own.Load() >= int64(n.cfg.MaxSessions)
}

func (n *Node) delete(ctx context.Context, m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	return n.mutate(ctx, m, false, func(c *projection.Call, _ projection.Resources, now int64) (step, error) {
		ev := projection.DecideDelete(c, m.Request, n.cfg.DeleteDelay, now)
		if ev == nil {
			if m.Fatal {
				return step{reply: ng.Error(ng.ReasonNotFound)}, nil
			}
			return step{reply: ng.Warning(ng.ReasonNotFound)}, nil
		}
		reply := ng.OK()
		if !m.Fast {
			report.Query(reply.Object, c, m.Request, n.engine.Stats, n.reportEnv())
		}
		if end, ok := ev.(events.Ended); ok {
			ev = n.totals(c, end)
		}
		return step{event: ev, reply: reply}, nil
	})
}

func (n *Node) block(ctx context.Context, m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	return n.mutate(ctx, m, false, func(c *projection.Call, _ projection.Resources, now int64) (step, error) {
		ev, err := projection.DecideBlock(c, m.Request, now)
		if err != nil {
			return step{}, err
		}
		return step{event: ev, reply: ng.OK()}, nil
	})
}

// acquireLive returns the locked entry of a call that exists, or nil. The caller releases it.
func (n *Node) acquireLive(callID string) *entry {
	e := n.calls.acquire(events.Key(callID), false)
	if e != nil && !e.call.Live() {
		n.calls.release(e, n.fold)
		return nil
	}
	return e
}

// record answers as rtpengine does where no directory for recordings is set: ok, and nothing is recorded (ng-reference §13).
func (n *Node) record(m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	e := n.acquireLive(m.CallID)
	if e == nil {
		return ng.Error(ng.ReasonUnknownCallIDBlocking)
	}
	defer n.calls.release(e, n.fold)
	n.log.Error("rtpjet cannot record calls; the command has no effect", "call-id", m.CallID, "command", m.Command)
	return ng.OK()
}

// query never changes anything.
func (n *Node) query(m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	e := n.acquireLive(m.CallID)
	if e == nil {
		return ng.Error(ng.ReasonUnknownCallID)
	}
	defer n.calls.release(e, n.fold)
	reply := ng.OK()
	report.Query(reply.Object, &e.call, m.Request, n.engine.Stats, n.reportEnv())
	return reply
}

func (n *Node) list(m *ngserver.Message) ng.Reply {
	limit, err := report.Limit(m.Request)
	if err != nil {
		return n.refused(m, err)
	}
	var ids []string
	for _, e := range n.calls.all() {
		if len(ids) >= limit {
			break
		}
		e.mu.Lock()
		if e.call.Live() {
			ids = append(ids, e.call.ID)
		}
		n.calls.release(e, n.fold)
	}
	reply := ng.OK()
	report.List(reply.Object, ids, limit)
	return reply
}
