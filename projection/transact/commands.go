package transact

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/ngserver/rewrite"
	"rtpjet/projection"
)

// Execute carries out a command that may change its call, whichever it is; ok is false if it is none of those.
func Execute(fx Effects, set Settings, m ng.Message, env report.Env) (out Result, ok bool) {
	switch m.Info().Action {
	case ng.ActionSignal:
		return signal(fx, set, m), true
	case ng.ActionDelete:
		return del(fx, set, m, env), true
	case ng.ActionBlock:
		return block(fx, set, m), true
	default:
		return out, false
	}
}

// signal carries out an offer or an answer.
func signal(fx Effects, set Settings, m ng.Message) Result {
	answer := m.Command == ng.CommandAnswer
	if err := rewrite.Validate(m.Request, answer); err != nil {
		r := runner{fx: fx, set: set}
		out, _, _ := r.refused(fx.Call(), set.Node, err)
		return out
	}
	digest := events.Digest(m.Raw)
	return run(fx, set, command{m: m, creates: m.Info().Begins, named: true, digest: digest, decide: func(
		c *projection.Call, owner string, res projection.Resources, now int64,
	) (step, error) {
		s := rewrite.Settings{Node: owner, InstanceID: set.InstanceID, SIPSource: set.SIPSource, Level: set.Level}
		out, err := rewrite.Signal(c, m.Request, answer, s, res, now)
		if err != nil {
			return step{}, err
		}
		reply := ng.OK()
		if out.SDP != nil {
			reply.Bytes("sdp", out.SDP)
		}
		warnings := out.Undone.Warning()
		if out.Misplaced > 0 {
			warnings = strings.TrimPrefix(warnings+fmt.Sprintf("; Sections that were not offered, and are refused: %d", out.Misplaced), "; ")
		}
		if warnings != "" {
			reply.Str("warning", warnings)
		}
		switch ev := out.Event.(type) {
		case events.Offered:
			ev.Request = digest
			out.Event = ev
		case events.Answered:
			ev.Request = digest
			out.Event = ev
		}
		return step{
			event: out.Event, fresh: out.New, reply: reply, passedOver: out.PassedOver, misplaced: out.Misplaced, undone: out.Undone,
		}, nil
	}})
}

// del carries out a delete. env is for the part of the reply that is a query.
func del(fx Effects, set Settings, m ng.Message, env report.Env) Result {
	return run(fx, set, command{m: m, decide: func(
		c *projection.Call, _ string, _ projection.Resources, now int64,
	) (step, error) {
		ev := projection.DecideDelete(c, m.Request, set.DeleteDelay, now)
		if ev == nil {
			if m.Fatal {
				return step{reply: ng.Error(ng.ReasonNotFound)}, nil
			}
			return step{reply: ng.Warning(ng.ReasonNotFound)}, nil
		}
		reply := ng.OK()
		end, over := ev.(events.Ended)
		if over || !m.Fast {
			stats := fx.Stats()
			if !m.Fast {
				report.Query(reply.Object, c, m.Request, stats, env)
			}
			if over {
				ev = c.Totals(end, stats)
			}
		}
		return step{event: ev, reply: reply}, nil
	}})
}

// block carries out the commands that block media or DTMF, or let them through again.
func block(fx Effects, set Settings, m ng.Message) Result {
	return run(fx, set, command{m: m, decide: func(
		c *projection.Call, _ string, _ projection.Resources, now int64,
	) (step, error) {
		ev, err := projection.DecideBlock(c, m.Request, now)
		if err != nil {
			return step{}, err
		}
		reply, undone := ng.OK(), ng.NotDone(m.Request, ng.Situation{})
		if w := undone.Warning(); w != "" {
			reply.Str("warning", w)
		}
		return step{event: ev, reply: reply, undone: undone}, nil
	}})
}

// replyInLog finds the reply to a command that is in the log: the same bytes under the same cookie, at another node or after the
// reply cache forgot; or an offer or answer, byte for byte the last one that changed the call, under a new cookie
// (docs/ng.md, "Repeated messages"). A reply that names the sockets of a former owner does not count.
func (r *runner) replyInLog(c *projection.Call) (ng.Reply, bool, error) {
	m := r.cmd.m
	if c.Gen == 0 || m.Cookie == "" && !c.Live() {
		return ng.Reply{}, false, nil
	}
	cookie := events.ShortDigest(m.Cookie)
	for _, mark := range c.Commands {
		if mark.Seq == 0 || mark.Cookie != cookie || r.cmd.named && (!c.Live() || mark.Seq < c.OwnedSince) {
			continue
		}
		entries, err := r.fx.Since(mark.Seq - 1)
		if err != nil {
			return ng.Reply{}, false, err
		}
		if len(entries) == 0 || entries[0].Seq != mark.Seq {
			break // retired
		}
		if r.cmd.named && slices.ContainsFunc(entries, func(e Entry) bool { return takesSockets(e.Event) }) {
			break // this projection is behind
		}
		for _, e := range slices.Backward(entries) { // a projection that is behind may know of an earlier time only
			if c := e.Cause; c != nil && len(c.Reply) > 0 && c.Cookie == m.Cookie && bytes.Equal(c.Request, m.Raw) {
				return ng.Raw(c.Reply), true, nil
			}
		}
	}
	return r.unchanged(c)
}

// takesSockets tells whether an event takes from a call the sockets that SDPs before it have named.
func takesSockets(ev events.Event) bool {
	switch ev.(type) {
	case events.TakenOver, events.Ended:
		return true
	default:
		return false
	}
}

// unchanged finds the reply to the last offer or answer, if this command is the same and only addresses were learned in between:
// after a delete the same offer makes the branch anew, and force-increment-sdp-ver counts repetitions.
func (r *runner) unchanged(c *projection.Call) (ng.Reply, bool, error) {
	if !r.cmd.named || !c.Live() || c.LastRequest != r.cmd.digest || c.DeleteAt != 0 || r.cmd.m.Replace.ForceIncrementSDPVer {
		return ng.Reply{}, false, nil
	}
	entries, err := r.fx.Since(c.LastRequestSeq - 1)
	if err != nil || len(entries) == 0 || entries[0].Seq != c.LastRequestSeq {
		return ng.Reply{}, false, err
	}
	for _, e := range entries[1:] {
		if _, ok := e.Event.(events.EndpointLearned); !ok {
			return ng.Reply{}, false, nil
		}
	}
	cause := entries[0].Cause
	if cause == nil || len(cause.Reply) == 0 {
		return ng.Reply{}, false, nil
	}
	return ng.Raw(cause.Reply), true, nil
}
