package netaddr

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The packets here are written by hand from the figures of the RFCs, field by field, and their checksums worked out on paper:
// what is sent and what is read is held against them, and not against a second encoder.

// packet reads hexadecimal digits in words of any length.
func packet(words ...string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(words, ""), " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

var (
	vector4   = netip.MustParseAddr("192.0.2.100")
	vector6   = netip.MustParseAddr("2001:db8::100")
	vectorMAC = net.HardwareAddr{2, 0, 0, 0xab, 0xcd, 0xef}
)

const (
	ethernetIPv4 = "0001 0800 06 04 " // hardware, protocol, and how long their addresses are (RFC 826)
	macWords     = "0200 00ab cdef "
	ip4Words     = "c000 0264 "
	ip6Words     = "2001 0db8 0000 0000 0000 0000 0000 0100 "
	allNodesIP   = "ff02 0000 0000 0000 0000 0000 0000 0001 "
	nobody       = "0000 0000 0000 "
)

func TestVectors(t *testing.T) {
	solicitTo, solicitation := solicit(vector6)
	for _, test := range []struct {
		name      string
		got, want []byte
	}{
		// RFC 5227 §2.3: sender and target are the address, the operation is a request.
		{"announcement", gratuitousARP(arpRequest, vectorMAC, vector4), packet(ethernetIPv4, "0001", macWords, ip4Words, nobody, ip4Words)},
		{"reply", gratuitousARP(arpReply, vectorMAC, vector4), packet(ethernetIPv4, "0002", macWords, ip4Words, macWords, ip4Words)},
		// RFC 5227 §1.1: the sender's address is zero.
		{"probe", arpProbe(vectorMAC, vector4), packet(ethernetIPv4, "0001", macWords, "0000 0000", nobody, ip4Words)},
		// RFC 4861 §4.4: override and neither router nor solicited, one option of one unit.
		{"advertisement", unsolicitedNA(vectorMAC, vector6), packet("6000 0000 0020 3a ff", ip6Words, allNodesIP,
			"88 00 2893 2000 0000", ip6Words, "02 01", macWords)},
		// RFC 4862 §5.4.2: from the unspecified address to the solicited-node group, and no option.
		{"solicitation", solicitation, packet("6000 0000 0018 3a ff", strings.Repeat("0000", 8), "ff02 0000 0000 0000 0000 0001 ff00 0100",
			"87 00 4aef 0000 0000", ip6Words)},
		{"where a solicitation goes", solicitTo, packet("3333 ff00 0100")},
		{"where an advertisement goes", allNodesMAC, packet("3333 0000 0001")},
	} {
		if !bytes.Equal(test.got, test.want) {
			t.Errorf("%s:\n%x, want\n%x", test.name, test.got, test.want)
		}
	}
}

// TestChecksum verifies as a receiver does: the sum over all, the checksum among it, is all ones.
func TestChecksum(t *testing.T) {
	for _, test := range []struct {
		name string
		addr string
		mac  net.HardwareAddr
	}{
		{"plain", "2001:db8::100", vectorMAC},
		{"many carries", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", net.HardwareAddr{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"few bits", "2000::", net.HardwareAddr{0, 0, 0, 0, 0, 1}},
	} {
		_, asked := solicit(netip.MustParseAddr(test.addr))
		for kind, b := range map[string][]byte{"advertisement": unsolicitedNA(test.mac, netip.MustParseAddr(test.addr)), "solicitation": asked} {
			if length := int(binary.BigEndian.Uint16(b[4:])); length != len(b)-40 {
				t.Errorf("%s, %s: the header says %d bytes of %d", test.name, kind, length, len(b)-40)
			}
			sum := uint64(len(b)-40) + 58
			for at := 8; at < len(b); at += 2 {
				sum += uint64(b[at])<<8 | uint64(b[at+1])
			}
			if sum%0xffff != 0 {
				t.Errorf("%s, %s: the sum is %#x, no multiple of 0xffff", test.name, kind, sum)
			}
		}
	}
}

// advert is a solicited answer (RFC 4861 §4.4) with these options; nobody who reads it looks at its checksum.
func advert(options ...string) []byte {
	option := packet(options...)
	header := binary.BigEndian.AppendUint16(packet("6000 0000"), uint16(24+len(option)))
	return slices.Concat(header, packet("3a ff", ip6Words, allNodesIP, "88 00 0000 6000 0000", ip6Words), option)
}

// changed is b with the byte at an offset set.
func changed(b []byte, at int, to byte) []byte {
	b = slices.Clone(b)
	b[at] = to
	return b
}

// TestAnswers is about what does and does not say that somebody has an address.
func TestAnswers(t *testing.T) {
	reply := packet(ethernetIPv4, "0002", macWords, ip4Words, "0200 0000 0001", "c000 0201")
	request := packet(ethernetIPv4, "0001", macWords, ip4Words, nobody, "c000 0201")
	good := advert("02 01", macWords)
	somewhere := net.HardwareAddr{0, 0, 0, 0, 0, 0}
	for _, test := range []struct {
		name string
		b    []byte
		addr netip.Addr
		want net.HardwareAddr
	}{
		{"an ARP reply", reply, vector4, vectorMAC},
		{"an ARP reply that Ethernet has padded", append(slices.Clone(reply), make([]byte, 18)...), vector4, vectorMAC},
		{"an ARP request from the address (RFC 5227 §2.1.1)", request, vector4, vectorMAC},
		{"an ARP request for the address", packet(ethernetIPv4, "0001", macWords, "c000 0201", nobody, ip4Words), vector4, nil},
		{"an ARP reply of another host", reply, netip.MustParseAddr("192.0.2.101"), nil},
		{"an ARP reply that is cut", reply[:27], vector4, nil},
		{"ARP of another protocol", changed(reply, 2, 0x86), vector4, nil},
		{"ARP with longer hardware addresses", changed(reply, 4, 8), vector4, nil},
		{"ARP with longer addresses", changed(reply, 5, 16), vector4, nil},
		{"no packet", nil, vector4, nil},

		{"an advertisement", good, vector6, vectorMAC},
		{"another option first", advert("0e 02", strings.Repeat("00", 14), "02 01", macWords), vector6, vectorMAC},
		{"another option behind", advert("02 01", macWords, "0e 01", nobody), vector6, vectorMAC},
		{"no option", advert(), vector6, somewhere},
		{"the sender's hardware address alone", advert("01 01", macWords), vector6, somewhere},
		{"a hardware address of 14 bytes", advert("02 02", strings.Repeat("11", 14)), vector6, somewhere},
		{"an option that is cut", advert("02 02", macWords), vector6, somewhere},
		{"less than an option", advert("02 01 0200"), vector6, somewhere},
		{"an advertisement of another host", good, netip.MustParseAddr("2001:db8::101"), nil},
		{"an advertisement that is cut", good[:63], vector6, nil},
		{"a solicitation", changed(good, 40, 135), vector6, nil},
		{"UDP", changed(good, 6, 17), vector6, nil},
		{"one that a router forwarded (RFC 4861 §7.1.2)", changed(good, 7, 254), vector6, nil},
		{"no IPv6 packet", nil, vector6, nil},
	} {
		before := slices.Clone(test.b)
		got := answers(test.b, test.addr)
		if !bytes.Equal(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		// The buffer of the next packet must not change the answer to this one.
		clear(test.b)
		if !bytes.Equal(got, test.want) {
			t.Errorf("%s: the answer is part of the packet", test.name)
		}
		copy(test.b, before)
	}
}

// FuzzAnnouncements: whoever has an address and says so is heard, wherever that is and whatever follows in the frame.
func FuzzAnnouncements(f *testing.F) {
	f.Add([]byte{192, 0, 2, 100}, []byte(vectorMAC), []byte(nil))
	f.Add(vector6.AsSlice(), []byte(vectorMAC), make([]byte, 18))
	f.Fuzz(func(t *testing.T, ip, mac, padding []byte) {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || len(mac) != 6 {
			return
		}
		said := [][]byte{unsolicitedNA(mac, addr)}
		_, asked := solicit(addr)
		if addr.Is4() {
			said = [][]byte{gratuitousARP(arpRequest, mac, addr), gratuitousARP(arpReply, mac, addr)}
			asked = arpProbe(mac, addr)
		}
		for _, b := range said {
			if got := answers(append(b, padding...), addr); !bytes.Equal(got, mac) {
				t.Errorf("%s at %x: %x is read as %v", addr, mac, b, got)
			}
		}
		if got := answers(asked, addr); got != nil && !addr.IsUnspecified() {
			t.Errorf("%s: the question %x is read as the answer %v", addr, asked, got)
		}
	})
}
