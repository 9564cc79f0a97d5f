package projection

import (
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/relay/plan"
)

// speaks tells whether packets should come from a party in a section: it has said that it sends, and from where, and somebody
// who has answered wants to hear it. Who is to be removed has hung up, or was hung up on: neither speaks nor listens.
func (c *Call) speaks(p *events.Party, media int) bool {
	m := &p.Medias[media]
	if c.leaving(p.ID) || !IsRTP(m.Protocol) || m.Rejected || m.Hidden || !m.Local.RTP.IsValid() || !m.Remote.RTP.IsValid() ||
		m.Remote.RTP.Addr().IsUnspecified() || !m.Direction.Sends() {
		return false
	}
	return slices.ContainsFunc(c.Parties, func(q *events.Party) bool {
		if q == nil || q.ID == p.ID || c.leaving(q.ID) || media >= len(q.Medias) || !slices.Contains(q.Peers, p.ID) {
			return false
		}
		m := &q.Medias[media]
		return m.Remote.RTP.IsValid() && !m.Remote.RTP.Addr().IsUnspecified() && !m.Rejected && m.Direction.Receives()
	})
}

// DueSilence returns the event of a section that has been silent for limit, in µs, and that no event has noted; ok is false if
// there is none, and then next is when there may be one, in µs of Unix time. Nothing is said of what was before floor: the
// counters that stats has may have begun then.
func (c *Call) DueSilence(limit, floor int64, stats func(netip.AddrPort) (plan.Stats, bool), now int64) (ev events.LegSilent, next int64, ok bool) {
	next = now + limit
	if !c.Live() || limit <= 0 {
		return ev, next, false
	}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			if !c.speaks(p, i) {
				continue
			}
			st, _ := stats(m.Local.RTP)
			if noted := c.silence(p.ID, i); noted != nil && st.LastPacket <= noted.Since {
				continue
			}
			since := max(m.SignalAt, st.LastPacket, floor)
			if now-since < limit {
				next = min(next, since+limit)
				continue
			}
			return events.LegSilent{Party: p.ID, Media: i, Tag: p.Tag, Since: since, Packets: st.In.Packets}, now, true
		}
	}
	return ev, next, false
}

func (c *Call) silence(party, media int) *Silence {
	for i := range c.Silent {
		if s := &c.Silent[i]; s.Party == party && s.Media == media {
			return s
		}
	}
	return nil
}

// applySilent notes that a silence was told of. The list is copied: a reader may have the call as it was.
func (c *Call) applySilent(ev events.LegSilent) {
	if p := c.Party(ev.Party); p == nil || ev.Media < 0 || ev.Media >= len(p.Medias) {
		return
	}
	list := slices.DeleteFunc(slices.Clone(c.Silent), func(s Silence) bool { return s.Party == ev.Party && s.Media == ev.Media })
	c.Silent = append(list, Silence{ev.Party, ev.Media, ev.Since})
}

// forgetSilences forgets what was told of sections that nobody expects to hear any more: should they be expected again, their
// silence is news.
func (c *Call) forgetSilences() {
	if len(c.Silent) == 0 {
		return
	}
	c.Silent = slices.DeleteFunc(slices.Clone(c.Silent), func(s Silence) bool {
		p := c.Party(s.Party)
		return p == nil || s.Media >= len(p.Medias) || !c.speaks(p, s.Media)
	})
}
