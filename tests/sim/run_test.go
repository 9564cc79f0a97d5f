package sim

import (
	"rtpjet/ngserver/ng"
)

// simulate plays a seed to its end. The result has the first violation.
func simulate(seed uint64, b bug, full bool) *world {
	w := newWorld(seed, b)
	defer w.close()
	w.trace.full = full
	w.begin()
	w.runUntil(w.now+w.cfg.length, nil)
	w.finish()
	return w
}

func (w *world) begin() {
	for _, n := range w.nodes {
		n.boot()
	}
	w.runUntil(w.now+sec, func() bool {
		for _, n := range w.nodes {
			if !n.serving {
				return false
			}
		}
		return true
	})
	for i := range w.cfg.calls {
		s := w.newScript(i)
		w.calls = append(w.calls, s)
		w.after(w.between(0, w.cfg.think), s.step)
	}
	w.after(w.between(0, sec), w.faults)
	if w.cfg.outages {
		w.after(w.between(0, 2*sec), w.outage)
	}
	if w.cfg.garbled {
		w.after(w.between(0, 2*sec), w.garble)
	}
}

// finish heals everything, has every call asked for, and ends them all.
func (w *world) finish() {
	w.heal()
	w.runUntil(w.now+10*sec, func() bool {
		for _, s := range w.calls {
			if !s.over {
				return false
			}
		}
		return true
	})
	w.runUntil(w.now+3*sec, nil)
	w.runUntil(w.now+sec, w.idle) // a caretaker may end a call of a node that stays away just now
	if w.broken == nil {
		w.checkEqual()
	}
	w.everyCall("offer")
	w.runUntil(w.now+sec/2, nil)
	if w.broken == nil {
		w.checkOwned()
	}
	w.checkLevels()
	w.everyCall("delete")
	w.runUntil(w.now+bootRest+2*sec, nil)
	if w.broken == nil {
		w.checkEqual()
		w.checkFree()
		w.checkPublished()
		w.checkRerun()
		w.checkTwins()
	}
}

// idle tells whether nobody is at work on a call.
func (w *world) idle() bool {
	for _, n := range w.nodes {
		for _, h := range n.calls {
			if n.serving && (h.busy || h.inbox.Len() > 0 || h.Waiting()) {
				return false
			}
		}
	}
	return true
}

// everyCall sends a command to each live call and waits for the replies.
func (w *world) everyCall(step string) {
	left := 0
	for _, s := range w.calls {
		if !w.log.subject(s.key).call.Live() {
			continue
		}
		left++
		s.try(s.build(step), w.any(), 12, func(r reply) {
			left--
			owner := w.nodes[w.index(w.log.subject(s.key).call.Owner)]
			// An owner may have no port left. Who was told that before may end with a node that is no more.
			short := (r.reason == ng.ReasonOutOfPorts || s.full && r.reason == noReply) && owner.serving
			if !r.ok() && !short {
				w.fail("all is well, and %s of %s is answered with %q %q", step, s.id, r.reason, clip(r.raw))
			}
		})
	}
	if !w.runUntil(w.now+20*sec, func() bool { return left == 0 }) && w.broken == nil {
		w.fail("all is well, and %d commands get no reply", left)
	}
}
