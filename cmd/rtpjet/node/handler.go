package node

import (
	"context"
	"maps"
	"slices"
	"strings"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node/regions"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/transact"
)

// commands answers NG commands. It is safe for concurrent use.
type commands struct {
	*calls
	regions    *regions.Driver // nil: there are none
	counters   *metrics.Counters
	settings   transact.Settings      // but for the level
	level      func() int             // of events that may be written at the moment
	statistics func() report.Snapshot // of the moment
}

// Handle answers one NG command: here, or as the region answers that has its call.
func (c *commands) Handle(ctx context.Context, m *ng.Message) ng.Reply {
	if reply, ok := c.regions.Forward(ctx, m); ok {
		return reply
	}
	if len(m.Unknown) > 0 {
		c.log.Debug("keys or flags not understood", "call-id", m.CallID, "command", m.Command,
			"unknown", strings.Join(m.Unknown, ", "))
	}
	switch m.Info().Action {
	case ng.ActionPing:
		return ng.Pong()
	case ng.ActionSignal:
		return c.mutate(ctx, m)
	case ng.ActionDelete:
		return c.delete(ctx, m)
	case ng.ActionBlock:
		return c.block(ctx, m)
	case ng.ActionQuery:
		return c.query(ctx, m)
	case ng.ActionList:
		return c.list(m)
	case ng.ActionStatistics:
		return c.answerStatistics()
	case ng.ActionRecord:
		return c.record(ctx, m)
	default:
		return c.unsupported(m)
	}
}

func (c *commands) delete(ctx context.Context, m *ng.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	return c.mutate(ctx, m)
}

func (c *commands) block(ctx context.Context, m *ng.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	reply := c.mutate(ctx, m)
	if reply.Reason() == ng.ReasonUnsupported {
		return c.unsupported(m)
	}
	return reply
}

// record answers as rtpengine does where no directory for recordings is set: ok, and nothing is recorded. A warning says so.
func (c *commands) record(ctx context.Context, m *ng.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	e := c.acquireLive(ctx, m.CallID)
	if e == nil {
		return ng.Error(ng.ReasonUnknownCallIDBlocking)
	}
	defer c.release(e)
	u := ng.NotDone(m.Request, ng.Situation{})
	c.undone(e, m, u)
	if u == 0 {
		return ng.OK() // there is nothing to stop
	}
	return ng.Warning(u.Warning())
}

// query never changes anything. What the sockets have counted only the owner knows; without it the reply says so. A client
// that was just answered by another node must find what it was told, so in a cluster the call is compared with the log.
func (c *commands) query(ctx context.Context, m *ng.Message) ng.Reply {
	if m.CallID == "" {
		return ng.Error(ng.ReasonNoCallID)
	}
	e := c.acquireLive(ctx, m.CallID)
	if e == nil {
		return ng.Error(ng.ReasonUnknownCallID)
	}
	stale := false
	if c.peers != nil && c.peers.HasPeers() {
		cctx, cancel := context.WithTimeout(ctx, statsTime)
		if err := c.refresh(cctx, e); err != nil {
			c.log.Warn("a query is answered without a look into the log", "call-id", m.CallID, "err", err)
			stale = true
		}
		cancel()
	}
	call := e.Call
	if c.owners.carries(call.Owner) { // counters and state of one moment
		defer c.release(e)
	} else {
		call.Parties = slices.Clone(call.Parties) // the parties themselves are never written to
		call.PartyDeleteAt = maps.Clone(call.PartyDeleteAt)
		c.release(e) // the owner may be slow
	}
	if !call.Live() {
		return ng.Error(ng.ReasonUnknownCallID)
	}
	reply := ng.OK()
	stats, fresh := c.stats(ctx, &call)
	switch {
	case stale:
		reply = ng.Warning(warnStale)
	case !fresh:
		reply = ng.Warning(warnNoStats)
	}
	report.Query(reply.Object, &call, m.Request, stats, report.Env{})
	return reply
}

// warnStale is in the reply to a query that could not be compared with the log.
const warnStale = "The event log does not answer: this may be out of date"

// warnNoStats is in the reply to a query whose counters are missing.
const warnNoStats = "The owner of the call does not answer: no statistics"

func (c *commands) list(m *ng.Message) ng.Reply {
	limit, err := report.Limit(m.Request)
	if err != nil {
		return c.refused(m, err)
	}
	var ids []string
	for _, e := range c.all() {
		if len(ids) >= limit {
			break
		}
		e.mu.Lock()
		if e.Call.Live() {
			ids = append(ids, e.Call.ID)
		}
		c.release(e)
	}
	reply := ng.OK()
	report.List(reply.Object, ids, limit)
	return reply
}

// answerStatistics answers the command "statistics".
func (c *commands) answerStatistics() ng.Reply {
	reply := ng.OK()
	report.Statistics(reply.Object, c.statistics())
	return reply
}

// settingsNow are the settings for a command of this moment.
func (c *commands) settingsNow() transact.Settings {
	set := c.settings
	set.Level = c.level()
	return set
}
