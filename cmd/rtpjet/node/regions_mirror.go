package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// fromMirror answers a command for a call whose home cannot be asked; why says so in a sentence. What only looks is answered from
// the mirror, with its age. What changes the call is decided on the mirror and appended to the home's stream if absent is true:
// that can be reached, and no node of the home carries out commands; else it is refused.
func (r *regionState) fromMirror(ctx context.Context, p *regionPeer, m *ngserver.Message, key, why string, absent bool) ng.Reply {
	p.mu.Lock()
	l, age := p.log, p.link.Age(r.now())
	p.mu.Unlock()
	if l == nil {
		return ng.Error(reasonRegion)
	}
	c, err := r.projected(ctx, l, key)
	if err != nil {
		r.log.Warn("the mirror of a region cannot be read", "region", p.Name, "call-id", m.CallID, "err", err)
		if errors.Is(err, events.ErrNewer) {
			why += "; its events are of a newer release, which this node cannot read: run that release here, too"
		}
		return r.refuseFor(p, m, why)
	}
	switch {
	case !c.Live():
		return ng.Error(ng.ReasonUnknownCallID)
	case m.Info().Answerer == ng.HomeOrMirror:
		reply := ng.Warning(fmt.Sprintf("This is from the mirror of region %s, %s: %s", p.Name, ageText(age), why))
		reply.Str("region", p.Name)
		reply.Int("mirror age", max(age, 0)/1000)
		report.Query(reply.Object, c, m.Request, func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }, report.Env{})
		return reply
	case !absent:
		return r.refuseFor(p, m, why)
	}
	return r.appendFrom(ctx, p, l, m, c)
}

// reasonRegion is why a command for a call of another region is refused.
const reasonRegion = "Home region of the call does not answer"

func (r *regionState) refuseFor(p *regionPeer, m *ngserver.Message, why string) ng.Reply {
	r.log.Warn("command for a call of another region refused", "region", p.Name, "call-id", m.CallID, "command", m.Command, "why", why)
	reply := ng.Error(reasonRegion)
	reply.Str("region", p.Name)
	return reply
}

// ageText is the age of a mirror, ms, for people.
func ageText(ms int64) string {
	if ms < 0 {
		return "which was never complete"
	}
	return "as of " + (time.Duration(ms) * time.Millisecond).Round(100*time.Millisecond).String() + " ago"
}

// appendFrom decides a command on the mirror and appends the event to the stream of the home, none of whose nodes answers.
func (r *regionState) appendFrom(ctx context.Context, p *regionPeer, l RegionLog, m *ngserver.Message, c *projection.Call) ng.Reply {
	fx := &mirrorEffects{r: r, ctx: ctx, p: p, l: l, call: c}
	set := r.n.commands.settingsNow()
	set.Node = r.qualified()
	msg := transact.Message{
		Request: m.Request, Encoding: m.Encoding, Cookie: m.Cookie, Source: m.Source, Raw: m.Raw, Received: m.Received.UnixMicro(),
		Via: r.qualified(),
	}
	res, ok := transact.Execute(fx, set, msg, report.Env{})
	if !ok {
		return r.refuseFor(p, m, "the command needs a node of that region")
	}
	var refusal *projection.Refusal
	var reason *ng.ReasonError
	switch {
	case res.Err == nil:
	case errors.As(res.Err, &refusal) && refusal.Reason != ng.ReasonOutOfPorts, errors.As(res.Err, &reason):
		r.log.Warn("command for a call of another region not carried out", "region", p.Name, "call-id", m.CallID, "command", m.Command, "err", res.Err)
	default: // it needs sockets, or the log, which are there
		return r.refuseFor(p, m, res.Err.Error())
	}
	return res.Reply
}

// mirrorEffects are what a command does to a call of another region while no node there answers: no sockets, no statistics.
type mirrorEffects struct {
	r    *regionState
	ctx  context.Context
	p    *regionPeer
	l    RegionLog
	call *projection.Call
}

var _ transact.Effects = (*mirrorEffects)(nil)

// Now implements [transact.Effects].
func (x *mirrorEffects) Now() int64 { return x.r.n.calls.now() }

// Call implements [transact.Effects].
func (x *mirrorEffects) Call() *projection.Call { return x.call }

// Append implements [transact.Effects]. It does not try again: a region that does not answer is another try of the client's.
func (x *mirrorEffects) Append(env events.Envelope) error {
	data, err := x.r.n.journal.encode(env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(x.ctx, homeTime)
	defer cancel()
	seq, err := x.l.Append(ctx, events.Key(env.Call), x.call.Seq, data)
	if err = appendError(err); err != nil {
		return err
	}
	x.call.Apply(seq, env)
	return nil
}

// CatchUp implements [transact.Effects].
func (x *mirrorEffects) CatchUp() error {
	c, err := x.r.projected(x.ctx, x.l, events.Key(x.call.ID))
	if err != nil {
		return appendError(err)
	}
	if c != nil && c.Seq > x.call.Seq {
		*x.call = *c
	}
	return nil
}

// Since implements [transact.Effects].
func (x *mirrorEffects) Since(after uint64) (out []transact.Entry, err error) {
	entries, _, err := x.l.Since(x.ctx, events.Key(x.call.ID), after)
	if err != nil {
		return nil, appendError(err)
	}
	for _, in := range entries {
		env, err := x.r.n.journal.decode(in.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, transact.Entry{Seq: in.Seq, Envelope: env})
	}
	return out, nil
}

// Judge implements [transact.Effects]: of nodes there nothing is known here, and a call that needs another owner gets it there.
func (x *mirrorEffects) Judge(string) members.Verdict { return members.Silent }

// Await implements [transact.Effects].
func (x *mirrorEffects) Await(string) members.Verdict { return members.Silent }

// Fence implements [transact.Effects].
func (x *mirrorEffects) Fence(string) error { return transact.ErrSilent }

// Place implements [transact.Effects].
func (x *mirrorEffects) Place(transact.Wish) (string, bool) { return "", false }

// Interfaces implements [transact.Effects].
func (x *mirrorEffects) Interfaces(string) *plan.Interfaces { return nil }

// Reserve implements [transact.Effects].
func (x *mirrorEffects) Reserve(string, netip.Addr, int) ([]netip.AddrPort, error) {
	return nil, transact.ErrSilent
}

// Release implements [transact.Effects].
func (x *mirrorEffects) Release(string, []netip.AddrPort) {}

// Hold implements [transact.Effects].
func (x *mirrorEffects) Hold(string, []netip.AddrPort) {}

// Random implements [transact.Effects].
func (x *mirrorEffects) Random(n int) []byte { return randomBytes(n) }

// Stats implements [transact.Effects].
func (x *mirrorEffects) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	return func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
}
