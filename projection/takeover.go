package projection

import (
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// DecideTakeover gives a live call to another owner: each section that has sockets gets new ones from res, on the interface
// of the same name. The parties' own addresses, also the learned ones, stay; ours are told by the next SDP that goes to each.
// why is for people. On error (a *Refusal) the caller releases what was reserved.
func DecideTakeover(c *Call, owner, why string, res Resources, now int64) (events.TakenOver, error) {
	ev := events.TakenOver{Owner: owner, From: c.Owner, Epoch: c.Epoch + 1, Why: why}
	h := relocation{res: res, now: now, moved: make(map[netip.AddrPort]netip.AddrPort)}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		q := cloneParty(p)
		for i := range q.Medias {
			if err := h.section(&q.Medias[i]); err != nil {
				return events.TakenOver{}, err
			}
		}
		ev.Parties = append(ev.Parties, *q)
	}
	ev.Proposals = append(ev.Proposals, c.Proposals...) // nil if there are none, as a reader has it
	for i := range ev.Proposals {
		p := &ev.Proposals[i]
		p.FromMedias, p.ToMedias = slices.Clone(p.FromMedias), slices.Clone(p.ToMedias)
		for _, list := range [][]events.Media{p.FromMedias, p.ToMedias} {
			for k := range list {
				if err := h.proposed(&list[k], p.Pending); err != nil {
					return events.TakenOver{}, err
				}
			}
		}
	}
	return ev, nil
}

// relocation gives sections new sockets, at the new owner, in place of those that they have.
type relocation struct {
	res   Resources
	now   int64
	moved map[netip.AddrPort]netip.AddrPort // from the sockets of the owner before to those of this one
}

// section moves a section of a party.
func (h *relocation) section(m *events.Media) error {
	m.Earlier = nil
	if !m.Local.RTP.IsValid() {
		return nil
	}
	if err := h.sockets(m); err != nil {
		return err
	}
	m.Told = false // what was believed stays so: a stranger must not get in before the party has come after
	m.Signal, m.SignalAt = m.Signal+1, h.now
	return nil
}

// proposed moves a section of an offer, to the sockets of the party's section if the two were the same. The sockets of one that
// is not pending are gone.
func (h *relocation) proposed(m *events.Media, pending bool) error {
	m.Earlier, m.Told = nil, false
	rtp, shared := h.moved[m.Local.RTP]
	switch {
	case !m.Local.RTP.IsValid():
		return nil
	case !pending && shared: // an RTCP socket that the section does not share is gone (rtcp-mux)
		local, _ := h.res.Local(m.Interface, familyOf(m.Local.RTP.Addr()))
		m.Interface, m.Advertised = local.Interface, local.Advertised
		m.Local = events.Ports{RTP: rtp, RTCP: h.moved[m.Local.RTCP]}
		return nil
	case !pending:
		m.Local = events.Ports{}
		return nil
	}
	return h.sockets(m)
}

// sockets gives a section the new sockets for those that it has.
func (h *relocation) sockets(m *events.Media) error {
	local, ok := h.res.Local(m.Interface, familyOf(m.Local.RTP.Addr()))
	if !ok {
		return &Refusal{Reason: ng.ReasonOutOfPorts}
	}
	m.Interface, m.Advertised = local.Interface, local.Advertised
	if rtp, ok := h.moved[m.Local.RTP]; ok && (!m.Local.RTCP.IsValid() || h.moved[m.Local.RTCP].IsValid()) {
		m.Local = events.Ports{RTP: rtp, RTCP: h.moved[m.Local.RTCP]}
		return nil
	}
	n := 1
	if m.Local.RTCP.IsValid() {
		n = 2
	}
	got, err := h.res.Reserve(local.Bind, n)
	if err != nil {
		return &Refusal{Reason: ng.ReasonOutOfPorts, Err: err}
	}
	was := m.Local
	h.moved[was.RTP] = got[0]
	m.Local = events.Ports{RTP: got[0]}
	if n == 2 {
		h.moved[was.RTCP], m.Local.RTCP = got[1], got[1]
	}
	return nil
}

// Locals returns all sockets that the call uses, in a fixed order.
func (c *Call) Locals() []netip.AddrPort {
	if !c.Live() {
		return nil
	}
	var out []netip.AddrPort
	add := func(p events.Ports) {
		for _, a := range [...]netip.AddrPort{p.RTP, p.RTCP} {
			if a.IsValid() {
				out = append(out, a)
			}
		}
	}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		for i := range p.Medias {
			eachPorts(&p.Medias[i], add)
		}
		c.eachProposed(p.ID, func(_ int, m *events.Media) { eachPorts(m, add) })
	}
	if len(c.Proposals) == 0 {
		return out
	}
	seen := make(map[netip.AddrPort]bool, len(out)) // an offer names most of what is in force
	return slices.DeleteFunc(out, func(a netip.AddrPort) bool {
		again := seen[a]
		seen[a] = true
		return again
	})
}
