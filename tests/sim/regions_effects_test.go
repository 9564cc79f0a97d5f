package sim

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// homeEffects are what a command does to a call of this region.
type homeEffects struct{ p *regionProc }

var (
	_ transact.Effects = (*homeEffects)(nil)
	_ replica.Effects  = (*homeEffects)(nil)
)

func (x *homeEffects) Now() int64             { return x.p.n.w.now }
func (x *homeEffects) Call() *projection.Call { return &x.p.h.Call }

func (x *homeEffects) Append(env events.Envelope) error {
	x.p.env = env
	_, err := x.p.h.Append(x, env)
	return err
}

func (x *homeEffects) CatchUp() error { return x.p.h.Refresh(x) }

func (x *homeEffects) Since(after uint64) ([]transact.Entry, error) {
	p := x.p
	p.pause(p.n.w.near())
	var out []transact.Entry
	for _, seq := range p.n.g.log.seqs[p.key] {
		if seq > after {
			out = append(out, transact.Entry{Seq: seq, Envelope: p.n.g.log.entries[seq-1].env})
		}
	}
	return out, nil
}

// The log of a region has events as they are, and no bytes of them.
func (x *homeEffects) Encode(events.Envelope) ([]byte, error) { return nil, nil }
func (x *homeEffects) Decode([]byte) (events.Envelope, error) { return x.p.env, nil }

func (x *homeEffects) Store(last uint64, _ []byte, _ bool) (uint64, error) {
	p, env := x.p, x.p.env
	got := wait(p, sec, answer{}, func(done func(answer)) {
		p.n.after(p.n.w.near(), func() {
			seq, ok := p.n.g.log.append(p.key, last, false, env)
			p.n.after(p.n.w.near(), func() { done(answer{seq, ok, true}) })
		})
	})
	switch {
	case !got.got:
		return 0, transact.ErrUncertain
	case !got.ok:
		return 0, transact.ErrConflict
	}
	return got.seq, nil
}

func (x *homeEffects) Read(after uint64, _ bool) (out []replica.Entry, last uint64, err error) {
	x.p.pause(x.p.n.w.near())
	for _, seq := range x.p.n.g.log.seqs[x.p.key] {
		if last = seq; seq > after {
			out = append(out, replica.Entry{Seq: seq})
		}
	}
	return out, last, nil
}

func (x *homeEffects) Unattended() bool { return false }
func (x *homeEffects) Wait([]byte) bool { return false }
func (x *homeEffects) Fold(in replica.Entry) {
	if x.p.h.Takes(in) {
		x.p.h.Fold(in.Seq, x.p.n.g.log.entries[in.Seq-1].env, nil, true)
	}
}
func (x *homeEffects) Took(events.Envelope, replica.Change) {}

func (x *homeEffects) Judge(id string) members.Verdict { return x.p.n.g.judge(id) }

// judge says how an owner is, by what is true: who finds that out, and how, is not of interest here.
func (g *region) judge(id string) members.Verdict {
	if events.ParseOwner(id).Kind == events.OwnerForeign {
		return members.Gone
	}
	switch n := g.node(id); {
	case n.serving && !n.asleep:
		return members.Alive
	case n.up || g.w.now-n.downAt < 300*ms:
		return members.Silent
	}
	return members.Gone
}

func (x *homeEffects) Await(id string) members.Verdict {
	until := x.p.n.w.now + 600*ms
	for {
		if v := x.Judge(id); v != members.Silent || x.p.n.w.now > until {
			return v
		}
		x.p.pause(50 * ms)
	}
}

func (x *homeEffects) Fence(string) error { x.p.pause(x.p.n.w.near()); return nil }

func (x *homeEffects) Place(w transact.Wish) (string, bool) {
	n := x.p.n.g.pick(func(n *regionNode) bool {
		for _, id := range w.Tried {
			if id == n.id {
				return false
			}
		}
		return n.serving && !n.asleep
	})
	if n == nil {
		return "", false
	}
	return n.id, true
}

func (x *homeEffects) Interfaces(id string) *plan.Interfaces {
	if n := x.p.n.g.node(id); n != nil {
		return n.face
	}
	return nil
}

func (x *homeEffects) Reserve(id string, bind netip.Addr, num int) ([]netip.AddrPort, error) {
	n := x.p.n.g.node(id)
	if n == nil || !n.serving || n.asleep {
		x.p.pause(100 * ms)
		return nil, transact.ErrSilent
	}
	if n != x.p.n {
		x.p.pause(x.p.n.w.near())
	}
	n.port = (n.port + 2) % 40000
	out := make([]netip.AddrPort, num)
	for i := range out {
		out[i] = netip.AddrPortFrom(bind, 10000+n.port+uint16(i))
	}
	return out, nil
}

func (x *homeEffects) Release(string, []netip.AddrPort) {}
func (x *homeEffects) Hold(string, []netip.AddrPort)    {}
func (x *homeEffects) Random(n int) []byte              { return make([]byte, n) }

func (x *homeEffects) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	return func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
}

// abroad are what a command does to a call of another region while no node there answers.
type abroad struct {
	homeEffects
	home *region
	key  string
	call *projection.Call
}

func (x *abroad) Call() *projection.Call { return x.call }

func (x *abroad) Append(env events.Envelope) error {
	p, w, last := x.p, x.p.n.w, x.call.Seq
	w.stats.MirrorAppends++
	p.waves++
	got := wait(p, homeTime, answer{}, func(done func(answer)) {
		w.cross(p.n.g.i, x.home.i, func() {
			if x.home.up() == nil {
				return
			}
			seq, ok := x.home.log.append(x.key, last, false, env)
			w.cross(x.home.i, p.n.g.i, func() { done(answer{seq, ok, true}) })
		})
	})
	switch {
	case !got.got:
		return transact.ErrUncertain
	case !got.ok:
		return transact.ErrConflict
	}
	x.call.Apply(got.seq, env)
	return nil
}

func (x *abroad) CatchUp() error {
	x.p.pause(x.p.n.w.near())
	if c := x.p.n.g.mirrors[x.home.i].project(x.home, x.key); c.Seq > x.call.Seq {
		*x.call = *c
	}
	return nil
}

func (x *abroad) Since(after uint64) ([]transact.Entry, error) {
	x.p.pause(x.p.n.w.near())
	var out []transact.Entry
	for _, seq := range x.p.n.g.mirrors[x.home.i].read(x.home, x.key) {
		if seq > after {
			out = append(out, transact.Entry{Seq: seq, Envelope: x.home.log.entries[seq-1].env})
		}
	}
	return out, nil
}

func (x *abroad) Judge(string) members.Verdict       { return members.Silent }
func (x *abroad) Await(string) members.Verdict       { return members.Silent }
func (x *abroad) Fence(string) error                 { return transact.ErrSilent }
func (x *abroad) Place(transact.Wish) (string, bool) { return "", false }
func (x *abroad) Interfaces(string) *plan.Interfaces { return nil }
func (x *abroad) Reserve(string, netip.Addr, int) ([]netip.AddrPort, error) {
	return nil, transact.ErrSilent
}
