package bench

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

// pair returns both ends of a leg's SRTP.
func pair(t *testing.T, s *suite) (phone, server *secured) {
	t.Helper()
	ends := [2]*secured{}
	for i := range ends {
		var err error
		if ends[i], err = newSecured(s, 172); err != nil {
			t.Fatal(err)
		}
	}
	phone, server = ends[0], ends[1]
	at := netip.MustParseAddrPort("192.0.2.1:4000")
	for _, e := range [][2]*secured{{phone, server}, {server, phone}} {
		sdp := appendSDP(nil, at, sdpOptions{crypto: s.cryptoLine(e[1].key)})
		if !bytes.Contains(sdp, []byte("m=audio 4000 RTP/SAVP 0 ")) {
			t.Fatalf("no SAVP in %s", sdp)
		}
		if err := e[0].answered(sdp); err != nil {
			t.Fatal(err)
		}
	}
	return phone, server
}

func TestSecuredPacketsComeOutAsTheyWent(t *testing.T) {
	for i := range suites {
		s := &suites[i]
		t.Run(s.name, func(t *testing.T) {
			phone, server := pair(t, s)
			plain := newPacket(7, 160)
			for number := range uint64(70_000) { // over a wrap
				stamp(plain, number, int64(number))
				sealed := phone.seal(plain)
				if len(sealed) != len(plain)+s.tag || bytes.Equal(sealed[rtpHeader:len(plain)], plain[rtpHeader:]) {
					t.Fatalf("packet %d of %d bytes was sealed as % x", number, len(plain), sealed)
				}
				if got := server.open(sealed); !bytes.Equal(got, plain) {
					t.Fatalf("packet %d came out as % x", number, got)
				}
			}
			sealed := bytes.Clone(phone.seal(plain))
			sealed[40] ^= 1
			if got := server.open(sealed); got != nil {
				t.Errorf("a forged packet came out as % x", got)
			}
			if n := testing.AllocsPerRun(100, func() { server.open(phone.seal(plain)) }); n != 0 {
				t.Errorf("%v allocations a packet", n)
			}
		})
	}
}

func TestKeysOfAnswersAreChecked(t *testing.T) {
	s := &suites[0]
	good := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40)
	for _, c := range []struct {
		sdp  string
		fine bool
	}{
		{good, true},
		{"v=0\r\n" + good + "|2^31|1:1\r\na=sendrecv\r\n", true},
		{"", false},
		{"a=crypto:1\r\n", false},
		{strings.TrimSuffix(good, "A"), false},
		{strings.Replace(good, "_80", "_32", 1), false},
		{strings.Replace(good, "inline:", "", 1), false},
		{strings.Replace(good, "AAA", "A*A", 1), false},
	} {
		key, err := s.keyIn([]byte(c.sdp))
		if (err == nil) != c.fine || c.fine && len(key) != 30 {
			t.Errorf("%q: % x, %v", c.sdp, key, err)
		}
	}
}
