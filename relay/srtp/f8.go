package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// AES in f8 mode (RFC 3711 §4.1.2): the key stream feeds back on itself, from an IV that is the packet's own header.

// maskedCipher is AES under the session key, changed by the session salt and 0x55 for what that is shorter.
func maskedCipher(key, salt []byte) (cipher.Block, error) {
	mask := bytes.Repeat([]byte{0x55}, len(key))
	copy(mask, salt)
	subtle.XORBytes(mask, mask, key)
	return aes.NewCipher(mask)
}

// headerRTP makes the IV of an RTP packet: its header without the first byte, and the rollover counter (RFC 3711 §4.1.2.2).
func (s *cmSession) headerRTP(pkt []byte, index uint64) {
	copy(s.iv[:], pkt[:12])
	s.iv[0] = 0
	binary.BigEndian.PutUint32(s.iv[12:], uint32(index>>16))
}

// headerRTCP makes the IV of an RTCP packet: E bit and index, and its first header (RFC 3711 §4.1.2.3).
func (s *cmSession) headerRTCP(pkt []byte, word uint32) {
	clear(s.iv[:4])
	binary.BigEndian.PutUint32(s.iv[4:], word)
	copy(s.iv[8:], pkt[:rtcpClear])
}

// cryptF8 appends data, encrypted or decrypted under the key stream that begins with the IV in s.iv.
func (s *cmSession) cryptF8(dst, data []byte) []byte {
	s.masked.Encrypt(s.iv[:], s.iv[:])
	clear(s.f8[:])
	for j := uint64(0); len(data) > 0; j++ {
		subtle.XORBytes(s.f8[:], s.f8[:], s.iv[:])
		lo := s.f8[8:]
		binary.BigEndian.PutUint64(lo, binary.BigEndian.Uint64(lo)^j)
		s.block.Encrypt(s.f8[:], s.f8[:])
		n, at := min(len(data), aes.BlockSize), len(dst)
		dst = append(dst, data[:n]...)
		subtle.XORBytes(dst[at:], dst[at:], s.f8[:n])
		data = data[n:]
	}
	return dst
}
