package netaddr

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

var testMAC = net.HardwareAddr{2, 0, 0, 0xab, 0xcd, 0xef}

// TestGratuitousARP has mdlayher/arp read what is sent.
func TestGratuitousARP(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.100")
	for _, kind := range []uint16{arpRequest, arpReply} {
		var p arp.Packet
		if err := p.UnmarshalBinary(gratuitousARP(kind, testMAC, addr)); err != nil {
			t.Fatal(err)
		}
		if uint16(p.Operation) != kind || p.SenderIP != addr || p.TargetIP != addr || !bytes.Equal(p.SenderHardwareAddr, testMAC) {
			t.Errorf("%+v", p)
		}
		// RFC 5227 §2.3: an announcement's target is ignored, and zero; Linux wants it to be the sender's in a reply.
		want := net.HardwareAddr{0, 0, 0, 0, 0, 0}
		if kind == arpReply {
			want = testMAC
		}
		if !bytes.Equal(p.TargetHardwareAddr, want) {
			t.Errorf("target %s", p.TargetHardwareAddr)
		}
	}
}

// TestUnsolicitedNA has mdlayher/ndp write the same message.
func TestUnsolicitedNA(t *testing.T) {
	for _, addr := range []netip.Addr{netip.MustParseAddr("2001:db8::100"), netip.MustParseAddr("fd98:ffff:ffff:ffff:ffff:ffff:ffff:ffff")} {
		b := unsolicitedNA(testMAC, addr)
		message := &ndp.NeighborAdvertisement{
			Override: true, TargetAddress: addr,
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: testMAC}},
		}
		want, err := ndp.MarshalMessageChecksum(message, addr, netip.MustParseAddr("ff02::1"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b[40:], want) {
			t.Errorf("%s:\n%x, want\n%x", addr, b[40:], want)
		}
		header := []byte{0x60, 0, 0, 0, 0, byte(len(want)), 58, 255}
		src, dst := addr.As16(), netip.MustParseAddr("ff02::1").As16()
		header = append(append(header, src[:]...), dst[:]...)
		if !bytes.Equal(b[:40], header) {
			t.Errorf("header %x, want %x", b[:40], header)
		}
	}
}

// TestQuestions has mdlayher/arp and ndp read what is asked, and nobody take it for an answer.
func TestQuestions(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::12:3456")
	var p arp.Packet
	ask := arpProbe(testMAC, four)
	if err := p.UnmarshalBinary(ask); err != nil {
		t.Fatal(err)
	}
	if p.Operation != arp.OperationRequest || p.SenderIP != netip.IPv4Unspecified() || p.TargetIP != four {
		t.Errorf("%+v", p)
	}
	if mac := answers(ask, four); mac != nil {
		t.Errorf("%v answers", mac)
	}
	to, packet := solicit(six)
	group := netip.MustParseAddr("ff02::1:ff12:3456")
	want, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: six}, netip.IPv6Unspecified(), group)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packet[40:], want) || to.String() != "33:33:ff:12:34:56" || netip.AddrFrom16([16]byte(packet[24:40])) != group {
		t.Errorf("to %s: %x, want %x", to, packet, want)
	}
	if mac := answers(packet, six); mac != nil {
		t.Errorf("%v answers", mac)
	}
	if mac := answers(unsolicitedNA(testMAC, six), six); !bytes.Equal(mac, testMAC) {
		t.Errorf("%v answers", mac)
	}
}
