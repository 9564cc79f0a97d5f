package projection

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// maxEarlier bounds the sockets kept for a party's earlier addresses: a phone that moves on every re-INVITE must not
// collect ports.
const maxEarlier = 3

// ports gives both sides of a section their sockets and notes where the sender wants its media. The receiver's sockets serve
// one remote address of a sender: another one gets sockets of its own, and the SDP that goes out says so.
func (d *mediaDecision) ports(sec *Section, m, o *events.Media) error {
	family := familyOf(sec.Remote.RTP.Addr())
	if d.Answer && m.Local.RTP.IsValid() {
		// The answerer has been told these sockets and will not be told others. Sharing one port frees the other.
		if m.Mux {
			m.Local.RTCP = netip.AddrPort{}
		}
	} else if err := d.side(m, d.Req.Direction[0], d.interfaces[0], family, sec); err != nil {
		return err
	}
	stayed := m.Remote.RTP.IsValid() && m.Remote.RTP.Addr() == sec.Remote.RTP.Addr()
	d.setRemote(m, o, sec.Remote)

	if !stayed && d.moved(sec, o) { // of two forks that answer in turn, neither has moved
		d.leave(o)
		d.comeBack(o, sec.Remote.RTP)
	}
	if err := d.side(o, d.Req.Direction[1], d.interfaces[1], d.receiverFamily(o, family), sec); err != nil {
		return err
	}
	if !sec.Remote.RTP.Addr().IsUnspecified() || !o.Serves.IsValid() {
		o.Serves = sec.Remote.RTP // a hold does not hide where the sender was
	}
	o.Told = true // the SDP that goes out now names it
	return nil
}

// receiverFamily is the family of our address towards the receiver: as asked for, else the one established with the
// receiver, else the sender's.
func (d *mediaDecision) receiverFamily(o *events.Media, sender string) string {
	switch {
	case d.Req.AddressFamily != "":
		return d.Req.AddressFamily
	case o.Local.RTP.IsValid():
		return familyOf(o.Local.RTP.Addr())
	case o.Remote.RTP.IsValid():
		return familyOf(o.Remote.RTP.Addr())
	}
	return sender
}

// moved tells whether the sender's address is another than the one that the receiver's sockets serve; another port of the same host
// is none. Latching keeps them all the same; it is the default with ICE and while the sender does not receive.
func (d *mediaDecision) moved(sec *Section, o *events.Media) bool {
	if !o.Local.RTP.IsValid() || !o.Serves.IsValid() || sameHost(sec.Remote.RTP, o.Serves) {
		return false
	}
	if d.Req.NoPortLatching {
		return true
	}
	return !d.Req.PortLatching && !sec.ICE && sec.Direction.Receives()
}

// sameHost compares addresses without their ports; one on hold may be that of anybody.
func sameHost(a, b netip.AddrPort) bool {
	return a.Addr().IsUnspecified() || b.Addr().IsUnspecified() || a.Addr() == b.Addr()
}

func sameRemote(a, b netip.AddrPort) bool {
	if a.Addr().IsUnspecified() || b.Addr().IsUnspecified() {
		return a.Port() == b.Port()
	}
	return a == b
}

// side makes sure that one side of a section has sockets on the right interface, in the right family and number. Where the command
// names no interface, a section keeps its own, and a new one gets that of the party's others.
func (d *mediaDecision) side(m *events.Media, name, others, family string, sec *Section) error {
	if name == "" {
		name = cmp.Or(m.Interface, others)
	}
	local, ok := d.res.Local(name, family)
	if !ok {
		return &Refusal{Reason: ng.ReasonOutOfPorts}
	}
	n := 1
	if sec.RTP && !m.Mux {
		n = 2
	}
	here := m.Local.RTP.IsValid() && m.Local.RTP.Addr() == local.Bind && (name == m.Interface || local.Interface == m.Interface)
	switch {
	case here && m.Mux:
		m.Local.RTCP = netip.AddrPort{} // shared from now on: the second socket is free again
		return nil
	case here && (n == 1 || m.Local.RTCP.IsValid()):
		return nil
	}
	got, err := d.res.Reserve(local.Bind, n)
	if err != nil {
		return &Refusal{Reason: ng.ReasonOutOfPorts, Err: err}
	}
	m.Interface = strings.Clone(local.Interface)
	m.Advertised = local.Advertised
	m.Local = events.Ports{RTP: got[0]}
	if n == 2 {
		m.Local.RTCP = got[1]
	}
	m.Told = false
	return nil
}

// leave keeps the present sockets for the day that the sender returns to the address that they serve.
func (d *mediaDecision) leave(o *events.Media) {
	e := events.Earlier{Interface: o.Interface, Advertised: o.Advertised, Local: o.Local, Remote: o.Serves}
	o.Earlier = append(slices.Clone(o.Earlier), e)
	if len(o.Earlier) > maxEarlier {
		o.Earlier = o.Earlier[1:]
	}
	o.Local, o.Serves = events.Ports{}, netip.AddrPort{}
}

func (d *mediaDecision) comeBack(o *events.Media, remote netip.AddrPort) {
	i := slices.IndexFunc(o.Earlier, func(e events.Earlier) bool {
		return sameHost(e.Remote, remote) && e.Interface == o.Interface && (o.Mux || e.Local.RTCP.IsValid())
	})
	if i >= 0 {
		e := o.Earlier[i]
		o.Earlier = slices.Delete(slices.Clone(o.Earlier), i, i+1)
		o.Advertised, o.Local, o.Serves = e.Advertised, e.Local, e.Remote
	}
}

// setRemote notes the address of the party's SDP; o is the other side of the section. What was learned holds only as long as
// the SDP says the same: a hold by address and the return from it are no change. After a change it is where the party was.
func (d *mediaDecision) setRemote(m, o *events.Media, remote events.Ports) {
	was := m.Remote.RTP
	if was.IsValid() && was.Addr().IsUnspecified() && o.Serves.IsValid() {
		was = o.Serves // where the party was before the hold
	}
	if !was.IsValid() || !sameRemote(was, remote.RTP) || d.elsewhere || d.reset {
		if learned := m.Learned; learned != (events.Ports{}) {
			m.Former = &learned
		}
		m.Learned, m.Confirmed = events.Ports{}, [2]bool{}
	}
	m.Remote = remote
	if m.Mux && d.Answer { // an offer may lead away from mux
		m.Remote.RTCP = netip.AddrPort{}
		m.Learned.RTCP = netip.AddrPort{}
	}
}

func familyOf(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "IP6"
	}
	return "IP4"
}

func cloneStrings(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.Clone(s)
	}
	return out
}
