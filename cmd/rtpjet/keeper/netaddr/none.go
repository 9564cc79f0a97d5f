package netaddr

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
)

// None is the provider for addresses that the network moves: anycast, or a routing daemon of the machine. It changes nothing,
// and warns where an address is not on the machine, since its sockets cannot be bound then.
type None struct{ log *slog.Logger }

// OpenNone never fails.
func OpenNone(cfg Config) (*None, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &None{log: cfg.Log}, nil
}

// Prepare warns of addresses that are not there.
func (p *None) Prepare(ctx context.Context, addrs ...Address) error {
	return each(addrs, func(a Address) error {
		if err := a.Validate(); err != nil {
			return err
		}
		here, err := p.Check(ctx, a)
		if err == nil && !here {
			p.log.Warn("a floating address that the network moves is not on this machine; put it on a device, for example with "+
				"\"ip addr add "+a.host().String()+" dev lo\"", "address", a.Prefix.String(), "device", a.Device)
		}
		return err
	})
}

// Add only looks.
func (p *None) Add(ctx context.Context, addrs ...Address) error { return p.Prepare(ctx, addrs...) }

// Remove does nothing.
func (p *None) Remove(context.Context, ...Address) error { return nil }

// Renew does nothing.
func (p *None) Renew(context.Context, ...Address) error { return nil }

// Announce does nothing.
func (p *None) Announce(...Address) {}

// Sweep does nothing.
func (p *None) Sweep(context.Context, ...Address) error { return nil }

// Close does nothing.
func (p *None) Close() error { return nil }

// Check looks on all devices: the routing daemon's may be another one.
func (p *None) Check(_ context.Context, a Address) (bool, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return false, fmt.Errorf("list the devices of this machine: %w", err)
	}
	for _, d := range devices {
		addrs, err := d.Addrs()
		if err != nil {
			return false, fmt.Errorf("list the addresses of %s: %w", d.Name, err)
		}
		for _, other := range addrs {
			if p, err := netip.ParsePrefix(other.String()); err == nil && isHere(a.Addr(), p, d.Flags&net.FlagLoopback != 0) {
				return true, nil
			}
		}
	}
	return false, nil
}

// isHere says whether a device with the address of p has addr. All of a network on the loopback device is local, as in
// "ip addr add 198.51.100.0/24 dev lo".
func isHere(addr netip.Addr, p netip.Prefix, loopback bool) bool {
	return p.Addr() == addr || loopback && addr.Is4() && p.Contains(addr)
}
