package srtp

import (
	"testing"

	"github.com/pion/rtp"
	pion "github.com/pion/srtp/v3"
)

// BenchmarkSRTP is a packet of 20 ms of G.711, there and back, beside pion's.
func BenchmarkSRTP(b *testing.B) {
	for _, name := range names() {
		p := keysOf(name)
		b.Run(name+"/protect", func(b *testing.B) {
			s, pkt, buf := sender(b, p), voice(1, 0), make([]byte, 0, 2000)
			b.ReportAllocs()
			for seq := 0; b.Loop(); seq++ {
				pkt[2], pkt[3] = byte(seq>>8), byte(seq)
				if _, _, err := s.Protect(buf, pkt); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/unprotect", func(b *testing.B) {
			r, buf := receiver(b, p), make([]byte, 0, 2000)
			round := rounds(b, sender(b, p))
			b.ReportAllocs()
			for seq := 0; b.Loop(); seq++ {
				if seq == len(round) {
					seq, r.byID, r.last = 0, map[uint32]*Source{}, nil
				}
				if _, _, err := r.Unprotect(buf, round[seq]); err != nil {
					b.Fatal(err)
				}
			}
		})
		if _, ok := profiles[name]; !ok {
			continue
		}
		b.Run(name+"/pion-protect", func(b *testing.B) {
			c, pkt, buf := oracle(b, p), voice(1, 0), make([]byte, 2000)
			var header rtp.Header // else it is allocated
			b.ReportAllocs()
			for seq := 0; b.Loop(); seq++ {
				pkt[2], pkt[3] = byte(seq>>8), byte(seq)
				if _, err := c.EncryptRTP(buf, pkt, &header); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/pion-unprotect", func(b *testing.B) {
			c, buf := oracle(b, p, pion.SRTPReplayProtection(128)), make([]byte, 2000)
			var header rtp.Header
			round := rounds(b, sender(b, p))
			b.ReportAllocs()
			for seq := 0; b.Loop(); seq++ {
				if seq == len(round) {
					seq, c = 0, oracle(b, p, pion.SRTPReplayProtection(128))
				}
				if _, err := c.DecryptRTP(buf, round[seq], &header); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// rounds are packets to read one after the other.
func rounds(b *testing.B, s *Sender) [][]byte {
	round := make([][]byte, 10_000)
	for i := range round {
		var err error
		if round[i], _, err = s.Protect(nil, voice(1, uint16(i))); err != nil {
			b.Fatal(err)
		}
	}
	return round
}

func BenchmarkNew(b *testing.B) {
	p := keysOf("AES_CM_128_HMAC_SHA1_80")
	b.ReportAllocs()
	for b.Loop() {
		_ = receiver(b, p)
	}
}
