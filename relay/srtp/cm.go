package srtp

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"hash"

	"rtpjet/relay/plan"
)

// cm is AES in counter mode or in f8 mode, or no encryption, with HMAC-SHA1 (RFC 3711 §4, RFC 6188).
//
// An SRTP packet is header, encrypted payload, MKI, tag; an SRTCP packet is header, encrypted rest, index, MKI, tag.
type cm struct {
	rtp, rtcp cmSession
	mki       []byte
}

type cmSession struct {
	*session
	mac   hash.Hash
	tag   int
	null  bool // the suite has no encryption
	clear bool // nor have we

	// Scratch, here because arguments of interface methods escape.
	sum    [sha1.Size]byte
	roc    [4]byte
	stream [keystream]byte
	iv, f8 [aes.BlockSize]byte
}

// keystream is how much of the key stream is made at a time: enough for 20 ms of G.711 at once.
const keystream = 160

func newCM(s suite, p *plan.SRTP) (transform, error) {
	rtp, err := newSession(s, p, 0)
	if err != nil {
		return nil, err
	}
	rtcp, err := newSession(s, p, labelRTCP)
	if err != nil {
		return nil, err
	}
	c := &cm{mki: []byte(p.MKI)}
	c.rtp = cmSession{session: rtp, mac: hmac.New(sha1.New, rtp.auth[:]), tag: s.tag, null: s.null, clear: s.null || p.PlainRTP}
	c.rtcp = cmSession{session: rtcp, mac: hmac.New(sha1.New, rtcp.auth[:]), tag: s.rtcpTag, null: s.null, clear: s.null || p.PlainRTCP}
	if p.Unauthenticated {
		c.rtp.tag = 0
	}
	return c, nil
}

// cryptRTP appends data, a part of the RTP packet pkt with that index, encrypted or decrypted.
func (s *cmSession) cryptRTP(dst, data, pkt []byte, index uint64) []byte {
	if s.masked == nil {
		return s.crypt(dst, data, ssrcOfRTP(pkt), index)
	}
	s.headerRTP(pkt, index)
	return s.cryptF8(dst, data)
}

// cryptRTCP is cryptRTP for SRTCP; word is the E bit with the index.
func (s *cmSession) cryptRTCP(dst, data, pkt []byte, word uint32) []byte {
	if s.masked == nil {
		return s.crypt(dst, data, ssrcOfRTCP(pkt), uint64(word&^encryptedRTCP))
	}
	s.headerRTCP(pkt, word)
	return s.cryptF8(dst, data)
}

// crypt appends data, encrypted or decrypted under the key stream of a packet (RFC 3711 §4.1.1). For SRTP index has 48
// bits, for SRTCP 31.
func (s *cmSession) crypt(dst, data []byte, ssrc uint32, index uint64) []byte {
	var iv [aes.BlockSize]byte
	copy(iv[:], s.salt[:])
	hi := binary.BigEndian.Uint64(iv[:8]) ^ uint64(ssrc)
	lo := binary.BigEndian.Uint64(iv[8:]) ^ index<<16
	for len(data) > 0 {
		n := min(len(data), keystream)
		for at := 0; at < n; at += aes.BlockSize {
			block := s.stream[at : at+aes.BlockSize]
			binary.BigEndian.PutUint64(block, hi)
			binary.BigEndian.PutUint64(block[8:], lo)
			lo++ // never carries: the low 16 bits count blocks, and a datagram has less than 4096
			s.block.Encrypt(block, block)
		}
		at := len(dst)
		dst = append(dst, data[:n]...)
		subtle.XORBytes(dst[at:], dst[at:], s.stream[:n])
		data = data[n:]
	}
	return dst
}

func (s *cmSession) authenticate(body []byte) {
	s.mac.Reset()
	s.mac.Write(body)
}

func (s *cmSession) sumUp() []byte { return s.mac.Sum(s.sum[:0])[:s.tag] }

// tagRTP is the tag of an SRTP packet: its own bytes and the rollover counter.
func (s *cmSession) tagRTP(body []byte, index uint64) []byte {
	if s.tag == 0 {
		return nil
	}
	s.authenticate(body)
	binary.BigEndian.PutUint32(s.roc[:], uint32(index>>16))
	s.mac.Write(s.roc[:])
	return s.sumUp()
}

func (c *cm) sealRTP(dst, pkt []byte, header int, index uint64) []byte {
	from := len(dst)
	if c.rtp.clear {
		dst = append(dst, pkt...)
	} else {
		dst = append(dst, pkt[:header]...)
		dst = c.rtp.cryptRTP(dst, pkt[header:], pkt, index)
	}
	tag := c.rtp.tagRTP(dst[from:], index)
	dst = append(dst, c.mki...)
	return append(dst, tag...)
}

func (c *cm) openRTP(dst, pkt []byte, header int, index uint64) ([]byte, bool) {
	body := len(pkt) - len(c.mki) - c.rtp.tag
	if body < header {
		return dst, false
	}
	if string(pkt[body:body+len(c.mki)]) != string(c.mki) {
		return dst, false
	}
	if subtle.ConstantTimeCompare(c.rtp.tagRTP(pkt[:body], index), pkt[body+len(c.mki):]) != 1 {
		return dst, false
	}
	if c.rtp.clear {
		return append(dst, pkt[:body]...), true
	}
	dst = append(dst, pkt[:header]...)
	return c.rtp.cryptRTP(dst, pkt[header:body], pkt, index), true
}

func (c *cm) sealRTCP(dst, pkt []byte, index uint32) []byte {
	from := len(dst)
	word := index
	if c.rtcp.clear {
		dst = append(dst, pkt...)
	} else {
		word |= encryptedRTCP
		dst = append(dst, pkt[:rtcpClear]...)
		dst = c.rtcp.cryptRTCP(dst, pkt[rtcpClear:], pkt, word)
	}
	dst = binary.BigEndian.AppendUint32(dst, word)
	c.rtcp.authenticate(dst[from:])
	dst = append(dst, c.mki...)
	return append(dst, c.rtcp.sumUp()...)
}

// word is where the E bit and index of an SRTCP packet are, negative if it is too short.
func (c *cm) word(pkt []byte) int {
	at := len(pkt) - c.rtcp.tag - len(c.mki) - 4
	if at < rtcpClear {
		return -1
	}
	return at
}

func (c *cm) indexOf(pkt []byte) (uint32, bool) {
	at := c.word(pkt)
	if at < 0 {
		return 0, false
	}
	return binary.BigEndian.Uint32(pkt[at:]) &^ encryptedRTCP, true
}

func (c *cm) openRTCP(dst, pkt []byte) ([]byte, bool) {
	at := c.word(pkt)
	if at < 0 {
		return dst, false
	}
	body := at + 4
	if string(pkt[body:body+len(c.mki)]) != string(c.mki) {
		return dst, false
	}
	c.rtcp.authenticate(pkt[:body])
	if subtle.ConstantTimeCompare(c.rtcp.sumUp(), pkt[body+len(c.mki):]) != 1 {
		return dst, false
	}
	word := binary.BigEndian.Uint32(pkt[at:])
	if c.rtcp.null || word&encryptedRTCP == 0 { // the sender says so, under its tag
		return append(dst, pkt[:at]...), true
	}
	dst = append(dst, pkt[:rtcpClear]...)
	return c.rtcp.cryptRTCP(dst, pkt[rtcpClear:at], pkt, word), true
}
