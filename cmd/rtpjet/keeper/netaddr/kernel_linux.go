package netaddr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// link is the device's entry, looked up if need be. It is called under mu.
func (p *Netlink) link(device string) (link, error) {
	if l, ok := p.links[device]; ok {
		return l, nil
	}
	err := p.lookUp(device)
	return p.links[device], err
}

// lookUp asks the kernel for a device. It is called under mu.
func (p *Netlink) lookUp(device string) error {
	found, err := p.kernel.LinkByName(device)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing || errors.Is(err, unix.ENODEV) {
		delete(p.links, device)
		return fmt.Errorf("find the device %s: %w (there are %s): name one of these behind the @, or bring it up before rtpjet",
			device, unix.ENODEV, p.devices())
	}
	if err != nil {
		return fmt.Errorf("find the device %s: %w", device, err)
	}
	attrs := found.Attrs()
	l := link{name: device, index: attrs.Index}
	if attrs.RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP|unix.IFF_POINTOPOINT) == 0 {
		l.mac = attrs.HardwareAddr
	}
	p.links[device] = l
	return nil
}

// devices lists those of this machine for an error.
func (p *Netlink) devices() string {
	all, err := p.kernel.LinkList()
	if err != nil || len(all) == 0 {
		return "none that can be listed"
	}
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = l.Attrs().Name
	}
	return strings.Join(names, ", ")
}

// awaitLocal waits until the kernel receives packets for a new IPv6 address. It enters the route that says so from a work queue
// of its own, some time after it has acknowledged the address, and drops what arrives in between. It is called under mu.
func (p *Netlink) awaitLocal(ctx context.Context, a Address) error {
	if !a.Addr().Is6() {
		return nil
	}
	const limit = time.Second
	for began := time.Now(); ; time.Sleep(20 * time.Microsecond) {
		routes, err := p.kernel.RouteGet(a.Addr().AsSlice())
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return nil
		}
		now := time.Now()
		if late := mayAct(ctx, now); late != nil {
			return fmt.Errorf("add %s: it took too long: %w", a, late)
		}
		if now.Sub(began) > limit {
			return errors.Join(fmt.Errorf("add %s: the device has it, and packets for it do not arrive after %s, see \"ip -6 route get %s\"",
				a, limit, a.Addr()), err)
		}
	}
}

// addresses asks for all addresses of the machine. A list that changed meanwhile is asked for again.
func (p *Netlink) addresses() ([]netlink.Addr, error) {
	for try := 0; ; try++ {
		all, err := p.kernel.AddrList(nil, netlink.FAMILY_ALL)
		if err == nil || errors.Is(err, netlink.ErrDumpInterrupted) && try == 3 {
			return all, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list the addresses of this machine: %w", err)
		}
	}
}

// find looks for an address on a device in a list.
func find(a Address, index int, present []netlink.Addr) *netlink.Addr {
	for i, b := range present {
		if b.LinkIndex == index && a.Addr() == prefixOf(b).Addr() {
			return &present[i]
		}
	}
	return nil
}

// formOf decides how the address is put on its device. One that is there stays as it is. Where another address of the device
// is in the same network, it is a network of its own and gets no route: with the length of the network it would be a
// secondary address, which goes when the first one goes, or become the first one and take the others with it; and the route
// to the network, which both would share, would in IPv6 get the short lifetime of this one. Otherwise the route is needed,
// since nothing else says that the network is on this link.
func formOf(a Address, index int, present []netlink.Addr) (f form, found bool, err error) {
	if b := find(a, index, present); b != nil {
		return form{bits: prefixOf(*b).Bits(), noRoute: b.Flags&unix.IFA_F_NOPREFIXROUTE != 0}, true, ownedByOthers(a, b)
	}
	for _, b := range present {
		if b.LinkIndex == index && prefixOf(b).Contains(a.Addr()) {
			return form{bits: a.host().Bits(), noRoute: true}, false, nil
		}
	}
	return form{bits: a.Prefix.Bits()}, false, nil
}

// ownedByOthers refuses an address that has no lifetime, or a long one: the machine's own configuration has it, or a DHCP
// server gave it, and removing it could cut the machine off.
func ownedByOthers(a Address, b *netlink.Addr) error {
	if b.Flags&unix.IFA_F_PERMANENT == 0 && time.Duration(b.ValidLft)*time.Second <= maxLifetime {
		return nil
	}
	return fmt.Errorf("take %s: %w: a floating address must be in no machine's own configuration; take it out of that and run "+
		"\"ip addr del %s dev %s\", or name another address", a, ErrForeign, b.IPNet, a.Device)
}

// explain makes the kernel's number a sentence.
func explain(verb string, a Address, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s %s: %w: run rtpjet as root, or give it CAP_NET_ADMIN", verb, a, err)
	case errors.Is(err, unix.EACCES) && a.Addr().Is6():
		return fmt.Errorf("%s %s: %w: IPv6 is switched off on the device, see \"sysctl net.ipv6.conf.%s.disable_ipv6\"", verb, a, err, a.Device)
	case errors.Is(err, unix.EOPNOTSUPP) && a.Addr().Is6():
		return fmt.Errorf("%s %s: %w: this machine has no IPv6", verb, a, err)
	}
	return fmt.Errorf("%s %s: %w", verb, a, err)
}

// prefixOf is the kernel's address in our words.
func prefixOf(b netlink.Addr) netip.Prefix {
	addr, _ := netip.AddrFromSlice(b.IP)
	bits, _ := b.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
