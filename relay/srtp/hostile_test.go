package srtp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// TestHostilePackets forges, replays and truncates. RTPJET_HOSTILE is how many packets, 10000000 for the whole of it.
func TestHostilePackets(t *testing.T) {
	count := 200_000
	if n, err := strconv.Atoi(os.Getenv("RTPJET_HOSTILE")); err == nil {
		count = n
	}
	for _, name := range []string{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AES_192_CM_HMAC_SHA1_32"} {
		t.Run(name, func(t *testing.T) { hostile(t, name, count/3) })
	}
}

func hostile(t *testing.T, name string, count int) {
	p := keysOf(name)
	p.MKI = "mk"
	s, r := sender(t, p), receiver(t, p)
	// heard were received, coming are on their way: those can be replayed, these forged without the window noticing.
	var heard, coming [][]byte
	index := 65_000
	send := func() {
		for range 50 {
			for _, pkt := range [][]byte{voice(1, uint16(index)), report(1)} {
				sealed, _, err := s.Protect(nil, pkt)
				if err != nil {
					t.Fatal(err)
				}
				coming = append(coming, sealed)
			}
			index += 7
		}
	}
	hear := func() {
		for _, sealed := range coming {
			if _, _, err := r.Unprotect(nil, sealed); err != nil {
				t.Fatalf("a true packet: %v", err)
			}
		}
		heard, coming = append(heard, coming...), nil
	}
	send()
	hear()
	send()
	before := r.Rollovers()
	draw := rand.New(rand.NewPCG(3, 4))
	opened, pkt := make([]byte, 0, 2000), make([]byte, 0, 2000)
	var mem, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	for range count {
		from, what := coming, draw.IntN(7)
		if what < 2 {
			from = heard
		}
		pkt = append(pkt[:0], from[draw.IntN(len(from))]...)
		switch what {
		case 0: // replayed
		case 1, 2: // cut
			pkt = pkt[:draw.IntN(len(pkt))]
		case 3: // one bit
			pkt[draw.IntN(len(pkt))] ^= 1 << draw.IntN(8)
		case 4: // another source
			pkt[8+draw.IntN(4)] ^= byte(1 + draw.IntN(255))
		case 5: // another number
			pkt[2+draw.IntN(2)] ^= byte(1 + draw.IntN(255))
		case 6: // noise
			for i := 2 + draw.IntN(8); i < len(pkt); i++ {
				pkt[i] = byte(draw.Uint32())
			}
		}
		if _, _, err := r.Unprotect(opened, pkt); err == nil {
			t.Fatalf("%x was accepted", pkt)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - mem.Mallocs; n > 1000 {
		t.Errorf("%d allocations for %d packets", n, count)
	}
	if got := r.Rollovers(); len(got) != 1 || got[0] != before[0] {
		t.Errorf("rollovers %+v, want %+v", got, before)
	}
	hear()
}

// FuzzUnprotect: nothing is accepted under keys that nobody has sent with, and nothing panics. Without authentication
// everything is, and it must come out in the length that it had.
func FuzzUnprotect(f *testing.F) {
	for i, name := range names() {
		p := keysOf(name)
		p.Salt = p.Salt[1:] + "x" // other keys: the fuzzer would undo a mere change of the packet
		s := sender(f, p)
		for _, pkt := range [][]byte{voice(1, 1), report(1)} {
			sealed, _, err := s.Protect(nil, pkt)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), sealed)
		}
	}
	f.Add(uint8(0), []byte{0x9f, 0})
	f.Add(uint8(0), append([]byte{0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0xff, 0xff}, make([]byte, 30)...))
	f.Fuzz(func(t *testing.T, which uint8, pkt []byte) {
		all := names()
		p := keysOf(all[int(which)%len(all)])
		kept := bytes.Clone(pkt)
		opened := make([]byte, 0, len(pkt))
		if _, _, err := receiver(t, p).Unprotect(opened, pkt); err == nil {
			t.Fatalf("%s: %x was accepted", p.Suite, pkt)
		}
		p.Unauthenticated = true
		out, _, err := receiver(t, p).Unprotect(opened, pkt)
		if err == nil && (len(out) > len(pkt) || !bytes.Equal(out[:12], pkt[:12])) {
			t.Fatalf("%s: %x became %x", p.Suite, pkt, out)
		}
		sealed, _, err := sender(t, p).Protect(nil, pkt)
		if err == nil {
			if back, _, err := receiver(t, p).Unprotect(nil, sealed); err != nil || !bytes.Equal(back, pkt) {
				t.Fatalf("%s: %x came back as %x, %v", p.Suite, pkt, back, err)
			}
		} else if !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if !bytes.Equal(pkt, kept) {
			t.Fatal("the packet was changed")
		}
	})
}
