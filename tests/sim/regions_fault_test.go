package sim

// faults breaks something between regions or in one, and mends it later.
func (w *regionWorld) faults() {
	if w.calm {
		return
	}
	w.after(w.between(100*ms, 2*sec), w.faults)
	a, b := w.regions[w.rng.IntN(regionCount)], w.regions[w.rng.IntN(regionCount)]
	d := w.between(500*ms, 8*sec)
	switch w.rng.IntN(12) {
	case 0, 1:
		if a != b {
			w.note(a.name, "is cut off from %s for %d ms", b.name, d/ms)
			w.ways(d, [2]int{a.i, b.i}, [2]int{b.i, a.i})
		}
	case 2:
		if a != b {
			w.note(a.name, "is not heard by %s for %d ms", b.name, d/ms)
			w.ways(d, [2]int{a.i, b.i})
		}
	case 3, 4:
		d += w.between(0, 10*sec)
		w.note(a.name, "is cut off from all for %d ms", d/ms)
		for i := range regionCount {
			if i != a.i {
				w.ways(d, [2]int{a.i, i}, [2]int{i, a.i})
			}
		}
	case 5:
		d += w.between(3*sec, 6*sec)
		w.note(a.name, "is lost for %d ms", d/ms)
		for _, n := range a.nodes {
			n.kill()
			w.after(d+w.between(0, sec), n.boot)
		}
	case 6:
		if w.chance(100) {
			w.note(a.name, "is lost for good")
			a.lost = true
			for _, n := range a.nodes {
				n.kill()
			}
		}
	case 7:
		n := a.nodes[w.rng.IntN(len(a.nodes))]
		w.note(n.qualified(), "sleeps for %d ms", d/ms)
		n.sleep(d)
		a.awake = max(a.awake, w.now+d+5*sec)
	default:
		n := a.nodes[w.rng.IntN(len(a.nodes))]
		n.kill()
		w.after(d/2, n.boot)
	}
}

// quarrel has two regions adopt a third one that is lost, while they do not hear each other; the others hear both.
func (w *regionWorld) quarrel() {
	if w.calm {
		return
	}
	w.after(w.between(6*sec, 12*sec), w.quarrel)
	list := w.rng.Perm(regionCount)[:3]
	lost, a, b := w.regions[list[0]], w.regions[list[1]], w.regions[list[2]]
	w.note(lost.name, "is lost, and %s and %s are cut off from each other", a.name, b.name)
	d := w.between(8*sec, 10*sec)
	for _, n := range lost.nodes {
		n.kill()
		w.after(d+w.between(0, sec), n.boot)
	}
	w.ways(d, [2]int{a.i, b.i}, [2]int{b.i, a.i})
	at := w.between(5*sec, 7*sec)
	w.after(at, func() { w.adoptAt(a, lost, 1000) })
	w.after(at+w.between(0, sec), func() { w.adoptAt(b, lost, 1000) })
}

// ways cuts ways between regions for some time.
func (w *regionWorld) ways(d int64, list ...[2]int) {
	for _, way := range list {
		w.block(way[0], way[1], 1)
		w.after(d, func() { w.block(way[0], way[1], -1) })
	}
}

// operators adopt regions, that are lost and that are not.
func (w *regionWorld) operators() {
	if w.calm {
		return
	}
	w.after(w.between(500*ms, 2*sec), w.operators)
	lost := w.regions[w.rng.IntN(regionCount)]
	for i := range w.regions { // rather one that is in trouble
		if g := w.regions[(lost.i+i)%regionCount]; g.up() == nil || w.cut[g.i][(g.i+1)%regionCount] > 0 && w.cut[g.i][(g.i+5)%regionCount] > 0 {
			lost = g
			break
		}
	}
	by := w.regions[w.rng.IntN(regionCount)]
	w.adoptAt(by, lost, 600)
	if w.chance(300) {
		w.adoptAt(w.regions[w.rng.IntN(regionCount)], lost, 600)
	}
}

// adoptAt has an operator ask for an adoption; in so many cases of a thousand he has those passed over that do not answer.
func (w *regionWorld) adoptAt(by, lost *region, pass int) {
	n := by.serving()
	if n == nil || by == lost {
		return
	}
	var without []int
	if w.chance(pass) {
		for i, v := range n.peers {
			if i != by.i && i != lost.i && !v.link.Reachable(n.now()) {
				without = append(without, i)
			}
		}
	}
	n.spawn(func(p *regionProc) {
		if why := n.adopt(p, lost, without); why != "" {
			w.stats.Refused++
			w.note(n.qualified(), "does not adopt %s: %s", lost.name, why)
		}
	})
	if w.chance(200) {
		d := w.between(0, 800*ms)
		w.after(d, n.kill)
		w.after(d+w.between(sec, 3*sec), n.boot)
	}
}

// heal ends the time of faults.
func (w *regionWorld) heal() {
	w.calm = true
	for i := range regionCount {
		for j := range regionCount {
			for w.cut[i][j] > 0 {
				w.block(i, j, -1)
			}
		}
	}
	for _, g := range w.regions {
		for _, n := range g.nodes {
			w.after(w.between(0, sec), n.boot)
		}
	}
}
