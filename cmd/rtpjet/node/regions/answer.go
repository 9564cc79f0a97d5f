package regions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/logerror"
	"rtpjet/events"
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
func (d *Driver) fromMirror(ctx context.Context, p *peer, m *ng.Message, key, why string, absent bool) ng.Reply {
	p.mu.Lock()
	l, age := p.log, p.link.Age(d.now())
	p.mu.Unlock()
	if l == nil {
		return ng.Error(reasonRegion)
	}
	c, err := d.foldMirror(ctx, l, key)
	if err != nil {
		d.log.Warn("the mirror of a region cannot be read", "region", p.Name, "call-id", m.CallID, "err", err)
		if errors.Is(err, events.ErrNewer) {
			why += "; its events are of a newer release, which this node cannot read: run that release here, too"
		}
		return d.refuseFor(p, m, why)
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
		return d.refuseFor(p, m, why)
	}
	return d.appendAtHome(ctx, p, l, m, c)
}

// foldMirror folds what the mirror of a region has of a call; nil if it has nothing.
func (d *Driver) foldMirror(ctx context.Context, l Log, key string) (*projection.Call, error) {
	entries, _, err := l.Since(ctx, key, 0)
	if err != nil {
		return nil, err
	}
	var c projection.Call
	for _, in := range entries {
		env, err := d.cfg.Decode(in.Data)
		if err != nil {
			return nil, fmt.Errorf("event %d of the call: %w", in.Seq, err)
		}
		c.ID = env.Call
		c.Apply(in.Seq, env)
	}
	if c.Gen == 0 {
		return nil, nil
	}
	return &c, nil
}

// reasonRegion is why a command for a call of another region is refused.
const reasonRegion = "Home region of the call does not answer"

func (d *Driver) refuseFor(p *peer, m *ng.Message, why string) ng.Reply {
	d.log.Warn("command for a call of another region refused", "region", p.Name, "call-id", m.CallID, "command", m.Command, "why", why)
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

// appendAtHome decides a command on the mirror and appends the event to the stream of the home, none of whose nodes answers.
func (d *Driver) appendAtHome(ctx context.Context, p *peer, l Log, m *ng.Message, c *projection.Call) ng.Reply {
	fx := &mirrorEffects{d: d, ctx: ctx, p: p, l: l, call: c}
	set := d.cfg.Settings
	set.Node = d.qualified()
	set.Level, _ = d.Level(d.host.State().Level)
	msg := *m
	msg.Via = d.qualified()
	res, ok := transact.Execute(fx, set, msg, report.Env{})
	if !ok {
		return d.refuseFor(p, m, "the command needs a node of that region")
	}
	var refusal *projection.Refusal
	var reason *ng.ReasonError
	switch {
	case res.Err == nil:
	case errors.As(res.Err, &refusal) && refusal.Reason != ng.ReasonOutOfPorts, errors.As(res.Err, &reason):
		d.log.Warn("command for a call of another region not carried out", "region", p.Name, "call-id", m.CallID, "command", m.Command, "err", res.Err)
	default: // it needs sockets, or the log, which are there
		return d.refuseFor(p, m, res.Err.Error())
	}
	return res.Reply
}

// mirrorEffects are what a command does to a call of another region while no node there answers: no sockets, no statistics.
type mirrorEffects struct {
	d    *Driver
	ctx  context.Context
	p    *peer
	l    Log
	call *projection.Call
}

var _ transact.Effects = (*mirrorEffects)(nil)

// Now implements [transact.Effects].
func (x *mirrorEffects) Now() int64 { return x.d.wall() }

// Call implements [transact.Effects].
func (x *mirrorEffects) Call() *projection.Call { return x.call }

// Append implements [transact.Effects]. It does not try again: a region that does not answer is another try of the client's.
func (x *mirrorEffects) Append(env events.Envelope) error {
	data, err := x.d.cfg.Encode(env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(x.ctx, homeTime)
	defer cancel()
	seq, err := x.l.Append(ctx, events.Key(env.Call), x.call.Seq, data)
	if err = logerror.Of(err); err != nil {
		return err
	}
	x.call.Apply(seq, env)
	return nil
}

// CatchUp implements [transact.Effects].
func (x *mirrorEffects) CatchUp() error {
	c, err := x.d.foldMirror(x.ctx, x.l, events.Key(x.call.ID))
	if err != nil {
		return logerror.Of(err)
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
		return nil, logerror.Of(err)
	}
	for _, in := range entries {
		env, err := x.d.cfg.Decode(in.Data)
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
func (x *mirrorEffects) Random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Stats implements [transact.Effects].
func (x *mirrorEffects) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	return func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
}
