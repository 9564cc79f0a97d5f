package srtp

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"rtpjet/relay/plan"
)

// TestFollow is the comparison of RFC 3711 §3.3.1 and Appendix A, written down as it stands there.
func TestFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roc := int64(rapid.IntRange(0, 3).Draw(t, "ROC"))
		last, seq := int64(rapid.Uint16().Draw(t, "s_l")), int64(rapid.Uint16().Draw(t, "SEQ"))
		v := roc
		if last < 32768 {
			if seq-last > 32768 {
				v = roc - 1
			}
		} else if last-32768 > seq {
			v = roc + 1
		}
		if got := follow(uint64(roc<<16|last), uint16(seq)); got != v<<16+seq {
			t.Fatalf("ROC %d, s_l %d, SEQ %d: %d, want %d", roc, last, seq, got, v<<16+seq)
		}
	})
}

// TestWindow against a set.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		used := map[uint64]bool{}
		top := uint64(rapid.IntRange(0, 5000).Draw(t, "first"))
		if rapid.Bool().Draw(t, "resumed") {
			w.resume(top)
			for i := range top + 1 {
				used[i] = true
			}
		}
		for range 200 {
			index := uint64(max(0, int(top)+rapid.IntRange(-windowSize-10, 70).Draw(t, "index")))
			fresh := !used[index] && (!w.begun || index+windowSize > top)
			if got := w.fresh(index); got != fresh {
				t.Fatalf("index %d at %d: fresh %v, want %v", index, top, got, fresh)
			}
			if fresh {
				crossed := !w.begun || index > top && index/100 != top/100
				if got := w.use(index, 100); got != crossed {
					t.Fatalf("index %d at %d: crossed %v", index, top, got)
				}
				used[index], top = true, w.top
			}
		}
	})
}

// TestResume: both ends go on from a state that is as old as it may be, and older.
func TestResume(t *testing.T) {
	for _, name := range []string{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"} {
		for _, known := range []uint64{0, 3, 0x7fff, 0x8000, 0xffff, 0x10000, 0x18000, 0x3fff0, 0x4000a} {
			for _, later := range []uint64{1, 2, 0x7fff, 0x8000, 0x8001, 0xfe00} {
				t.Run(fmt.Sprintf("%s/%x+%x", name, known, later), func(t *testing.T) {
					p := keysOf(name)
					p.Rollovers = []plan.Rollover{{SSRC: 1, ROC: uint32(known >> 16), Seq: uint16(known)}}
					truth := keysOf(name)
					index := known + later
					truth.Rollovers = []plan.Rollover{{SSRC: 1, ROC: uint32((index - 1) >> 16), Seq: uint16(index - 1)}}
					for _, ends := range [][2]*plan.SRTP{{truth, p}, {p, truth}} {
						s, r := sender(t, ends[0]), receiver(t, ends[1])
						for range 3 {
							sealed, _, err := s.Protect(nil, voice(1, uint16(index)))
							if err != nil {
								t.Fatal(err)
							}
							if _, _, err := r.Unprotect(nil, sealed); err != nil {
								t.Fatalf("index %x: %v", index, err)
							}
							index++
						}
						want := plan.Rollover{SSRC: 1, ROC: uint32((index - 1) >> 16), Seq: uint16(index - 1)}
						if got := r.Rollovers(); len(got) != 1 || got[0] != want {
							t.Errorf("rollovers %+v, want %+v", got, want)
						}
						index = known + later
					}
				})
			}
		}
	}
}

// TestResumePastTheReach: a receiver also finds a stream that has gone on for one whole rollover more.
func TestResumePastTheReach(t *testing.T) {
	p, truth := keysOf("AEAD_AES_128_GCM"), keysOf("AEAD_AES_128_GCM")
	p.Rollovers = []plan.Rollover{{SSRC: 1, ROC: 1, Seq: 0x100}}
	truth.Rollovers = []plan.Rollover{{SSRC: 1, ROC: 2, Seq: 0x5000}}
	sealed, _, err := sender(t, truth).Protect(nil, voice(1, 0x5001))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := receiver(t, p).Unprotect(nil, sealed); err != nil {
		t.Error(err)
	}
}

// TestOldPacketsDoNotResume: after a restart, recordings of the same stream pass for nothing.
func TestOldPacketsDoNotResume(t *testing.T) {
	p := keysOf("AES_CM_128_HMAC_SHA1_80")
	s := sender(t, p)
	var recorded [][]byte
	for index := range 2<<16 + 0x8000 {
		sealed, _, err := s.Protect(nil, voice(1, uint16(index)))
		if err != nil {
			t.Fatal(err)
		}
		if index%256 == 0 {
			recorded = append(recorded, sealed)
		}
	}
	p.Rollovers = s.Rollovers()
	r := receiver(t, p)
	for _, pkt := range recorded {
		if _, _, err := r.Unprotect(nil, pkt); err == nil {
			t.Fatalf("an old packet was accepted: % x", pkt[:12])
		}
	}
	sealed, _, err := s.Protect(nil, voice(1, 0x8000))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Unprotect(nil, sealed); err != nil {
		t.Error(err)
	}
}

// TestNewKeys: the rollover counter after a change of keys is what the peer makes of it.
func TestNewKeys(t *testing.T) {
	before := []plan.Rollover{{SSRC: 1, ROC: 3, Seq: 100}}
	for _, roc := range []uint32{0, 3} {
		p := keysOf("AEAD_AES_256_GCM")
		p.Rollovers = []plan.Rollover{{SSRC: 1, ROC: roc, Seq: 199}}
		sealed, _, err := sender(t, p).Protect(nil, voice(1, 200))
		if err != nil {
			t.Fatal(err)
		}
		p.Rollovers = nil
		r, err := NewReceiver(p, before)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Unprotect(nil, sealed); err != nil || r.Rollovers()[0].ROC != roc {
			t.Errorf("peer goes on with rollover counter %d: %v, %+v", roc, err, r.Rollovers())
		}
	}
}

func TestStreamThatWrapsUnseen(t *testing.T) {
	p := keysOf("AES_CM_128_HMAC_SHA1_32")
	s, r := sender(t, p), receiver(t, p)
	for index := 0xfff0; index < 0x10010; index++ {
		sealed, _, err := s.Protect(nil, voice(1, uint16(index)))
		if err != nil {
			t.Fatal(err)
		}
		if index > 0x10000 {
			if _, _, err := r.Unprotect(nil, sealed); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRTCPIndexSkips: what was sent since the last report is not sent again, however often the sender is resumed.
func TestRTCPIndexSkips(t *testing.T) {
	p := keysOf("AES_CM_128_HMAC_SHA1_80")
	r := receiver(t, p)
	for range 5 {
		s := sender(t, p)
		for range 700 { // reported on the way, but the last ones are not
			sealed, news, err := s.Protect(nil, report(1))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Unprotect(nil, sealed); err != nil {
				t.Fatalf("after %+v: %v", p.Rollovers, err)
			}
			if news != nil {
				p.Rollovers = []plan.Rollover{news.Rollover()}
			}
		}
	}
}

// TestRTCPIndexBeginsAboveTheFirst: a sender that nothing was reported to does not use what one before it may have used.
func TestRTCPIndexBeginsAboveTheFirst(t *testing.T) {
	for _, test := range []struct {
		known []plan.Rollover
		first uint32
		want  uint32
	}{
		{nil, 0, 1},
		{nil, 500, 501},
		{nil, maxRTCPIndex, maxRTCPIndex},
		{[]plan.Rollover{{SSRC: 1}}, 500, rtcpSkip + 1},
		{[]plan.Rollover{{SSRC: 2, Index: 300}}, 500, 501},
	} {
		p := keysOf("AEAD_AES_128_GCM")
		p.Rollovers, p.FirstIndex = test.known, test.first
		s := sender(t, p)
		if _, _, err := s.Protect(nil, voice(1, 7)); err != nil { // has no part in it
			t.Fatal(err)
		}
		sealed, news, err := s.Protect(nil, report(1))
		if err != nil || news == nil || news.Rollover().Index != test.want {
			t.Fatalf("%+v: first report %v, %v", test, news, err)
		}
		if index, ok := s.transform.indexOf(sealed); !ok || index != test.want {
			t.Errorf("%+v: index %d, %v", test, index, ok)
		}
	}
}

func TestCrossings(t *testing.T) {
	p := keysOf("AES_CM_128_HMAC_SHA1_80")
	s, r := sender(t, p), receiver(t, p)
	var sent, read []plan.Rollover
	for index := 100; index < 2<<16+10; index++ {
		if index%8 == 0 {
			continue // lost, the crossings of 0x8000 among them
		}
		sealed, news, err := s.Protect(nil, voice(1, uint16(index)))
		if err != nil {
			t.Fatal(err)
		}
		if news != nil {
			sent = append(sent, news.Rollover())
		}
		if _, news, err = r.Unprotect(nil, sealed); err != nil {
			t.Fatal(err)
		}
		if news != nil {
			read = append(read, news.Rollover())
		}
	}
	want := fmt.Sprint([]plan.Rollover{{SSRC: 1, Seq: 100}, {SSRC: 1, Seq: 0x8001}, {SSRC: 1, ROC: 1, Seq: 1}, {SSRC: 1, ROC: 1, Seq: 0x8001}, {SSRC: 1, ROC: 2, Seq: 1}})
	if fmt.Sprint(sent) != want || fmt.Sprint(read) != want {
		t.Errorf("sent %v\nread %v\nwant %v", sent, read, want)
	}
}

// TestIndexIsNotUsedTwice: a source that starts again below would have its key stream used twice.
func TestIndexIsNotUsedTwice(t *testing.T) {
	s := sender(t, keysOf("AEAD_AES_128_GCM"))
	for _, step := range []struct {
		seq  uint16
		want error
	}{{5000, nil}, {5001, nil}, {5001, ErrReplayed}, {5003, nil}, {5002, nil}, {5002, ErrReplayed}, {4000, ErrReplayed}, {40000, ErrReplayed}} {
		if _, _, err := s.Protect(nil, voice(1, step.seq)); !errors.Is(err, step.want) {
			t.Errorf("sequence number %d: %v, want %v", step.seq, err, step.want)
		}
	}
}
