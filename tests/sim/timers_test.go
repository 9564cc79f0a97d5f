package sim

import (
	"errors"
	"math"
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// orphanAfter is how long the calls of a node that is gone wait for a command.
const orphanAfter = 4 * sec

// timeouts of calls. Nothing sends media here.
var timeouts = projection.Timeouts{Offer: 9 * sec, Media: 60 * sec, Silent: 60 * sec}

// sweep ends calls whose time is over, and settles grants (node/sweep.go).
func (n *node) sweep() {
	n.after(sec, n.sweep)
	n.settle()
	for _, key := range slices.Clone(n.order) {
		h := n.calls[key]
		n.retire(h)
		if h.busy || !h.Call.Live() {
			continue
		}
		if ev := h.Due(n.wall(), n.care(h)); ev != nil {
			n.lock(key, ownTime, func(p *proc) { p.own(ev) })
		}
	}
}

// care is how a live call is looked after here.
func (n *node) care(h *held) replica.Care {
	if h.Call.Owner == n.id {
		return replica.Care{Carried: true, Stats: func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }}
	}
	since, gone := n.table.GoneSince(h.Call.Owner, n.w.now)
	if n.w.bug == bugOrphan {
		since, gone = n.w.now-orphanAfter, true
	}
	return replica.Care{Caretaker: gone && n.table.Caretaker(h.key, n.w.now), Gone: n.w.now - since}
}

// own appends an event that no command caused.
func (p *proc) own(ev events.Event) {
	c := &p.h.Call
	if end, ok := ev.(events.Ended); ok {
		p.afterOwn(transact.End(p, p.n.id, end))
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
	now := n.w.now
	if n.w.bug == bugSettleEarly {
		now = math.MaxInt64
	}
	for _, key := range n.grants.Due(now) {
		n.lock(key, ownTime, func(p *proc) {
			if n.w.bug == bugSettleEarly || p.h.CatchUp(p) == nil {
				n.bring(p.h)
				n.pool.release(n.grants.Settle(key, now))
			}
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
		if h := n.calls[key]; h.Call.Live() && h.Call.Owner == n.id && !h.busy && len(h.Call.Locals()) > 0 {
			mine = append(mine, h)
		}
	}
	if len(mine) == 0 {
		return
	}
	h := mine[n.w.rng.IntN(len(mine))]
	locals := h.Call.Locals()
	party, media, rtcp, ok := h.Call.Endpoint(locals[n.w.rng.IntN(len(locals))])
	if !ok {
		return
	}
	ev := events.EndpointLearned{
		Party: party, Media: media, RTCP: rtcp, Signal: h.Call.Party(party).Medias[media].Signal, Confirmed: true,
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(party + 1)}), uint16(n.w.between(1024, 65535))),
	}
	n.lock(h.key, ownTime, func(p *proc) {
		if c := &p.h.Call; c.Live() && c.Owner == n.id {
			p.own(ev)
		}
	})
}

// move has an operator ask a node to take a call over.
func (n *node) move() {
	if !n.serving || len(n.order) == 0 {
		return
	}
	key := n.order[n.w.rng.IntN(len(n.order))]
	n.lock(key, commandTime, func(p *proc) {
		if p.h.Call.Live() && p.h.Call.Owner != n.id {
			n.w.trace.add(n.w.now, n.id, "%s: is asked to take it over from %s", n.w.short(key), p.h.Call.Owner)
			p.afterOwn(transact.TakeOver(p, n.id, transact.WhyAsked))
		}
	})
}
