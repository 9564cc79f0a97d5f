package srtp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	pion "github.com/pion/srtp/v3"
	"pgregory.net/rapid"

	"rtpjet/relay/plan"
)

// profiles are the suites that pion has.
var profiles = map[string]pion.ProtectionProfile{
	"AES_CM_128_HMAC_SHA1_80": pion.ProtectionProfileAes128CmHmacSha1_80,
	"AES_CM_128_HMAC_SHA1_32": pion.ProtectionProfileAes128CmHmacSha1_32,
	"AES_256_CM_HMAC_SHA1_80": pion.ProtectionProfileAes256CmHmacSha1_80,
	"AES_256_CM_HMAC_SHA1_32": pion.ProtectionProfileAes256CmHmacSha1_32,
	"AEAD_AES_128_GCM":        pion.ProtectionProfileAeadAes128Gcm,
	"AEAD_AES_256_GCM":        pion.ProtectionProfileAeadAes256Gcm,
	"NULL_HMAC_SHA1_80":       pion.ProtectionProfileNullHmacSha1_80,
	"NULL_HMAC_SHA1_32":       pion.ProtectionProfileNullHmacSha1_32,
}

func oracle(t interface{ Fatal(args ...any) }, p *plan.SRTP, opts ...pion.ContextOption) *pion.Context {
	if p.MKI != "" {
		opts = append(opts, pion.MasterKeyIndicator([]byte(p.MKI)))
	}
	if p.PlainRTP {
		opts = append(opts, pion.SRTPNoEncryption())
	}
	if p.PlainRTCP {
		opts = append(opts, pion.SRTCPNoEncryption())
	}
	c, err := pion.CreateContext([]byte(p.Key), []byte(p.Salt), profiles[p.Suite], opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAgainstPion draws keys, parameters and a stream with losses, jumps and disorder, and has each side read the other.
func TestAgainstPion(t *testing.T) {
	for name := range profiles {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { againstPion(t, name) })
		})
	}
}

func againstPion(t *rapid.T, name string) {
	key, salt, _ := Lengths(name)
	text := func(label string, min, max int) string {
		return string(rapid.SliceOfN(rapid.Byte(), min, max).Draw(t, label))
	}
	p := &plan.SRTP{
		Suite: name, Key: text("key", key, key), Salt: text("salt", salt, salt), MKI: text("MKI", 0, 6),
		PlainRTP: rapid.Bool().Draw(t, "plain RTP"), PlainRTCP: rapid.Bool().Draw(t, "plain RTCP"),
	}
	ours, err := NewSender(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := NewReceiver(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, theirBack := oracle(t, p), oracle(t, p)
	ssrcs := []uint32{rapid.Uint32().Draw(t, "SSRC"), 0, 0xffffffff}
	at := map[uint32]uint64{}
	buf := make([]byte, 0, 4096)
	for range rapid.IntRange(1, 40).Draw(t, "packets") {
		ssrc := rapid.SampledFrom(ssrcs).Draw(t, "source")
		body := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "body")
		if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
			pkt := append([]byte{0x80, 200, 0, 1, byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)}, body[:len(body)&^3]...)
			sealed, _, err := ours.Protect(buf, pkt)
			if err != nil {
				t.Fatalf("protect RTCP: %v", err)
			}
			if got, err := theirBack.DecryptRTCP(nil, bytes.Clone(sealed), nil); err != nil || !bytes.Equal(got, pkt) {
				t.Fatalf("pion reads our RTCP %x as %x, %v, want %x", sealed, got, err, pkt)
			}
			sealed, err = theirs.EncryptRTCP(nil, pkt, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := back.Unprotect(buf, sealed); err != nil || !bytes.Equal(got, pkt) {
				t.Fatalf("pion's RTCP %x is read as %x, %v, want %x", sealed, got, err, pkt)
			}
			continue
		}
		if at[ssrc] == 0 {
			at[ssrc] = uint64(rapid.IntRange(1000, 32767).Draw(t, "first"))
		} else {
			at[ssrc] += uint64(rapid.SampledFrom([]int{1, 1, 2, 300, 20000, 32767}).Draw(t, "step"))
		}
		seq := uint16(at[ssrc])
		pkt := []byte{0x80, 0x60, byte(seq >> 8), byte(seq), 1, 2, 3, 4, byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)}
		if n := rapid.IntRange(0, 15).Draw(t, "CSRCs"); n > 0 {
			pkt[0] |= byte(n)
			pkt = append(pkt, make([]byte, 4*n)...)
		}
		if rapid.Bool().Draw(t, "extension") {
			pkt[0] |= 0x10
			pkt = append(pkt, 0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0)
		}
		pkt = append(pkt, body...)
		sealed, _, err := ours.Protect(buf, pkt)
		if err != nil {
			t.Fatalf("protect: %v", err)
		}
		want, err := theirs.EncryptRTP(nil, pkt, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sealed, want) {
			t.Fatalf("%x is protected as %x, pion has %x", pkt, sealed, want)
		}
		if got, err := theirBack.DecryptRTP(nil, bytes.Clone(sealed), nil); err != nil || !bytes.Equal(got, pkt) {
			t.Fatalf("pion reads %x as %x, %v, want %x", sealed, got, err, pkt)
		}
		if got, _, err := back.Unprotect(buf, want); err != nil || !bytes.Equal(got, pkt) {
			t.Fatalf("%x is read as %x, %v, want %x", want, got, err, pkt)
		}
	}
	for _, r := range ours.Rollovers() {
		if roc, ok := theirs.ROC(r.SSRC); ok && roc != r.ROC || uint64(r.ROC)<<16|uint64(r.Seq) != at[r.SSRC] {
			t.Fatalf("%+v, pion has a rollover counter of %d, sent up to %d", r, roc, at[r.SSRC])
		}
	}
}

// TestDisorderAtTheWrap has five wraps with loss and disorder; what pion sends is read, whatever order it comes in.
func TestDisorderAtTheWrap(t *testing.T) {
	p := keysOf("AES_CM_128_HMAC_SHA1_80")
	theirs, back := oracle(t, p), receiver(t, p)
	draw := rand.New(rand.NewPCG(1, 2))
	const first = 30_000
	var late [][]byte
	read, sent := 0, 0
	for index := first; index < 5<<16+1000; index++ {
		near := (index+500)%(1<<16) < 1000 // at the wrap each packet, elsewhere some
		pkt, err := theirs.EncryptRTP(nil, voice(7, uint16(index)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !near && index%50 != 0 || draw.IntN(10) == 0 {
			continue // lost
		}
		sent++
		late = append(late, pkt)
		for len(late) > 100 || !near && len(late) > 0 {
			at := draw.IntN(len(late))
			pkt, late[at] = late[at], late[len(late)-1]
			late = late[:len(late)-1]
			if _, _, err := back.Unprotect(nil, pkt); err == nil {
				read++
			} else if !errors.Is(err, ErrReplayed) { // too late for the window
				t.Fatalf("at %d: %v", index, err)
			}
		}
	}
	if read < sent*95/100 {
		t.Errorf("%d of %d packets were read", read, sent)
	}
	if got := back.Rollovers()[0].ROC; got != 5 {
		t.Errorf("rollover counter %d, want 5", got)
	}
}
