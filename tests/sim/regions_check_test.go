package sim

import (
	"reflect"

	"rtpjet/projection"
	"rtpjet/projection/regions"
)

// checkAge: a mirror is not older than the link says: it has all that the region had at that time.
func (n *regionNode) checkAge(g *region) {
	v := n.peers[g.i]
	age := v.link.Age(n.now())
	if age < 0 || n.w.now < g.awake {
		return // a node that was asleep says for a moment what it knew before
	}
	at := n.w.now - (age+1)*ms - 100*ms // what a node there had followed then
	for seq := v.next; seq <= uint64(len(g.log.entries)); seq++ {
		if e := g.log.entries[seq-1]; e.at < at-100*ms && !n.g.mirrors[g.i].missing[seq] {
			n.w.fail("%s says that its mirror of %s is %d ms old, and has not %d of %d ms ago", n.qualified(), g.name, age, seq, (n.w.now-e.at)/ms)
			return
		}
	}
}

// checkQuiet: everything is healed, and nothing has happened for a while.
func (w *regionWorld) checkQuiet() {
	live := map[string][]int{}
	for _, g := range w.regions {
		for _, key := range sorted(g.log.calls) {
			if g.log.calls[key].Live() {
				live[key] = append(live[key], g.i)
			}
		}
	}
	for _, a := range w.adopted {
		c := w.regions[a.from].log.call(a.key)
		if c.Live() && c.First == a.first && !w.regions[a.from].lost && !w.regions[a.by].lost {
			w.fail("%s: adopted by r%d, and it still lives in r%d", c.ID, a.by, a.from)
		}
	}
	for _, key := range sorted(live) {
		w.checkHome(key, live[key])
	}
	for _, g := range w.regions {
		if g.lost {
			continue
		}
		for _, key := range sorted(g.log.calls) {
			for _, n := range g.nodes {
				if h := n.held(key); h.Call.Seq != g.log.calls[key].Seq || !reflect.DeepEqual(&h.Call, g.log.calls[key]) {
					w.fail("%s has another %s than the log", n.qualified(), h.Call.ID)
				}
			}
		}
		for _, home := range w.regions {
			w.checkMirror(g, home)
		}
	}
}

// checkHome: a call lives in one region, and all nodes know which.
func (w *regionWorld) checkHome(key string, in []int) {
	if w.split[key] {
		return
	}
	var homes []int
	stale := map[int]bool{} // have a call that had ended at home when they adopted it, which their mirror did not show
	for _, i := range in {
		gone := w.regions[i].lost
		for _, a := range w.adopted {
			if a.key == key && a.by == i && w.regions[a.from].log.otherEnd(key, a.first) {
				gone, stale[i] = true, true
			}
		}
		if !gone {
			homes = append(homes, i)
		}
	}
	id := w.regions[in[0]].log.call(key).ID
	if len(homes) > 1 {
		w.fail("%s lives in %v", id, homes)
	}
	if len(homes) != 1 || len(homes)+len(stale) < len(in) { // what a region that is lost for good has is not known to all
		return
	}
	home := w.regions[homes[0]].name
	for _, g := range w.regions {
		for _, n := range g.nodes {
			if !n.serving || stale[g.i] {
				continue
			}
			is := n.route(key, true).Home
			if is == "" {
				is = g.name
			}
			if is != home && !w.regions[w.index(is)].lost { // of that one a mirror may show what has ended long ago
				v := n.peers[homes[0]]
				w.fail("%s is at home in %s, and %s takes it for one of %s: its mirror ends at %d of %d, records %+v", id, home, n.qualified(), is,
					v.next-1, len(w.regions[homes[0]].log.entries), n.known())
			}
		}
	}
}

// checkMirror: it has all that its home has, fold by fold, and each node knows which calls live there.
func (w *regionWorld) checkMirror(g, home *region) {
	if g == home || home.lost {
		return
	}
	m := g.mirrors[home.i]
	live := map[string]bool{}
	for _, key := range sorted(home.log.calls) {
		c := home.log.calls[key]
		live[key] = c.Live()
		if got := m.project(home, key); !reflect.DeepEqual(got, c) {
			w.fail("%s has another %s of %s in its mirror", g.name, c.ID, home.name)
			return
		}
	}
	for _, n := range g.nodes {
		v := n.peers[home.i]
		for _, key := range sorted(live) {
			if _, ok := v.seen[key]; ok != live[key] {
				w.fail("%s believes of %s in %s: lives %v", n.qualified(), home.log.call(key).ID, home.name, ok)
			}
		}
		if s := v.link.Status(n.now()); s.State != regions.Up || s.AgeMS > 3000 {
			w.fail("%s says when all is well that %s is %s, its mirror %d ms old", n.qualified(), home.name, s.State, s.AgeMS)
		}
	}
}

// checkKept: no call is ended for having been adopted that nobody has adopted.
func (l *regionLog) checkKept(key string, c *projection.Call) {
	for _, a := range l.g.w.adopted {
		if a.from == l.g.i && a.key == key && a.first == c.First {
			return
		}
	}
	for _, g := range l.g.w.regions { // a twin there is the call
		if g != l.g && g.log.call(key).Gen > 0 {
			return
		}
	}
	l.g.w.fail("%s ends in %s for having been adopted, and nobody has it", c.ID, l.g.name)
}
