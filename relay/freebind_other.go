//go:build !linux

package relay

import (
	"net/netip"
	"syscall"
)

// controlFreebind does nothing: here a socket can only be bound to an address that the machine has.
func controlFreebind(netip.Addr) func(network, address string, c syscall.RawConn) error { return nil }
