package netaddr

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// What is sent to announce an address, as bytes; packet_linux.go puts the header of the link before it.

// Kinds of an ARP packet.
const (
	arpRequest = 1
	arpReply   = 2
)

// gratuitousARP says that addr is at mac: RFC 5227 §3 has it as a request ("ARP announcement"), and some devices listen to
// replies only. Linux takes a reply as gratuitous, and lets it overrule an entry that it has just confirmed, only if the
// target's hardware address is the sender's.
func gratuitousARP(kind uint16, mac net.HardwareAddr, addr netip.Addr) []byte {
	ip := addr.As4()
	b := make([]byte, 0, 28)
	b = binary.BigEndian.AppendUint16(b, 1)      // Ethernet
	b = binary.BigEndian.AppendUint16(b, 0x0800) // IPv4
	b = append(b, 6, 4)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = append(append(b, mac...), ip[:]...)
	if kind == arpReply {
		b = append(b, mac...)
	} else {
		b = append(b, 0, 0, 0, 0, 0, 0)
	}
	return append(b, ip[:]...)
}

// allNodes is where unsolicited advertisements go, and allNodesMAC its hardware address (RFC 2464 §7).
var (
	allNodes    = netip.IPv6LinkLocalAllNodes()
	allNodesMAC = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
	broadcast   = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

const (
	protoICMPv6             = 58
	icmpNeighborAdvert      = 136
	flagOverride            = 0x20000000
	optionTargetLinkAddress = 2
	ndpHopLimit             = 255 // receivers drop any other: it proves that no router was in between (RFC 4861 §7.1.2)
)

// unsolicitedNA is the IPv6 packet that says to all nodes of the link that addr is at mac, and that caches are to be
// overridden (RFC 4861 §7.2.6).
func unsolicitedNA(mac net.HardwareAddr, addr netip.Addr) []byte {
	src, dst := addr.As16(), allNodes.As16()
	body := []byte{icmpNeighborAdvert, 0, 0, 0}
	body = binary.BigEndian.AppendUint32(body, flagOverride)
	body = append(body, src[:]...)
	body = append(append(body, optionTargetLinkAddress, 1), mac...)
	binary.BigEndian.PutUint16(body[2:], checksumICMPv6(src, dst, body))

	b := make([]byte, 0, 40+len(body))
	b = binary.BigEndian.AppendUint32(b, 6<<28)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	b = append(b, protoICMPv6, ndpHopLimit)
	b = append(append(b, src[:]...), dst[:]...)
	return append(b, body...)
}

// checksumICMPv6 is the checksum of RFC 4443 §2.3; body is of even length.
func checksumICMPv6(src, dst [16]byte, body []byte) uint16 {
	sum := uint32(len(body)) + protoICMPv6
	for _, part := range [][]byte{src[:], dst[:], body} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// arpProbe asks who has addr without saying who asks, so that it changes nobody's table (RFC 5227 §1.1).
func arpProbe(mac net.HardwareAddr, addr netip.Addr) []byte {
	b := gratuitousARP(arpRequest, mac, addr)
	clear(b[14:18]) // the sender's address
	return b
}

const (
	icmpNeighborSolicit = 135
	solicitedNodePrefix = "ff02::1:ff00:0"
	neighborMessageSize = 24 // without options
	ipv6HeaderSize      = 40
	arpSize             = 28
	optionUnits         = 8
	offsetOfProtocol    = 6
)

// solicit asks who has addr, from the unspecified address (RFC 4862 §5.4.2), and where that goes.
func solicit(addr netip.Addr) (to net.HardwareAddr, packet []byte) {
	target := addr.As16()
	group := netip.MustParseAddr(solicitedNodePrefix).As16()
	copy(group[13:], target[13:])
	body := []byte{icmpNeighborSolicit, 0, 0, 0, 0, 0, 0, 0}
	body = append(body, target[:]...)
	binary.BigEndian.PutUint16(body[2:], checksumICMPv6([16]byte{}, group, body))
	b := make([]byte, 0, ipv6HeaderSize+len(body))
	b = binary.BigEndian.AppendUint32(b, 6<<28)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	b = append(b, protoICMPv6, ndpHopLimit)
	b = append(append(b, make([]byte, 16)...), group[:]...)
	return net.HardwareAddr{0x33, 0x33, group[12], group[13], group[14], group[15]}, append(b, body...)
}

// answers returns the hardware address of whoever says in a packet, ARP or IPv6, that it has addr; nil if nobody does.
func answers(b []byte, addr netip.Addr) net.HardwareAddr {
	if addr.Is4() {
		ip := addr.As4()
		if len(b) < arpSize || binary.BigEndian.Uint16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 || [4]byte(b[14:18]) != ip {
			return nil
		}
		return net.HardwareAddr(append([]byte(nil), b[8:14]...))
	}
	if len(b) < ipv6HeaderSize+neighborMessageSize || b[offsetOfProtocol] != protoICMPv6 || b[7] != ndpHopLimit {
		return nil
	}
	b = b[ipv6HeaderSize:]
	if b[0] != icmpNeighborAdvert || [16]byte(b[8:24]) != addr.As16() {
		return nil
	}
	for options := b[neighborMessageSize:]; len(options) >= optionUnits; {
		size := int(options[1]) * optionUnits
		if size == 0 || size > len(options) {
			break
		}
		if options[0] == optionTargetLinkAddress && size == optionUnits {
			return net.HardwareAddr(append([]byte(nil), options[2:8]...))
		}
		options = options[size:]
	}
	return net.HardwareAddr{0, 0, 0, 0, 0, 0} // somebody has it, and does not say where it is
}
