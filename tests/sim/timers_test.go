package sim

import (
	"errors"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// orphanAfter is how long the calls of a node that is gone wait for a command.
const orphanAfter = 4 * sec

// timeouts of calls. Nothing sends media here.
var timeouts = projection.Timeouts{Offer: 9 * sec, Media: 60 * sec, Silent: 60 * sec}

// sweep ends calls whose time is over, and settles grants (app/sweep.go).
func (n *node) sweep() {
	n.after(sec, n.sweep)
	n.settle()
	for _, key := range slices.Clone(n.order) {
		h := n.calls[key]
		n.retire(h)
		if h.busy || !h.call.Live() {
			continue
		}
		if h.call.Owner == n.id {
			if ev := n.due(&h.call); ev != nil {
				n.lock(key, ownTime, func(p *proc) { p.own(ev) })
			}
			continue
		}
		since, gone := n.table.GoneSince(h.call.Owner, n.w.now)
		if gone && n.w.now-since >= orphanAfter && n.table.Caretaker(key, n.w.now) {
			n.lock(key, ownTime, func(p *proc) {
				if p.h.call.Live() && n.judge(p.h.call.Owner) == members.Gone {
					p.afterOwn(transact.End(p, n.id, events.Ended{Reason: events.ReasonOrphaned}))
				}
			})
		}
	}
}

func (n *node) due(c *projection.Call) events.Event {
	if ev := projection.DecideDue(c, n.wall()); ev != nil {
		return ev
	}
	if reason, over := c.Timeout(timeouts, func(netip.AddrPort) int64 { return 0 }, n.wall()); over {
		return events.Ended{Reason: reason}
	}
	return nil
}

// own appends an event that no command caused.
func (p *proc) own(ev events.Event) {
	c := &p.h.call
	if !c.Live() || c.Owner != p.n.id {
		return
	}
	p.afterOwn(p.Append(events.Envelope{Call: c.ID, Gen: c.Gen, Node: p.n.id, At: p.Now(), Event: ev}))
}

func (p *proc) afterOwn(err error) {
	if errors.Is(err, transact.ErrConflict) {
		_ = p.CatchUp() // if it cannot be read now, the stream brings it
	}
}

// settle asks the log about the sockets whose time is over, and gives back those that no event names.
func (n *node) settle() {
	var due []grant
	n.grants = slices.DeleteFunc(n.grants, func(g grant) bool {
		if over := g.until <= n.w.now; over {
			due = append(due, g)
			return true
		}
		return false
	})
	for _, g := range due {
		n.lock(g.key, ownTime, func(p *proc) {
			if err := p.CatchUp(); err != nil {
				g.until = n.w.now + sec/2
				n.grants = append(n.grants, g)
				return
			}
			n.pool.release(g.ports) // but for those that a call has adopted meanwhile
		})
	}
}

// learn has the relay learn an address of a party now and then.
func (n *node) learn() {
	n.after(n.w.between(300*ms, 2*sec), n.learn)
	if n.w.calm {
		return
	}
	var mine []*held
	for _, key := range n.order {
		if h := n.calls[key]; h.call.Live() && h.call.Owner == n.id && !h.busy && len(h.call.Locals()) > 0 {
			mine = append(mine, h)
		}
	}
	if len(mine) == 0 {
		return
	}
	h := mine[n.w.rng.IntN(len(mine))]
	locals := h.call.Locals()
	party, media, rtcp, ok := h.call.Endpoint(locals[n.w.rng.IntN(len(locals))])
	if !ok {
		return
	}
	ev := events.EndpointLearned{
		Party: party, Media: media, RTCP: rtcp, Signal: h.call.Party(party).Medias[media].Signal, Confirmed: true,
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(party + 1)}), uint16(n.w.between(1024, 65535))),
	}
	n.lock(h.key, ownTime, func(p *proc) { p.own(ev) })
}

// move has an operator ask a node to take a call over.
func (n *node) move() {
	if !n.serving || len(n.order) == 0 {
		return
	}
	key := n.order[n.w.rng.IntN(len(n.order))]
	n.lock(key, commandTime, func(p *proc) {
		if p.h.call.Live() && p.h.call.Owner != n.id {
			n.w.trace.add(n.w.now, n.id, "%s: is asked to take it over from %s", n.w.short(key), p.h.call.Owner)
			p.afterOwn(transact.TakeOver(p, n.id, transact.WhyAsked))
		}
	})
}
