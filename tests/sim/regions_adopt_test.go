package sim

import (
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// adopt makes the calls of a region this one's, as an operator has asked for. It returns why not.
func (n *regionNode) adopt(p *regionProc, lost *region, without []int) string {
	w, v := n.w, n.peers[lost.i]
	if why := regions.Adoptable(v.link.Status(n.now()), v.link.Lost(n.now()), n.g.name, n.known()); why != "" {
		return why
	}
	asked := w.now
	for _, g := range w.regions {
		if g == n.g || g == lost || slices.Contains(without, g.i) {
			continue
		}
		if !n.peers[g.i].link.Reachable(n.now()) {
			return g.name + " cannot be asked"
		}
		why := wait(p, 2*sec, g.name+" does not answer", func(done func(string)) {
			w.cross(n.g.i, g.i, func() {
				to := g.serving()
				if to == nil {
					return
				}
				to.after(w.near(), func() {
					why := to.promise(lost, n.g.name)
					w.cross(g.i, n.g.i, func() { done(why) })
				})
			})
		})
		if why != "" {
			return g.name + ": " + why
		}
	}
	p.pause(w.between(ms, 20*ms))
	haul := n.haul(lost)
	p.pause(w.near())
	had := n.g.records[lost.name]
	rec, why := regions.Take(had, n.g.name, haul.Last, asked, w.now)
	if why != "" {
		return why
	}
	n.g.records[lost.name] = rec
	if had.State != regions.Taken {
		w.stats.Adoptions++
		w.note(n.qualified(), "adopts %s up to %d, %d calls, without %v", lost.name, rec.Seq, len(haul.Calls), without)
		w.checkTaken(n.g, lost, without, asked)
		if len(haul.Calls) > 1 && w.chance(250) {
			inc := n.inc
			w.after(w.between(0, 20*ms), func() {
				if n.inc == inc {
					n.kill()
					w.after(w.between(sec, 3*sec), n.boot)
				}
			})
		}
	}
	n.adoptCalls(p, lost, rec, haul)
	return ""
}

// promise answers a region that wants to adopt another one.
func (n *regionNode) promise(lost *region, by string) string {
	have := n.g.records[lost.name]
	if n.w.bug == regionsTwoPromises && have.State == regions.Promised {
		have.By = by
	}
	known := n.known()
	if n.w.bug == regionsTwoPromises {
		known = nil
	}
	rec, why := regions.Promise(have, by, n.peers[lost.i].link.Lost(n.now()), known, n.w.now)
	n.g.records[lost.name] = rec
	return why
}

// haul reads the mirror of a region.
func (n *regionNode) haul(lost *region) (out regions.Haul[uint64]) {
	m := n.g.mirrors[lost.i]
	for seq := uint64(1); seq <= m.upto; seq++ {
		if e := lost.log.entries[seq-1]; !m.missing[seq] {
			out.Note(e.key, seq, e.end, seq)
		}
	}
	out.Last = m.upto
	return out
}

func (n *regionNode) adoptCalls(p *regionProc, lost *region, rec regions.Record, haul regions.Haul[uint64]) {
	if n.w.bug != regionsAdoptNew {
		haul.Keep(rec)
	}
	var upto uint64
	for _, key := range sorted(haul.Calls) {
		seq, ok := n.adoptCall(p, lost, rec, key, haul.Calls[key])
		if !ok {
			return // it is unfinished
		}
		upto = max(upto, seq)
	}
	n.g.records[lost.name] = regions.Finish(n.g.records[lost.name], upto)
	n.w.note(n.qualified(), "has adopted %s", lost.name)
}

func (n *regionNode) adoptCall(p *regionProc, lost *region, rec regions.Record, key string, seqs []uint64) (uint64, bool) {
	var list []events.Envelope
	for _, seq := range seqs {
		env := lost.log.entries[seq-1].env
		if n.w.bug != regionsBareNames {
			env = regions.Adopted(env, lost.name)
		}
		list = append(list, env)
	}
	p.lock(key)
	defer p.unlock()
	fx := &homeEffects{p}
	for range 6 {
		_ = fx.CatchUp()
		c := &p.h.Call
		switch regions.Next(c.Gen, c.Live(), c.Owner, c.EndedAt, rec.At) {
		case regions.Import:
			if _, ok := n.g.log.append(key, c.Seq, true, list...); ok {
				n.w.stats.Calls++
				n.w.checkImported(n.g, lost, key, seqs)
			}
			p.pause(n.w.near())
		case regions.Rehome:
			_ = transact.TakeOver(fx, n.id, "region "+lost.name+" adopted") // if it failed, the next round sees
		case regions.Settled:
			return c.Seq, true
		}
	}
	return 0, false
}

// resume finishes adoptions that were broken off.
func (g *region) resume() {
	g.w.after(3*sec, g.resume)
	n := g.serving()
	if n == nil || g.w.bug == regionsNoResume {
		return
	}
	for _, name := range sorted(g.records) {
		rec := g.records[name]
		if !rec.Unfinished(g.name) || g.w.now-rec.At < 3*sec {
			continue
		}
		g.w.stats.Resumed++
		lost := g.w.regions[g.w.index(name)]
		n.spawn(func(p *regionProc) { n.adoptCalls(p, lost, rec, n.haul(lost)) })
	}
}

// checkImported: what was adopted is the call as it was, but for the names.
func (w *regionWorld) checkImported(g, lost *region, key string, seqs []uint64) {
	var home projection.Call
	for _, seq := range lost.log.seqs[key] {
		if seq <= seqs[len(seqs)-1] {
			env := lost.log.entries[seq-1].env
			home.ID = env.Call
			home.Apply(seq, env)
		}
	}
	here := *g.log.call(key)
	if !alike(home, here, lost.name) {
		w.fail("%s: adopted by %s, it is another one than %s had:\n%+v\n%+v", home.ID, g.name, lost.name, bare(here, lost.name), bare(home, lost.name))
	}
	if g.node(here.Owner) != nil {
		w.fail("%s: adopted by %s, it has %s for its owner, which has nothing of it", home.ID, g.name, here.Owner)
	}
	w.adopted = append(w.adopted, adoption{lost.i, g.i, key, home.First})
	for _, q := range w.regions {
		if q != g && q != lost && q.log.call(key).Live() {
			w.split[key] = true
		}
	}
}

// checkTaken: nobody adopts a region that a region hears which he has asked, and no two adopt one unless an operator had them
// pass each other over, and everybody who hears both.
func (w *regionWorld) checkTaken(by, lost *region, without []int, asked int64) {
	steady := func(a, b int) bool { return w.cut[a][b] == 0 && w.open[a][b] < asked-10*sec }
	for _, g := range w.regions {
		if g == by || g == lost || slices.Contains(without, g.i) {
			continue
		}
		if lost.up() != nil && lost.alive < asked-10*sec && steady(g.i, lost.i) && steady(lost.i, g.i) && w.loss == 0 {
			w.fail("%s adopts %s, which %s hears", by.name, lost.name, g.name)
		}
		if rec := g.records[lost.name]; rec.State == regions.Taken {
			w.fail("%s adopts %s, which %s has adopted", by.name, lost.name, g.name)
		}
	}
	for _, t := range w.taken {
		other := w.regions[t.by]
		if t.lost != lost.i || other == by || other.records[lost.name].State != regions.Taken {
			continue
		}
		for _, g := range w.regions {
			if g != by && g != other && g != lost && !slices.Contains(without, g.i) && !slices.Contains(t.without, g.i) {
				w.fail("%s adopts %s, which %s has adopted, and %s has promised it to both", by.name, lost.name, other.name, g.name)
			}
		}
		for _, key := range sorted(lost.log.calls) { // an operator has taken the risk
			w.split[key] = true
		}
	}
	w.taken = slices.DeleteFunc(w.taken, func(t taking) bool { return t.lost == lost.i && t.by == by.i }) // before it returned
	w.taken = append(w.taken, taking{lost.i, by.i, without})
}

// taking is a region that was taken by another one, as an operator has asked for.
type taking struct {
	lost, by int
	without  []int
}
