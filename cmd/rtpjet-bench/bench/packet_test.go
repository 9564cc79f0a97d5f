package bench

import (
	"bytes"
	"testing"
)

func TestPacketsAreToldApart(t *testing.T) {
	mine, other := newPacket(6, 160), newPacket(7, 160)
	if len(mine.bytes) != 172 {
		t.Fatalf("packet of %d bytes, want 172", len(mine.bytes))
	}
	mine.stamp(70000, 1234567890123)
	got := bytes.Clone(mine.bytes)
	mine.stamp(70001, 5) // the template goes on changing while the packet travels
	number, sent, v := check(got, &mine)
	if number != 70000 || sent != 1234567890123 || v != packetGood {
		t.Errorf("own packet: number %d, sent %d, verdict %d", number, sent, v)
	}
	if _, _, v := check(got, &other); v != packetForeign {
		t.Errorf("another leg's packet: verdict %d", v)
	}
	for i := range got {
		bad := bytes.Clone(got)
		bad[i] ^= 0x20
		if _, _, v := check(bad, &mine); v == packetGood && (i < offNumber || i >= offFiller) {
			t.Errorf("a packet with byte %d changed passes", i)
		}
	}
	for n := range got {
		if _, _, v := check(got[:n], &mine); v == packetGood {
			t.Errorf("a packet cut to %d bytes passes", n)
		}
	}
}

// TestPacketsOnTheWire holds the bytes of a packet: RFC 3550, section 5.1.
func TestPacketsOnTheWire(t *testing.T) {
	p := newPacket(6, 160)
	p.stamp(0x12345, 0x0102030405060708)
	want := []byte{
		0x80, 0, 0x23, 0x45, 0x00, 0xb6, 0x0b, 0x20, 0x52, 0, 0, 6, // version 2, PCMU, number, number*160, SSRC
		'r', 't', 'j', 'b', 0, 0, 0, 6, 0, 0, 0, 0, 0, 1, 0x23, 0x45, 1, 2, 3, 4, 5, 6, 7, 8,
	}
	if !bytes.HasPrefix(p.bytes, want) {
		t.Errorf("% x\nwant\n% x", p.bytes[:len(want)], want)
	}
}

func BenchmarkPacket(b *testing.B) {
	p := newPacket(6, 160)
	for i := range b.N {
		p.stamp(uint64(i), 5)
		_, _, _ = check(p.bytes, &p)
	}
}
