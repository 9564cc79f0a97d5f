package ngserver

import (
	"encoding/binary"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// prepareFloating lets a socket be bound to an address that this machine does not have now, and has datagrams come with the
// time of their arrival.
func prepareFloating(network, _ string, c syscall.RawConn) (err error) {
	level, option := unix.IPPROTO_IP, unix.IP_FREEBIND
	if strings.HasSuffix(network, "6") {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
	}
	fault := c.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), level, option, 1); err == nil {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		}
	})
	if fault != nil {
		return fault
	}
	return err
}

// arrival returns when the datagram arrived that came with a control message, which is the only one of a floating socket.
func arrival(oob []byte) (at time.Time, ok bool) {
	header, data, _, err := unix.ParseOneSocketControlMessage(oob)
	if err != nil || header.Level != unix.SOL_SOCKET || header.Type != unix.SCM_TIMESTAMPNS {
		return at, false
	}
	switch len(data) { // struct timespec
	case 16:
		return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:]))), true
	case 8:
		return time.Unix(int64(int32(binary.NativeEndian.Uint32(data))), int64(binary.NativeEndian.Uint32(data[4:]))), true
	}
	return at, false
}
