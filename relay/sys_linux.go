package relay

import (
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the packet path are made raw: they never block (the sockets are non-blocking), so the scheduler need
// not be told of them. Waiting for packets does block and goes through the scheduler.

// recvFrom reads one datagram from fd into buf and its source into from.
func recvFrom(fd int, buf []byte, from *sockaddr) (int, unix.Errno) {
	size := uint32(len(from.bytes))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0,
		uintptr(unsafe.Pointer(&from.bytes[0])), uintptr(unsafe.Pointer(&size)))
	return int(n), errno
}

// sendTo sends one datagram.
func sendTo(fd int, pkt []byte, to *sockaddr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(pkt))), uintptr(len(pkt)), 0,
		uintptr(unsafe.Pointer(&to.bytes[0])), uintptr(to.size))
	return errno
}

// epollWait waits for at most ms milliseconds, for ever if negative.
func epollWait(epfd int, events []unix.EpollEvent, ms int) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// clearError takes the pending error off a socket, which would else be reported again and again.
func clearError(fd int) { _, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR) }

// openUDP returns a non-blocking UDP socket bound to local, which the machine need not have if it is floating.
func openUDP(local netip.AddrPort, floating bool, rcvbuf int) (fd int, err error) {
	family := unix.AF_INET
	if !local.Addr().Is4() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if floating {
		err = freebind(fd, local.Addr())
	}
	if err == nil {
		err = bindUDP(fd, family, local, rcvbuf)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func bindUDP(fd, family int, local netip.AddrPort, rcvbuf int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvbuf); err != nil {
		return err
	}
	if family == unix.AF_INET {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(local.Port()), Addr: local.Addr().As4()})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet6{
		Port: int(local.Port()), Addr: local.Addr().As16(), ZoneId: scopeID(local.Addr().Zone()),
	})
}

// scopeID is the number of the interface that an IPv6 zone names, 0 if there is none.
func scopeID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}

// setTOS sets the TOS byte or traffic class of a socket.
func setTOS(fd int, local netip.Addr, tos uint8) error {
	if local.Is4() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(tos))
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(tos))
}
