package sim

// scenario is what a seed draws before it begins.
type scenario struct {
	nodes, calls int
	pairs        int  // of ports, on each node
	tightRoom    bool // nodes take three calls each
	loss         int  // thousandths of the messages
	skew         int64
	think        int64 // between two commands of a call, at most
	faults       int64 // between two faults, at most; 0: none
	length       int64 // of the time with faults
	dead         bool  // a minority that has crashed stays away
	keepEnded    int64 // how long the entries of an ended call stay; 0: for ever
	zones        bool  // nodes are in two zones
	talks        bool  // every other client negotiates
	outages      bool  // the log is away now and then
	serve        bool  // calls are served meanwhile
	garbled      bool  // some entries of the log cannot be read
}

func (w *world) drawScenario() scenario {
	s := scenario{
		nodes: int(w.between(3, 5)), calls: int(w.between(2, 7)), pairs: 200,
		loss: [...]int{0, 0, 5, 30, 100}[w.rng.IntN(5)], skew: [...]int64{0, 50 * ms, 2 * sec}[w.rng.IntN(3)],
		think: [...]int64{2 * ms, 200 * ms, 2 * sec}[w.rng.IntN(3)], faults: [...]int64{0, 600 * ms, 2 * sec, 2 * sec}[w.rng.IntN(4)],
		length: w.between(3*sec, 10*sec), dead: w.chance(300),
	}
	if w.chance(200) {
		s.pairs = int(w.between(8, 30))
	}
	s.tightRoom = w.chance(150)
	if w.chance(400) {
		s.keepEnded = sec + 2*s.skew
	}
	s.zones = w.seed%4 == 0 // not drawn, so that the other seeds are what they were before there were zones
	s.talks = w.seed%2 == 1
	s.serve, s.garbled = w.seed%4 == 2, w.seed%8 == 4
	s.outages = s.serve || w.seed%8 == 0
	return s
}

// faults breaks something now and then, and mends it later.
func (w *world) faults() {
	if w.calm || w.cfg.faults == 0 {
		return
	}
	w.after(w.between(10*ms, w.cfg.faults), w.faults)
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	d := w.between(5*ms, [...]int64{100 * ms, sec, 3 * sec}[w.rng.IntN(3)])
	switch w.rng.IntN(11) {
	case 0, 1:
		if !n.up {
			return
		}
		n.crash()
		n.dark = w.chance(300)
		inc := n.inc
		w.after(d, func() {
			if n.inc == inc {
				n.boot()
			}
		})
	case 2, 3:
		if n.up && !n.paused {
			w.trace.add(w.now, n.id, "is frozen for %d ms", d/ms)
			n.paused = true
			inc := n.inc
			w.after(d, func() { n.thaw(inc) })
		}
	case 4, 5:
		w.cut(n, true, false, d)
	case 6:
		w.cut(n, false, true, d)
	case 7:
		w.cut(n, true, true, d)
	case 8:
		n.move()
	case 9:
		n.draining = !n.draining
		w.trace.add(w.now, n.id, "draining: %v", n.draining)
	case 10:
		if n.serving && !n.paused {
			n.leave()
			inc := n.inc
			w.after(d, func() {
				if n.inc == inc {
					n.boot()
				}
			})
		}
	}
}

// thaw lets a frozen process run again: everything that waited for it happens at once.
func (n *node) thaw(inc int) {
	if n.inc != inc || !n.paused {
		return
	}
	n.w.trace.add(n.w.now, n.id, "runs again, %d things wait", len(n.frozen))
	n.paused = false
	n.hears = n.w.now
	waiting := n.frozen
	n.frozen = nil
	for _, f := range waiting {
		n.after(0, f)
	}
}

func (w *world) cut(n *node, nats, udp bool, d int64) {
	if nats && n.cutNATS || udp && n.cutUDP {
		return
	}
	w.trace.add(w.now, n.id, "is cut off for %d ms: NATS %v, UDP %v", d/ms, nats, udp)
	n.cutNATS, n.cutUDP = n.cutNATS || nats, n.cutUDP || udp
	w.after(d, func() { n.mend(nats, udp) })
}

func (n *node) mend(nats, udp bool) {
	n.cutNATS, n.cutUDP = n.cutNATS && !nats, n.cutUDP && !udp
	if nats {
		n.hears = n.w.now
	}
	if nats && n.up {
		n.w.trace.add(n.w.now, n.id, "has NATS again")
		n.after(0, n.wake)
		n.after(0, n.watchAll)
	}
}

// heal ends all faults. A minority may stay away.
func (w *world) heal() {
	w.calm = true
	w.trace.add(w.now, "", "all faults end")
	away := 0
	for _, n := range w.nodes {
		n.draining, n.deaf = false, 0
		n.wake()
		n.mend(n.cutNATS, n.cutUDP)
		n.thaw(n.inc)
		if !n.up && (!w.cfg.dead || 2*(away+1) >= len(w.nodes)) {
			n.boot()
		} else if !n.up {
			away++
			n.inc++ // nobody starts it any more
		}
	}
}
