package sim

import (
	"fmt"

	"rtpjet/ngserver/ng"
	"rtpjet/projection/transact"
)

// regionClient sends the commands of one call-id, mostly to one region.
type regionClient struct {
	w    *regionWorld
	s    *script
	home int
	plan []string
	over bool
}

func (w *regionWorld) newClient(i int) *regionClient {
	id := fmt.Sprintf("call%d", i)
	c := &regionClient{w: w, home: w.rng.IntN(regionCount), s: &script{id: id, key: regionKey(id), srtp: w.chance(200), mux: w.chance(200)}}
	c.plan = []string{"offer", "answer"}
	for range w.between(1, 12) {
		c.plan = append(c.plan, [...][]string{
			{"hold", "answer"}, {"move", "answer"}, {"turn", "turned"}, {"block media", "unblock media"}, {"query"}, {"query"},
		}[w.rng.IntN(6)]...)
	}
	if w.chance(600) {
		c.plan = append(c.plan, "delete")
		if w.chance(300) {
			c.plan = append(c.plan, "offer", "answer", "move", "answer")
		}
	}
	return c
}

func (c *regionClient) step() {
	w := c.w
	if len(c.plan) == 0 || w.calm {
		c.over = true
		return
	}
	what := c.plan[0]
	c.plan = c.plan[1:]
	m := c.s.build(what)
	if what == "offer" && w.chance(50) { // a twin somewhere else
		c.send(c.s.build("offer"), w.rng.IntN(regionCount), func(reply) {})
	}
	c.try(m, c.region(), 4, func(reply) { w.after(w.between(0, 3*sec), c.step) })
	for w.chance(50) { // a copy
		w.after(w.between(0, 1500*ms), func() { c.send(m, c.region(), func(reply) {}) })
	}
}

// region is the one that the next command goes to.
func (c *regionClient) region() int {
	if c.w.chance(350) {
		return c.w.rng.IntN(regionCount)
	}
	return c.home
}

func (c *regionClient) send(m *message, to int, got func(reply)) {
	w := c.w
	w.after(w.near(), func() {
		n := w.regions[to].serving()
		if n == nil || !w.calm && w.chance(10) {
			return
		}
		n.receive(m, func(r reply) { w.after(w.near(), func() { got(r) }) })
	})
}

// try sends a command until there is a reply that is more than a temporary trouble.
func (c *regionClient) try(m *message, to, tries int, done func(reply)) {
	w, open := c.w, true
	again := func(m *message, r reply, d int64) {
		if tries == 0 {
			done(r)
			return
		}
		if w.chance(500) {
			to = w.rng.IntN(regionCount)
			if w.chance(300) {
				c.home = to
			}
		}
		w.after(d, func() { c.try(m, to, tries-1, done) })
	}
	c.send(m, to, func(r reply) {
		if !open {
			return
		}
		open = false
		switch r.reason {
		case reasonRegion, transact.ReasonLog, transact.ReasonSilent, ng.ReasonInternal, ng.ReasonSessionLimit:
			fresh := *m
			fresh.cookie = c.s.cookie()
			again(&fresh, r, w.between(0, 300*ms))
		default:
			done(r)
		}
	})
	w.after(clientTimeout, func() {
		if open {
			open = false
			again(m, reply{reason: noReply}, 0)
		}
	})
}
