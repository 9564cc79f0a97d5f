package relay

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// freebind lets a socket be bound to addr whether the machine has it or not.
func freebind(fd int, addr netip.Addr) error {
	if addr.Is4() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
}

// controlFreebind is freebind as net.ListenConfig wants it.
func controlFreebind(addr netip.Addr) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if fault := c.Control(func(fd uintptr) { err = freebind(int(fd), addr) }); fault != nil {
			return fault
		}
		return err
	}
}
