package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"rtpjet/relay/plan"
)

// suite is what a name of RFC 4568, RFC 6188 or RFC 7714 stands for.
type suite struct {
	key, salt int
	tag       int // bytes of the authentication tag of SRTP
	rtcpTag   int // and of SRTCP, which is never cut to 32 bits (RFC 4568 §6.2)
	null      bool
	aead      bool
	f8        bool
}

var suites = map[string]suite{
	"AES_CM_128_HMAC_SHA1_80": {key: 16, salt: 14, tag: 10, rtcpTag: 10},
	"AES_CM_128_HMAC_SHA1_32": {key: 16, salt: 14, tag: 4, rtcpTag: 10},
	"AES_192_CM_HMAC_SHA1_80": {key: 24, salt: 14, tag: 10, rtcpTag: 10},
	"AES_192_CM_HMAC_SHA1_32": {key: 24, salt: 14, tag: 4, rtcpTag: 10},
	"AES_256_CM_HMAC_SHA1_80": {key: 32, salt: 14, tag: 10, rtcpTag: 10},
	"AES_256_CM_HMAC_SHA1_32": {key: 32, salt: 14, tag: 4, rtcpTag: 10},
	"AEAD_AES_128_GCM":        {key: 16, salt: 12, tag: 16, rtcpTag: 16, aead: true},
	"AEAD_AES_256_GCM":        {key: 32, salt: 12, tag: 16, rtcpTag: 16, aead: true},
	"F8_128_HMAC_SHA1_80":     {key: 16, salt: 14, tag: 10, rtcpTag: 10, f8: true},
	"F8_128_HMAC_SHA1_32":     {key: 16, salt: 14, tag: 4, rtcpTag: 10, f8: true},
	"NULL_HMAC_SHA1_80":       {key: 16, salt: 14, tag: 10, rtcpTag: 10, null: true},
	"NULL_HMAC_SHA1_32":       {key: 16, salt: 14, tag: 4, rtcpTag: 10, null: true},
}

// Lengths returns how many bytes the master key and salt of a suite have, false if the suite is not known here.
func Lengths(name string) (key, salt int, ok bool) {
	s, ok := suites[name]
	return s.key, s.salt, ok
}

// maxMKI is the longest master key identifier (RFC 4568 §6.1).
const maxMKI = 128

// Overhead bounds by how much Protect makes a packet longer: SRTCP index, MKI and tag.
const Overhead = 4 + maxMKI + 16

// newTransform derives the session keys of p.
func newTransform(p *plan.SRTP) (transform, error) {
	s, ok := suites[p.Suite]
	switch {
	case !ok:
		return nil, fmt.Errorf("SRTP suite %q is not known", p.Suite)
	case len(p.Key) != s.key || len(p.Salt) != s.salt:
		// The text must not tell what the key is.
		return nil, fmt.Errorf("SRTP suite %s has a key of %d and a salt of %d bytes, not %d and %d",
			p.Suite, s.key, s.salt, len(p.Key), len(p.Salt))
	case len(p.MKI) > maxMKI:
		return nil, errors.New("SRTP master key identifier is too long")
	}
	if s.aead {
		return newGCM(s, p)
	}
	return newCM(s, p)
}

// Labels of key derivation (RFC 3711 §4.3.2), SRTP; those of SRTCP are higher by labelRTCP.
const (
	labelKey  = 0
	labelAuth = 1
	labelSalt = 2
	labelRTCP = 3
)

// derive fills out with a session key: the keystream of AES in counter mode under the master key, from the master salt with
// the label in its byte 7 (RFC 3711 §4.3.3, the key derivation rate is 0). A salt of 12 bytes is followed by zeros (RFC 7714
// §11).
func derive(master cipher.Block, salt string, label byte, out []byte) {
	var iv [aes.BlockSize]byte
	copy(iv[:], salt)
	iv[7] ^= label
	clear(out)
	cipher.NewCTR(master, iv[:]).XORKeyStream(out, out)
}

// session is what both transforms of a direction have: the keys of SRTP or those of SRTCP.
type session struct {
	block  cipher.Block
	masked cipher.Block // of the suites with f8, which encrypt the IV under another key; else nil
	auth   [20]byte
	salt   [14]byte
}

func newSession(s suite, p *plan.SRTP, labels byte) (*session, error) {
	master, err := aes.NewCipher([]byte(p.Key))
	if err != nil {
		return nil, err
	}
	ses := &session{}
	key := make([]byte, s.key)
	derive(master, p.Salt, labelKey+labels, key)
	if ses.block, err = aes.NewCipher(key); err != nil {
		return nil, err
	}
	derive(master, p.Salt, labelAuth+labels, ses.auth[:])
	derive(master, p.Salt, labelSalt+labels, ses.salt[:s.salt])
	if s.f8 {
		if ses.masked, err = maskedCipher(key, ses.salt[:s.salt]); err != nil {
			return nil, err
		}
	}
	return ses, nil
}

// transform protects single packets, given their index. dst and pkt do not overlap; header is the length of the part of an
// RTP packet that stays in the clear. An open that fails leaves nothing behind but what it has written to dst.
type transform interface {
	sealRTP(dst, pkt []byte, header int, index uint64) []byte
	openRTP(dst, pkt []byte, header int, index uint64) ([]byte, bool)
	sealRTCP(dst, pkt []byte, index uint32) []byte
	openRTCP(dst, pkt []byte) ([]byte, bool)
	// indexOf reads the index of an SRTCP packet, which is not authentic yet; false if the packet is too short.
	indexOf(pkt []byte) (uint32, bool)
}

// encryptedRTCP is the E bit before the SRTCP index.
const encryptedRTCP = 1 << 31

// rtcpClear is how much of an RTCP packet stays in the clear: the first header and SSRC.
const rtcpClear = 8
