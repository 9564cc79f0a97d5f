package netaddr

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel asks for each IPv4 packet whether its source is still an address of the machine, and lets a socket that is bound
// to a removed one send nothing. For IPv6 it asks when the socket is bound, and never again. So a removed IPv6 address is
// also barred, by a rule of the policy routing for packets that begin on this machine, until it is added again or the
// provider is closed: "from ADDRESS iif lo prohibit".

// barPriority is before all rules that an operator is likely to have, and after the table of local addresses.
const barPriority = 1

func barRule(a Address) *netlink.Rule {
	r := netlink.NewRule()
	r.Family = netlink.FAMILY_V6
	r.Priority = barPriority
	r.Src = ipNet(a.host())
	r.IifName = "lo"
	r.Type = unix.RTN_PROHIBIT
	return r
}

// bar keeps the sockets of an IPv6 address from sending. It is called under mu.
func (p *Netlink) bar(a Address) error {
	if !a.Addr().Is6() {
		return nil
	}
	p.barred[a.Addr()] = true
	err := p.kernel.RuleAdd(barRule(a))
	if err == nil || errors.Is(err, unix.EEXIST) {
		return nil
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		p.log.Warn("this kernel has no policy routing for IPv6: sockets of a removed address can go on sending", "address", a.Addr().String())
		return nil
	}
	return explain("bar the sockets of", a, err)
}

// unbar lets them send again. It is called under mu.
func (p *Netlink) unbar(a Address) error {
	if !a.Addr().Is6() {
		return nil
	}
	delete(p.barred, a.Addr())
	err := p.kernel.RuleDel(barRule(a))
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	return explain("free the sockets of", a, err)
}

// unbarAll leaves no rule behind. It is called under mu.
func (p *Netlink) unbarAll() error {
	var errs []error
	for addr := range p.barred {
		a := Address{}
		a.Prefix, _ = addr.Prefix(addr.BitLen())
		if err := p.unbar(a); err != nil {
			errs = append(errs, fmt.Errorf("close the provider: %w", err))
		}
	}
	return errors.Join(errs...)
}
