package netaddr

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Address is an address that the cluster owns, and the device that it is put on here: 10.0.0.100/24 on eth0.
type Address struct {
	Prefix netip.Prefix // the address itself, with the length of its network
	Device string
}

// Addr is the address without the length of its network.
func (a Address) Addr() netip.Addr { return a.Prefix.Addr() }

// String is 10.0.0.100/24@eth0, as in the options.
func (a Address) String() string { return a.Prefix.String() + "@" + a.Device }

// Parse reads what String writes.
func Parse(s string) (Address, error) {
	prefix, device, ok := strings.Cut(s, "@")
	if !ok {
		return Address{}, fmt.Errorf("read address %q: it needs a device, as in 10.0.0.100/24@eth0", s)
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return Address{}, fmt.Errorf("read address %q: it needs an address and the length of its network, as in 10.0.0.100/24@eth0: %w", s, err)
	}
	a := Address{Prefix: p, Device: device}
	return a, a.Validate()
}

// maxDevice is the longest name that Linux lets a device have.
const maxDevice = 15

// Validate says why this cannot be a floating address.
func (a Address) Validate() error {
	addr := a.Addr()
	switch {
	case !a.Prefix.IsValid():
		return errors.New("check address: it is empty")
	case addr.Is4In6():
		return fmt.Errorf("check address %s: write it as IPv4: %s", a, addr.Unmap())
	case addr.IsUnspecified(), addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("check address %s: it is not the address of one host", a)
	case addr.IsLinkLocalUnicast():
		return fmt.Errorf("check address %s: a link-local address is known on one link only, and calls cannot name it", a)
	case a.Device == "" || len(a.Device) > maxDevice || strings.ContainsAny(a.Device, "/@ \t\n\x00"):
		return fmt.Errorf("check address %s: %q is no name of a device", a, a.Device)
	}
	return nil
}

// host is the address as a network of its own: /32 or /128.
func (a Address) host() netip.Prefix { return netip.PrefixFrom(a.Addr(), a.Addr().BitLen()) }
