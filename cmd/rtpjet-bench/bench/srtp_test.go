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
		m, err := readMedia(string(phoneSDP(at, sdpOptions{crypto: s.cryptoValue(e[1].key)})))
		if err != nil || !m.secured {
			t.Fatalf("%+v, %v", m, err)
		}
		if err := e[0].answered(m.crypto); err != nil {
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
			template := newPacket(7, 160)
			plain := template.bytes
			for number := range uint64(70_000) { // over a wrap
				template.stamp(number, int64(number))
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
	good := "1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40)
	for _, c := range []struct {
		crypto string
		fine   bool
	}{
		{good, true},
		{good + "|2^31|1:1", true},
		{"", false},
		{"1", false},
		{strings.TrimSuffix(good, "A"), false},
		{strings.Replace(good, "_80", "_32", 1), false},
		{strings.Replace(good, "inline:", "", 1), false},
		{strings.Replace(good, "AAA", "A*A", 1), false},
	} {
		key, err := s.keyIn(c.crypto)
		if (err == nil) != c.fine || c.fine && len(key) != 30 {
			t.Errorf("%q: % x, %v", c.crypto, key, err)
		}
	}
}
