package node

import (
	"context"
	"errors"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/transact"
)

// mutate runs a command that may change its call: decide, append, apply, routes, reply. The reply leaves only when the event is in
// the log and in effect. What others write meanwhile is folded when the call is let go, and in effect before the reply leaves, too.
func (c *commands) mutate(ctx context.Context, m *ng.Message) ng.Reply {
	e := c.acquire(events.Key(m.CallID), true)
	defer c.release(e)
	res, _ := transact.Execute(c.effects(ctx, e), c.settingsNow(), *m, report.Env{})
	c.bring(e) // routes
	c.undone(e, m, res.Undone)
	c.tellResult(m, res)
	return res.Reply
}

// tellResult writes the lines of the log about what became of a command.
func (c *commands) tellResult(m *ng.Message, res transact.Result) {
	if res.Misplaced > 0 {
		c.log.Warn("sections of an answer that nobody had offered were refused", "call-id", m.CallID, "sections", res.Misplaced)
	}
	if res.PassedOver > 0 {
		c.log.Warn("crypto lines that cannot be used were passed over", "call-id", m.CallID, "command", m.Command, "lines", res.PassedOver)
	}
	switch reason := res.Reply.Reason(); {
	case res.Full:
		c.tally.rejected.Add(1)
	case res.Err == nil:
	case reason == transact.ReasonLog || reason == transact.ReasonSilent || reason == ng.ReasonInternal:
		c.log.Error("command not carried out", "call-id", m.CallID, "command", m.Command, "err", res.Err)
	default:
		c.log.Warn("command refused", "call-id", m.CallID, "command", m.Command, "err", res.Err)
	}
}

// refused makes the reply for an error of a command that changes nothing.
func (c *commands) refused(m *ng.Message, err error) ng.Reply {
	var re *ng.ReasonError
	if !errors.As(err, &re) {
		c.log.Error("command failed", "call-id", m.CallID, "command", m.Command, "err", err)
		return ng.Error(ng.ReasonInternal)
	}
	c.log.Warn("command refused", "call-id", m.CallID, "command", m.Command, "err", err)
	return ng.Error(re.Reason)
}

// ownTime bounds what the node appends on its own account. A command for the same call has to wait for it, and its client
// gives up after 1 s (docs/decisions/04-time-limits.md).
const ownTime = 400 * time.Millisecond
