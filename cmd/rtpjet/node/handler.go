package node

import (
	"context"
	"maps"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
)

// Handle answers one NG command: here, or as the region answers that has its call.
func (n *Node) Handle(ctx context.Context, m *ngserver.Message) ng.Reply {
	if reply, ok := n.regions.elsewhere(ctx, m); ok {
		return reply
	}
	if len(m.Unknown) > 0 {
		n.log.Debug("keys or flags not understood", "call-id", m.CallID, "command", m.Command,
			"unknown", strings.Join(m.Unknown, ", "))
	}
	switch m.Info().Action {
	case ng.ActionPing:
		return ng.Pong()
	case ng.ActionSignal:
		return n.mutate(ctx, m)
	case ng.ActionDelete:
		return n.delete(ctx, m)
	case ng.ActionBlock:
		return n.block(ctx, m)
	case ng.ActionQuery:
		return n.query(ctx, m)
	case ng.ActionList:
		return n.list(m)
	case ng.ActionStatistics:
		return n.statistics()
	case ng.ActionRecord:
		return n.record(ctx, m)
	default:
		return n.unsupported(m)
	}
}

// takesNew tells whether the node takes new calls.
func (n *Node) takesNew() bool { return !n.draining.Load() && n.room() != 0 }

// room is how many more calls the node takes; -1: as many as its ports allow.
func (n *Node) room() int64 {
	if n.cfg.MaxSessions < 0 {
		return -1
	}
	return max(0, int64(n.cfg.MaxSessions)-n.tally.own())
}

func (n *Node) delete(ctx context.Context, m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	return n.mutate(ctx, m)
}

func (n *Node) block(ctx context.Context, m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	reply := n.mutate(ctx, m)
	if reply.Reason() == ng.ReasonUnsupported {
		return n.unsupported(m)
	}
	return reply
}

// acquireLive returns the locked entry of a call that exists, or nil. A call that is not known may have been created elsewhere
// a moment ago: the log says. The caller releases the entry.
func (n *Node) acquireLive(ctx context.Context, callID string) *entry {
	e := n.calls.acquire(events.Key(callID), true)
	if !e.Call.Live() {
		if err := n.catchUp(ctx, e); err != nil {
			n.log.Error("cannot read the event log", "call-id", callID, "err", err)
		}
	}
	if !e.Call.Live() {
		n.calls.release(e)
		return nil
	}
	return e
}

// record answers as rtpengine does where no directory for recordings is set: ok, and nothing is recorded. A warning says so.
func (n *Node) record(ctx context.Context, m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	e := n.acquireLive(ctx, m.CallID)
	if e == nil {
		return ng.Error(ng.ReasonUnknownCallIDBlocking)
	}
	defer n.calls.release(e)
	u := ng.NotDone(m.Request, ng.Situation{})
	n.undone(e, m, u)
	if u == 0 {
		return ng.OK() // there is nothing to stop
	}
	return ng.Warning(u.Warning())
}

// query never changes anything. What the sockets have counted only the owner knows; without it the reply says so. A client
// that was just answered by another node must find what it was told, so in a cluster the call is compared with the log.
func (n *Node) query(ctx context.Context, m *ngserver.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	e := n.acquireLive(ctx, m.CallID)
	if e == nil {
		return ng.Error(ng.ReasonUnknownCallID)
	}
	stale := false
	if n.peers != nil && n.peers.HasPeers() {
		cctx, cancel := context.WithTimeout(ctx, statsTime)
		if err := n.refresh(cctx, e); err != nil {
			n.log.Warn("a query is answered without a look into the log", "call-id", m.CallID, "err", err)
			stale = true
		}
		cancel()
	}
	c := e.Call
	if n.owners.carries(c.Owner) { // counters and state of one moment
		defer n.calls.release(e)
	} else {
		c.Parties = slices.Clone(c.Parties) // the parties themselves are never written to
		c.PartyDeleteAt = maps.Clone(c.PartyDeleteAt)
		n.calls.release(e) // the owner may be slow
	}
	if !c.Live() {
		return ng.Error(ng.ReasonUnknownCallID)
	}
	reply := ng.OK()
	stats, fresh := n.stats(ctx, &c)
	switch {
	case stale:
		reply = ng.Warning(warnStale)
	case !fresh:
		reply = ng.Warning(warnNoStats)
	}
	report.Query(reply.Object, &c, m.Request, stats, n.reportEnv())
	return reply
}

// warnStale is in the reply to a query that could not be compared with the log.
const warnStale = "The event log does not answer: this may be out of date"

// warnNoStats is in the reply to a query whose counters are missing.
const warnNoStats = "The owner of the call does not answer: no statistics"

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
		if e.Call.Live() {
			ids = append(ids, e.Call.ID)
		}
		n.calls.release(e)
	}
	reply := ng.OK()
	report.List(reply.Object, ids, limit)
	return reply
}
