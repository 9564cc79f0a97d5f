package projection

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// DecideTakeover gives a live call to another owner: each section that has sockets gets new ones from res, on the interface
// of the same name. The parties' own addresses, also the learned ones, stay; ours are told by the next SDP that goes to each.
// why is for people. On error (a *Refusal) the caller releases what was reserved.
func DecideTakeover(c *Call, owner, why string, res Resources, now int64) (events.TakenOver, error) {
	ev := events.TakenOver{Owner: owner, From: c.Owner, Epoch: c.Epoch + 1, Why: why}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		q := cloneParty(p)
		for i := range q.Medias {
			if err := rehouse(&q.Medias[i], res, now); err != nil {
				return events.TakenOver{}, err
			}
		}
		ev.Parties = append(ev.Parties, *q)
	}
	return ev, nil
}

// rehouse gives a section new sockets in place of those that it has.
func rehouse(m *events.Media, res Resources, now int64) error {
	m.Earlier = nil
	if !m.Local.RTP.IsValid() {
		return nil
	}
	local, ok := res.Local(m.Interface, familyOf(m.Local.RTP.Addr()))
	if !ok {
		return &Refusal{Reason: ng.ReasonOutOfPorts}
	}
	n := 1
	if m.Local.RTCP.IsValid() {
		n = 2
	}
	got, err := res.Reserve(local.Bind, n)
	if err != nil {
		return &Refusal{Reason: ng.ReasonOutOfPorts, Err: err}
	}
	m.Interface, m.Advertised = local.Interface, local.Advertised
	m.Local = events.Ports{RTP: got[0]}
	if n == 2 {
		m.Local.RTCP = got[1]
	}
	m.Told = false // what was believed stays so: a stranger must not get in before the party has come after
	m.Signal, m.SignalAt = m.Signal+1, now
	return nil
}

// Locals returns all sockets that the call uses, in a fixed order.
func (c *Call) Locals() []netip.AddrPort {
	if !c.Live() {
		return nil
	}
	var out []netip.AddrPort
	add := func(p events.Ports) {
		for _, a := range []netip.AddrPort{p.RTP, p.RTCP} {
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
			add(p.Medias[i].Local)
			for _, e := range p.Medias[i].Earlier {
				add(e.Local)
			}
		}
	}
	return out
}
