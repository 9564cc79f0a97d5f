package relay

import (
	"testing"

	"github.com/pion/rtp"
)

func TestClassify(t *testing.T) {
	long := func(head ...byte) []byte { return append(head, make([]byte, 80-len(head))...) }
	for _, tt := range []struct {
		name string
		pkt  []byte
		want kind
	}{
		{"empty", nil, kindInvalid},
		{"seven bytes", long(0x80, 200)[:7], kindInvalid},
		{"shortest RTCP", long(0x80, 201)[:8], kindRTCP},
		{"shortest RTP", long(0x80, 0)[:12], kindRTP},
		{"RTP too short", long(0x80, 0)[:11], kindInvalid},
		{"RTP with all its CSRCs", long(0x8f, 0)[:72], kindRTP},
		{"RTP without some CSRCs", long(0x8f, 0)[:71], kindInvalid},
		{"payload type 63 with marker", long(0x80, 191), kindRTP},
		{"first RTCP", long(0x80, 192), kindRTCP},
		{"last RTCP", long(0x80, 223), kindRTCP},
		{"payload type 96 with marker", long(0x80, 224), kindRTP},
		{"version 1", long(0x40, 0), kindInvalid},
		{"version 3", long(0xc0, 0), kindInvalid},
		{"STUN", long(0, 1), kindInvalid},
		{"DTLS", long(22, 254), kindKeying},
		{"last DTLS", long(63, 254), kindKeying},
		{"TURN channel", long(64, 0), kindInvalid},
		{"ZRTP", long(0x10, 0, 0, 1, 'Z', 'R', 'T', 'P'), kindKeying},
		{"not ZRTP", long(0x10, 0, 0, 1, 'Z', 'R', 'T', 'Q'), kindInvalid},
	} {
		if got := classify(tt.pkt); got != tt.want {
			t.Errorf("%s: kind %d, want %d", tt.name, got, tt.want)
		}
	}
}

// FuzzClassify compares what is read from a header with pion's reading of it.
func FuzzClassify(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 'x'})
	f.Add([]byte{0x92, 0xe5, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, 'x'})
	f.Add([]byte{0x80, 200, 0, 1, 0, 0, 0, 2})
	f.Add([]byte("\x10\x00\x00\x01ZRTP"))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		k := classify(pkt)
		var h rtp.Header
		_, err := h.Unmarshal(pkt)
		if err == nil && h.Version == 2 && !isRTCP(pkt[1]) && k != kindRTP {
			t.Fatalf("kind %d of % x, which pion reads as %+v", k, pkt, h)
		}
		if k != kindRTP {
			return
		}
		if err != nil {
			// The extension is the receiver's business; without it pion must agree.
			bare := append([]byte(nil), pkt...)
			bare[0] &^= 0x10
			if _, err := h.Unmarshal(bare); err != nil {
				t.Fatalf("% x passed for RTP: %v", pkt, err)
			}
		}
		if payloadType(pkt) != h.PayloadType || sequence(pkt) != h.SequenceNumber ||
			timestamp(pkt) != h.Timestamp || source(pkt) != h.SSRC {
			t.Fatalf("% x: %d %d %d %d, pion reads %+v", pkt, payloadType(pkt), sequence(pkt), timestamp(pkt), source(pkt), h)
		}
	})
}

func TestPayloadTypes(t *testing.T) {
	set := newPayloadTypes([]uint8{0, 63, 64, 127, 128, 255})
	for pt := range uint8(128) {
		want := pt == 0 || pt == 63 || pt == 64 || pt == 127
		if set.has(pt) != want {
			t.Errorf("has(%d) = %v", pt, !want)
		}
	}
}

func TestPiercerIsRTP(t *testing.T) {
	var h rtp.Header
	if _, err := h.Unmarshal(piercer[:]); err != nil {
		t.Fatal(err)
	}
	if h.Version != 2 || h.PayloadType != 127 || h.SequenceNumber != 65535 || h.Timestamp != 0 || h.SSRC != 0 {
		t.Errorf("%+v", h)
	}
}
