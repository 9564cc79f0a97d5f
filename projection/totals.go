package projection

import (
	"cmp"
	"net/netip"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// Totals adds to an end when the call began, until when it lasted, and what its streams have received. stats tells of a local socket what it counted; false if it is
// not known.
func (c *Call) Totals(ev events.Ended, stats func(netip.AddrPort) (plan.Stats, bool)) events.Ended {
	ev.Created, ev.Until = c.Created, cmp.Or(ev.Until, c.Until)
	add := func(sum *events.Counters, local netip.AddrPort) (heard bool) { // RTCP has no sequence numbers, so nothing is lost of it
		st, ok := stats(local)
		if ok {
			sum.Packets += st.In.Packets
			sum.Bytes += st.In.Bytes
			sum.Errors += st.In.Errors
			ev.Lost += st.Received.Lost
		}
		return st.In.Packets > 0
	}
	// Sections pair by their position; how many sides of each were heard, and how many there are.
	type sides struct{ heard, all int }
	var sections []sides
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			if !m.Local.RTP.IsValid() {
				continue
			}
			for len(sections) <= i {
				sections = append(sections, sides{})
			}
			heard := add(&ev.RTP, m.Local.RTP)
			add(&ev.RTCP, m.Local.RTCP)
			for _, old := range m.Earlier {
				heard = add(&ev.RTP, old.Local.RTP) || heard
				add(&ev.RTCP, old.Local.RTCP)
			}
			sections[i].all++
			if heard {
				sections[i].heard++
			}
		}
	}
	for _, s := range sections {
		switch {
		case s.all == 0:
		case s.heard == 0:
			ev.ZeroWay++
		case s.heard == 1:
			ev.OneWay++
		}
	}
	return ev
}
