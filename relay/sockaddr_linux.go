package relay

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockaddr is a socket address in the bytes that Linux takes (struct sockaddr_in, sockaddr_in6), ready for every packet.
type sockaddr struct {
	bytes [unix.SizeofSockaddrInet6]byte
	size  uint8
}

// Offsets in both forms: family 0, port 2 (network order). IPv4: address 4. IPv6: flow 4, address 8, scope 24.
const (
	sockaddrPort  = 2
	sockaddrAddr4 = 4
	sockaddrAddr6 = 8
	sockaddrScope = 24
)

// encode sets the address to remote; a link-local remote is on the link of local.
func (sa *sockaddr) encode(remote, local netip.AddrPort) {
	*sa = sockaddr{}
	binary.BigEndian.PutUint16(sa.bytes[sockaddrPort:], remote.Port())
	if remote.Addr().Is4() {
		sa.size = unix.SizeofSockaddrInet4
		binary.NativeEndian.PutUint16(sa.bytes[:], unix.AF_INET)
		ip := remote.Addr().As4()
		copy(sa.bytes[sockaddrAddr4:], ip[:])
		return
	}
	sa.size = unix.SizeofSockaddrInet6
	binary.NativeEndian.PutUint16(sa.bytes[:], unix.AF_INET6)
	ip := remote.Addr().As16()
	copy(sa.bytes[sockaddrAddr6:], ip[:])
	if remote.Addr().IsLinkLocalUnicast() {
		binary.NativeEndian.PutUint32(sa.bytes[sockaddrScope:], scopeID(local.Addr().Zone()))
	}
}

// decode returns the address, without a zone.
func (sa *sockaddr) decode() netip.AddrPort {
	port := binary.BigEndian.Uint16(sa.bytes[sockaddrPort:])
	if binary.NativeEndian.Uint16(sa.bytes[:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(sa.bytes[sockaddrAddr4:])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(sa.bytes[sockaddrAddr6:])), port)
}
