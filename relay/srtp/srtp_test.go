package srtp

import (
	"bytes"
	"errors"
	"testing"

	"rtpjet/relay/plan"
)

func TestLengths(t *testing.T) {
	for name, want := range map[string][2]int{
		"AES_CM_128_HMAC_SHA1_32": {16, 14}, "AES_192_CM_HMAC_SHA1_80": {24, 14}, "AES_256_CM_HMAC_SHA1_80": {32, 14},
		"AEAD_AES_128_GCM": {16, 12}, "AEAD_AES_256_GCM": {32, 12}, "NULL_HMAC_SHA1_80": {16, 14}, "F8_128_HMAC_SHA1_32": {16, 14},
	} {
		if key, salt, ok := Lengths(name); !ok || [2]int{key, salt} != want {
			t.Errorf("%s: %d %d %v, want %v", name, key, salt, ok, want)
		}
	}
	if _, _, ok := Lengths("F8_192_HMAC_SHA1_80"); ok {
		t.Error("a suite that nobody has specified is known")
	}
}

func TestBadParameters(t *testing.T) {
	good := keysOf("AEAD_AES_128_GCM")
	for name, change := range map[string]func(*plan.SRTP){
		"suite": func(p *plan.SRTP) { p.Suite = "AES_CM_129" },
		"key":   func(p *plan.SRTP) { p.Key = p.Key[1:] },
		"salt":  func(p *plan.SRTP) { p.Salt += "x" },
		"MKI":   func(p *plan.SRTP) { p.MKI = string(make([]byte, 129)) },
	} {
		p := *good
		change(&p)
		if _, err := NewSender(&p); err == nil {
			t.Errorf("%s: no error", name)
		} else if bytes.Contains([]byte(err.Error()), []byte("K3y")) {
			t.Errorf("%s: the error tells the key: %v", name, err)
		}
		if _, err := NewReceiver(&p, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// variants are parameters that change the form of packets.
func variants(name string) []*plan.SRTP {
	var all []*plan.SRTP
	for i := range 16 {
		p := keysOf(name)
		p.PlainRTP, p.PlainRTCP, p.Unauthenticated = i&1 != 0, i&2 != 0, i&4 != 0
		if i&8 != 0 {
			p.MKI = "\x01\x02\x03\x04"
		}
		all = append(all, p)
	}
	return all
}

// TestThereAndBack goes through all suites and parameters, and says what must be in the clear and what must not.
func TestThereAndBack(t *testing.T) {
	for _, name := range names() {
		for _, p := range variants(name) {
			s, r := sender(t, p), receiver(t, p)
			for seq := range uint16(3) {
				for _, pkt := range [][]byte{voice(1, seq), report(1), voice(1, seq+100)[:12], report(1)[:8]} {
					sealed, _, err := s.Protect([]byte("before"), pkt)
					if err != nil {
						t.Fatal(err)
					}
					sealed = sealed[len("before"):]
					if len(sealed) > len(pkt)+Overhead {
						t.Errorf("%s: %d bytes more", name, len(sealed)-len(pkt))
					}
					plain := p.PlainRTP && !isRTCP(pkt) || p.PlainRTCP && isRTCP(pkt) || suites[name].null
					if len(pkt) > 12 && bytes.Contains(sealed, pkt[12:]) != plain {
						t.Errorf("%+v: %x, plain: %v", p, sealed, plain)
					}
					got, _, err := r.Unprotect([]byte("before"), sealed)
					if err != nil || !bytes.Equal(got[len("before"):], pkt) {
						t.Fatalf("%+v: %x is read as %x, %v, want %x", p, sealed, got, err, pkt)
					}
					if _, _, err := r.Unprotect(nil, sealed); !errors.Is(err, ErrReplayed) {
						t.Errorf("%+v: read twice: %v", p, err)
					}
					seq++
				}
			}
		}
	}
}

// TestAnyBitMatters flips each bit of a packet and cuts it everywhere.
func TestAnyBitMatters(t *testing.T) {
	for _, name := range names() {
		for _, p := range variants(name) {
			if p.Unauthenticated {
				continue
			}
			s, r := sender(t, p), receiver(t, p)
			for _, pkt := range [][]byte{voice(1, 9), report(1)} {
				sealed, _, err := s.Protect(nil, pkt)
				if err != nil {
					t.Fatal(err)
				}
				for bit := range 8 * len(sealed) {
					forged := bytes.Clone(sealed)
					forged[bit/8] ^= 1 << (bit % 8)
					if _, _, err := r.Unprotect(nil, forged); err == nil {
						t.Fatalf("%+v: bit %d of %x does not matter", p, bit, sealed)
					}
				}
				for n := range sealed {
					if _, _, err := r.Unprotect(nil, sealed[:n]); err == nil {
						t.Fatalf("%+v: %d bytes of %x are enough", p, n, sealed)
					}
				}
			}
			if got := r.Rollovers(); got != nil {
				t.Errorf("%+v: forged packets have left %+v", p, got)
			}
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	for _, name := range names() {
		for _, p := range variants(name) {
			s, r := sender(t, p), receiver(t, p)
			sealed, opened := make([]byte, 0, 2000), make([]byte, 0, 2000)
			pkt, control := voice(1, 0), report(1)
			seq := uint16(0)
			if n := testing.AllocsPerRun(100, func() {
				seq++
				pkt[2], pkt[3] = byte(seq>>8), byte(seq)
				for _, pkt := range [2][]byte{pkt, control} {
					out, _, err := s.Protect(sealed, pkt)
					if err != nil {
						t.Fatal(err)
					}
					if _, _, err := r.Unprotect(opened, out); err != nil {
						t.Fatal(err)
					}
					out[len(out)-1] ^= 1
					_, _, _ = r.Unprotect(opened, out)
				}
			}); n != 0 {
				t.Errorf("%+v: %v allocations", p, n)
			}
		}
	}
}

func TestSourcesAreBounded(t *testing.T) {
	p := keysOf("AEAD_AES_128_GCM")
	s, r := sender(t, p), receiver(t, p)
	for ssrc := range uint32(maxSources) {
		sealed, news, err := s.Protect(nil, voice(ssrc, 1))
		if err != nil || news == nil {
			t.Fatal(err, news)
		}
		if _, news, err := r.Unprotect(nil, sealed); err != nil || news == nil || news.Rollover().SSRC != ssrc {
			t.Fatal(err, news)
		}
	}
	for _, pkt := range [][]byte{voice(1<<20, 1), report(1 << 20)} {
		if _, _, err := s.Protect(nil, pkt); !errors.Is(err, ErrSources) {
			t.Errorf("one more source sends: %v", err)
		}
		sealed, _, err := sender(t, p).Protect(nil, pkt)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Unprotect(nil, sealed); !errors.Is(err, ErrSources) {
			t.Errorf("one more source is read: %v", err)
		}
	}
	if _, _, err := s.Protect(nil, voice(5, 2)); err != nil {
		t.Errorf("an old one: %v", err)
	}
}

func TestKeyIsUsedUp(t *testing.T) {
	p := keysOf("AEAD_AES_128_GCM")
	p.Rollovers = []plan.Rollover{{SSRC: 1, ROC: 1<<32 - 1, Seq: 0xfffe, Index: maxRTCPIndex - 5}}
	s := sender(t, p)
	if _, _, err := s.Protect(nil, voice(1, 0xffff)); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Protect(nil, voice(1, 0)); !errors.Is(err, ErrUsedUp) {
		t.Error(err)
	}
	if _, _, err := s.Protect(nil, report(1)); !errors.Is(err, ErrUsedUp) {
		t.Error(err)
	}
}
