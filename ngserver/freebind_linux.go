package ngserver

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// freebind lets a socket be bound to an address that this machine does not have now.
func freebind(network, _ string, c syscall.RawConn) (err error) {
	level, option := unix.IPPROTO_IP, unix.IP_FREEBIND
	if strings.HasSuffix(network, "6") {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
	}
	if fault := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }); fault != nil {
		return fault
	}
	return err
}
