package sim

import (
	"rtpjet/events"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// greet greets all other regions, and again a second later.
func (n *regionNode) greet() {
	n.after(sec, n.greet)
	for _, g := range n.w.regions {
		if g != n.g {
			n.greetOnce(g)
		}
	}
}

func (n *regionNode) greetOnce(g *region) {
	v, sent, inc := n.peers[g.i], n.now(), n.inc
	v.link.Tick(sent)
	n.w.cross(n.g.i, g.i, func() {
		to := g.up()
		if to == nil {
			return
		}
		h := to.hello()
		n.w.cross(g.i, n.g.i, func() {
			n.run(inc, func() {
				if n.now()-sent > 2*sec {
					return
				}
				if n.w.bug == regionsAge {
					sent = n.now()
				}
				v.link.Heard(h, sent, n.now(), n.w.now)
				n.heard(g, h)
			})
		})
	})
}

func (n *regionNode) hello() regions.Hello {
	h := regions.Hello{Region: n.g.name, Instance: "i-" + n.g.name, Node: n.id, Format: events.Version, At: n.w.now, Head: n.followed, Ready: n.serving}
	for _, name := range sorted(n.g.records) {
		if rec := n.g.records[name]; rec.State != "" {
			h.Records = append(h.Records, rec)
		}
	}
	return h
}

// heard does what the app does after a greeting.
func (n *regionNode) heard(g *region, h regions.Hello) {
	n.checkAge(g)
	if n.peers[g.i].link.Status(n.now()).State != regions.Up {
		return
	}
	if rec := n.g.records[g.name]; rec.State == regions.Promised { // the promise is taken back
		rec.State, rec.By = "", ""
		n.g.records[g.name] = rec
	}
	var made []regions.Record
	for _, rec := range h.Records {
		if rec.By == g.name {
			made = append(made, rec)
		}
	}
	if n.w.bug == regionsEarly {
		for i := range made {
			made[i].Upto = max(made[i].Upto, 1)
		}
	}
	if f, ok := regions.FenceOf(n.g.name, "i-"+n.g.name, made); ok && n.w.bug != regionsNoFence {
		n.obey(f)
	}
}

// obey ends what another region has adopted, and tells it so when there is nothing left.
func (n *regionNode) obey(f regions.Fence) {
	w, by := n.w, n.w.regions[n.w.index(f.By)]
	mirrored := n.peers[by.i].next - 1
	if !n.serving {
		return
	}
	if n.fence == nil || n.fence.Seq < f.Seq {
		n.fence = &f
	}
	if mirrored < f.Upto {
		return
	}
	left := 0
	for _, key := range sorted(n.calls) {
		c := &n.calls[key].Call
		if !c.Live() || !f.Ends(c.First, mirrored) {
			continue
		}
		left++
		owner := n.g.node(c.Owner)
		if owner != n && (owner != nil && owner.serving || n.caretaker() != n) {
			continue
		}
		n.spawn(func(p *regionProc) {
			p.lock(key)
			if c := &p.h.Call; c.Live() && f.Ends(c.First, mirrored) {
				if transact.End(&homeEffects{p}, n.id, events.Ended{Reason: events.ReasonAdopted}) == nil {
					w.stats.Fenced++
				}
			}
			p.unlock()
		})
	}
	if left > 0 {
		return
	}
	w.cross(n.g.i, by.i, func() {
		if by.serving() == nil {
			return
		}
		have := by.records[n.g.name]
		by.records[n.g.name] = regions.Return(have, "i-"+n.g.name, f.Term, w.now)
		if by.records[n.g.name] != have {
			w.stats.Returned++
			w.note(by.name, "%s has returned", n.g.name)
		}
	})
}

// caretaker is who looks after the calls of a node that is gone.
func (n *regionNode) caretaker() *regionNode {
	for _, o := range n.g.nodes {
		if o.serving && !o.asleep {
			return o
		}
	}
	return nil
}

// known are all records that a node has heard of.
func (n *regionNode) known() []regions.Record {
	var out []regions.Record
	for _, name := range sorted(n.g.records) {
		out = append(out, n.g.records[name])
	}
	for i, v := range n.peers {
		for _, rec := range v.link.Last().Records {
			if rec.By == n.w.regions[i].name {
				out = append(out, rec)
			}
		}
	}
	return out
}
