package sim

import (
	"net/netip"

	"rtpjet/projection/members"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

func (p *proc) Place(w transact.Wish) (string, bool) {
	return p.n.table.Place(w, members.Here{
		Takes: p.n.takesNew(), First: p.n.core.ServeUnlogged && p.n.logAway != 0, Calls: int64(p.n.own()),
	}, p.n.w.now)
}

func (p *proc) Interfaces(node string) *plan.Interfaces { return p.n.w.nodes[p.n.w.index(node)].face }

func (p *proc) Reserve(id string, _ netip.Addr, num int) ([]netip.AddrPort, error) {
	w, n, key := p.n.w, p.n, p.h.key
	if w.bug == bugOwnPorts && w.chance(200) {
		id = n.id
	}
	if id == n.id {
		got := n.pool.reserve(key, num)
		if got == nil {
			return nil, errNoPorts
		}
		return got, nil
	}
	type result struct {
		ports []netip.AddrPort
		err   error
	}
	to, fresh := w.nodes[w.index(id)], !p.h.Call.Live()
	got := ask(p, max(p.left(askTime), 0), result{err: transact.ErrSilent}, func(done func(result)) {
		if !to.up && !n.cutNATS && !to.cutNATS { // NATS says that nobody listens
			n.after(w.delay(), func() {
				n.table.Absent(id, w.now)
				done(result{err: transact.ErrSilent})
			})
			return
		}
		n.tell(to, func() {
			if !to.serving {
				return
			}
			var r result
			switch {
			case fresh && !to.takesNew():
				r.err = transact.ErrNoRoom
			default:
				if r.ports = to.pool.reserve(key, num); r.ports == nil {
					r.err = errNoPorts
					if fresh {
						r.err = transact.ErrNoRoom
					}
					break
				}
				to.grants.Add(key, r.ports, w.now+grantTime)
			}
			to.tell(n, func() { done(r) })
		})
	})
	return got.ports, got.err
}

func (p *proc) Release(id string, ports []netip.AddrPort) {
	w, n := p.n.w, p.n
	w.trace.add(w.now, n.id, "%s: gives back %v of %s", w.short(p.h.key), ports, id)
	if w.bug == bugKeepLosers {
		return
	}
	if id == n.id {
		n.pool.release(ports)
		return
	}
	to := w.nodes[w.index(id)]
	key := p.h.key
	n.tell(to, func() {
		if to.pool != nil {
			to.pool.release(to.grants.Return(key, ports))
		}
	})
}

func (p *proc) Hold(id string, ports []netip.AddrPort) {
	if id != p.n.id {
		return // a peer holds what it gave until it has asked the log, whatever we do
	}
	if p.n.w.bug == bugHold {
		p.n.pool.release(ports)
		return
	}
	p.n.grants.Add(p.h.key, ports, p.n.w.now+ownTime)
}

func (p *proc) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	none := func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
	c := &p.h.Call
	if !c.Live() || c.Owner == p.n.id || p.n.judge(c.Owner) == members.Gone {
		return none
	}
	to := p.n.w.nodes[p.n.w.index(c.Owner)]
	ask(p, max(p.left(askTime), 0), false, func(done func(bool)) {
		p.n.tell(to, func() { to.tell(p.n, func() { done(true) }) })
	})
	return none
}
