package ngserver

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// maxControl is room for the control messages of one datagram: packet information of either family with its header.
const maxControl = 64

// replyControl turns the control messages that came with a datagram into those for the reply, in place: the packet
// information, with the address that was asked as the source. The interface is left to routing, except for link-local
// addresses, which mean nothing without it. It returns nil if there is no packet information.
func replyControl(oob []byte) []byte {
	// struct cmsghdr: size_t len, int level, int type
	const header = unix.SizeofCmsghdr
	const levelAt = header - 8
	for len(oob) >= header {
		var size uint64
		if levelAt == 8 {
			size = binary.NativeEndian.Uint64(oob)
		} else {
			size = uint64(binary.NativeEndian.Uint32(oob))
		}
		level := binary.NativeEndian.Uint32(oob[levelAt:])
		kind := binary.NativeEndian.Uint32(oob[levelAt+4:])
		if size < header || size > uint64(len(oob)) {
			return nil
		}
		length := int(size)
		data := oob[header:length]
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: int ifindex, in_addr spec_dst (the local address, becomes the source), in_addr addr.
			clear(data[:4])
			return oob[:length]
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: in6_addr addr, unsigned ifindex.
			if linkLocal := data[0] == 0xfe && data[1]&0xc0 == 0x80; !linkLocal {
				clear(data[16:20])
			}
			return oob[:length]
		}
		oob = oob[min(unix.CmsgSpace(length-header), len(oob)):]
	}
	return nil
}
