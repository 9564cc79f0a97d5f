package projection

import (
	"net/netip"

	"rtpjet/events"
)

// Timeouts are the four timers of a call, in µs; 0 switches one off (docs/ng.md, "Learning and timers").
type Timeouts struct{ Media, Silent, Offer, Final int64 }

// signalled is when a section was signalled last, in µs of Unix time. An offer that waits for its answer counts, too, though it changes no
// section.
func (c *Call) signalled(m *events.Media) int64 {
	if m.Proposed == 0 && len(c.Proposals) > 0 {
		return max(m.SignalAt, c.Proposals[len(c.Proposals)-1].At)
	}
	return m.SignalAt
}

// Timeout tells whether the call has outlived its timers, and which. last returns the time of the last packet received on
// a local socket, in µs of Unix time, or 0.
//
// A stream is in one of three classes: the peer should be sending (Media), its address is not known yet (Offer), or nothing
// is expected from it (Silent). A call lives while any stream of the first two is fresh; the third counts only if there is
// none of the first. Signalling refreshes a stream like a packet does. Final counts from the call's creation.
//
// A call that was over before, as a delete has said, was deleted, whatever its streams do.
func (c *Call) Timeout(t Timeouts, last func(netip.AddrPort) int64, now int64) (events.Reason, bool) {
	if !c.Live() {
		return "", false
	}
	why, over := c.timeout(t, last, now)
	if over && c.Until != 0 {
		why = events.ReasonDeleted
	}
	return why, over
}

func (c *Call) timeout(t Timeouts, last func(netip.AddrPort) int64, now int64) (events.Reason, bool) {
	if t.Final > 0 && now-c.Created >= t.Final {
		return events.ReasonFinalTimeout, true
	}
	var expected, unknown, silent, fresh, freshSilent bool
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			class, limit := classOf(m, t)
			at := c.signalled(m)
			for _, l := range []netip.AddrPort{m.Local.RTP, m.Local.RTCP} {
				if l.IsValid() {
					at = max(at, last(l))
				}
			}
			alive := limit == 0 || now-at < limit
			switch class {
			case ClassMedia:
				expected = true
				fresh = fresh || alive
			case ClassOffer:
				unknown = true
				fresh = fresh || alive
			case ClassSilent:
				silent = true
				freshSilent = freshSilent || alive
			}
		}
	}
	switch {
	case fresh:
		return "", false
	case unknown: // a side never answered
		return events.ReasonOfferTimeout, true
	case expected:
		return events.ReasonTimeout, true
	case freshSilent:
		return "", false
	case silent:
		return events.ReasonSilentTimeout, true
	}
	// A call that never had a section.
	if t.Offer == 0 || now-c.LastSignal < t.Offer {
		return "", false
	}
	return events.ReasonOfferTimeout, true
}
