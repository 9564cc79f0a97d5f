//go:build !linux

package relay

import "net/netip"

// sockaddr is of use only where packets are sent by system calls of our own.
type sockaddr struct{}

func (*sockaddr) encode(remote, local netip.AddrPort) {}
