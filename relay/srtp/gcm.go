package srtp

import (
	"crypto/cipher"
	"encoding/binary"

	"rtpjet/relay/plan"
)

// gcm is AES in Galois/counter mode (RFC 7714).
//
// An SRTP packet is header, encrypted payload, tag, MKI; an SRTCP packet is header, encrypted rest, tag, index, MKI. What
// is not encrypted is authenticated all the same, so an unauthenticated session does not exist here: that parameter is
// ignored (RFC 7714 §14.2 forbids to signal it).
type gcm struct {
	rtp, rtcp gcmSession
	mki       []byte
}

type gcmSession struct {
	aead  cipher.AEAD
	salt  [12]byte
	clear bool // no encryption

	// Scratch, here because arguments of interface methods escape.
	nonce [12]byte
	known [rtcpClear + 4]byte
	tag   [gcmTag]byte
}

const gcmTag = 16

func newGCM(s suite, p *plan.SRTP) (transform, error) {
	rtp, err := newGCMSession(s, p, 0)
	if err != nil {
		return nil, err
	}
	rtcp, err := newGCMSession(s, p, labelRTCP)
	if err != nil {
		return nil, err
	}
	rtp.clear, rtcp.clear = p.PlainRTP, p.PlainRTCP
	return &gcm{rtp: rtp, rtcp: rtcp, mki: []byte(p.MKI)}, nil
}

func newGCMSession(s suite, p *plan.SRTP, labels byte) (gcmSession, error) {
	ses, err := newSession(s, p, labels)
	if err != nil {
		return gcmSession{}, err
	}
	aead, err := cipher.NewGCM(ses.block)
	if err != nil {
		return gcmSession{}, err
	}
	return gcmSession{aead: aead, salt: [12]byte(ses.salt[:12])}, nil
}

// setNonce makes the nonce of a packet (RFC 7714 §8.1, §9.1): two zeros, SSRC, the index in 48 bits, under the salt.
func (s *gcmSession) setNonce(ssrc uint32, index uint64) {
	s.nonce = [12]byte{}
	binary.BigEndian.PutUint64(s.nonce[4:], index)
	binary.BigEndian.PutUint32(s.nonce[2:], ssrc)
	for i := range s.nonce {
		s.nonce[i] ^= s.salt[i]
	}
}

func (g *gcm) sealRTP(dst, pkt []byte, header int, index uint64) []byte {
	if g.rtp.clear {
		header = len(pkt)
	}
	g.rtp.setNonce(ssrcOfRTP(pkt), index)
	dst = append(dst, pkt[:header]...)
	dst = g.rtp.aead.Seal(dst, g.rtp.nonce[:], pkt[header:], pkt[:header])
	return append(dst, g.mki...)
}

func (g *gcm) openRTP(dst, pkt []byte, header int, index uint64) ([]byte, bool) {
	end := len(pkt) - len(g.mki)
	if end-gcmTag < header || string(pkt[end:]) != string(g.mki) {
		return dst, false
	}
	if g.rtp.clear {
		header = end - gcmTag
	}
	g.rtp.setNonce(ssrcOfRTP(pkt), index)
	out, err := g.rtp.aead.Open(append(dst, pkt[:header]...), g.rtp.nonce[:], pkt[header:end], pkt[:header])
	return out, err == nil
}

func (g *gcm) sealRTCP(dst, pkt []byte, index uint32) []byte {
	s := &g.rtcp
	s.setNonce(ssrcOfRTCP(pkt), uint64(index))
	from := len(dst)
	if s.clear {
		// What is authenticated has to be in one piece, and the tag goes before the index.
		dst = append(dst, pkt...)
		dst = binary.BigEndian.AppendUint32(dst, index)
		tag := s.aead.Seal(s.tag[:0], s.nonce[:], nil, dst[from:])
		dst = append(dst[:from+len(pkt)], tag...)
		dst = binary.BigEndian.AppendUint32(dst, index)
		return append(dst, g.mki...)
	}
	copy(s.known[:], pkt[:rtcpClear])
	binary.BigEndian.PutUint32(s.known[rtcpClear:], index|encryptedRTCP)
	dst = append(dst, pkt[:rtcpClear]...)
	dst = s.aead.Seal(dst, s.nonce[:], pkt[rtcpClear:], s.known[:])
	dst = append(dst, s.known[rtcpClear:]...)
	return append(dst, g.mki...)
}

// word is where the E bit and index of an SRTCP packet are, negative if it is too short.
func (g *gcm) word(pkt []byte) int {
	at := len(pkt) - len(g.mki) - 4
	if at < rtcpClear+gcmTag {
		return -1
	}
	return at
}

func (g *gcm) indexOf(pkt []byte) (uint32, bool) {
	at := g.word(pkt)
	if at < 0 {
		return 0, false
	}
	return binary.BigEndian.Uint32(pkt[at:]) &^ encryptedRTCP, true
}

func (g *gcm) openRTCP(dst, pkt []byte) ([]byte, bool) {
	at := g.word(pkt)
	if at < 0 || string(pkt[at+4:]) != string(g.mki) {
		return dst, false
	}
	s := &g.rtcp
	word := binary.BigEndian.Uint32(pkt[at:])
	s.setNonce(ssrcOfRTCP(pkt), uint64(word&^encryptedRTCP))
	if word&encryptedRTCP == 0 { // the sender says so, under its tag
		from, body := len(dst), at-gcmTag
		dst = append(dst, pkt[:body]...)
		dst = append(dst, pkt[at:at+4]...)
		_, err := s.aead.Open(s.tag[:0], s.nonce[:], pkt[body:at], dst[from:])
		return dst[:from+body], err == nil
	}
	copy(s.known[:], pkt[:rtcpClear])
	binary.BigEndian.PutUint32(s.known[rtcpClear:], word)
	out, err := s.aead.Open(append(dst, pkt[:rtcpClear]...), s.nonce[:], pkt[rtcpClear:at], s.known[:])
	return out, err == nil
}
