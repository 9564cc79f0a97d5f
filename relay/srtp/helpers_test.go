package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"strings"
	"testing"

	"rtpjet/relay/plan"
)

func aeadOf(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// names are the suites in a fixed order.
func names() []string {
	var all []string
	for name := range suites {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// keysOf are some keys for a suite.
func keysOf(name string) *plan.SRTP {
	key, salt, _ := Lengths(name)
	return &plan.SRTP{Suite: name, Key: strings.Repeat("K3y!", 8)[:key], Salt: strings.Repeat("sal+", 4)[:salt]}
}

func sender(t testing.TB, p *plan.SRTP) *Sender {
	t.Helper()
	s, err := NewSender(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func receiver(t testing.TB, p *plan.SRTP) *Receiver {
	t.Helper()
	r, err := NewReceiver(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// voice is an RTP packet with 160 bytes of payload.
func voice(ssrc uint32, seq uint16) []byte {
	pkt := []byte{0x80, 0, byte(seq >> 8), byte(seq), 0, 0, 0, 0, byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)}
	return append(pkt, strings.Repeat("payload ", 20)...)
}

func report(ssrc uint32) []byte {
	pkt := []byte{0x81, 201, 0, 7, byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)}
	return append(pkt, "twenty-four bytes block."...)
}
