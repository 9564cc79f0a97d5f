package relay

import (
	"bytes"
	"testing"
)

func TestWithoutFeedback(t *testing.T) {
	report, names := "\x80\xc9\x00\x01rrrr", "\x81\xca\x00\x03ssss\x01\x02ab\x00\x00\x00\x00"
	nack, pli, padded := "\x81\xcd\x00\x03nnnnmmmm\x00\x64\x00\x00", "\x81\xce\x00\x02ppppqqqq", "\xa1\xce\x00\x03ppppqqqq\x00\x00\x00\x04"
	for name, c := range map[string]struct{ pkt, want string }{
		"report":                      {report, report},
		"report and feedback":         {report + nack, report},
		"feedback between":            {report + pli + names + nack, report + names},
		"feedback first":              {pli + report, report},
		"feedback only":               {nack, ""},
		"feedback only, two":          {nack + padded, ""},
		"padded":                      {report + names + padded, report + names},
		"cut":                         {report + nack[:8], report},
		"says more than there is":     {report + names[:12], report},
		"trailing bytes":              {report + "\x80\xc9\x00", report},
		"of another version":          {report + "\x40\xc9\x00\x00", report},
		"no packet at all":            {"\x80\xc9\xff\xffrrrr", ""},
		"feedback behind what is cut": {report + "\x80\xc9\xff\xff" + nack, report},
	} {
		buf, pkt := make([]byte, 0, 1500), []byte(c.pkt)
		if got := withoutFeedback(buf, pkt); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if string(pkt) != c.pkt {
			t.Errorf("%s: the packet itself has changed", name)
		}
	}
}

// FuzzWithoutFeedback: what comes out consists of whole packets without feedback, all that were there before something unreadable.
func FuzzWithoutFeedback(f *testing.F) {
	f.Add([]byte("\x80\xc9\x00\x01rrrr\x81\xce\x00\x02ppppqqqq"))
	f.Add([]byte("\x81\xcd\x00\x03nnnnmmmm\x00\x64\x00\x00\x81\xca\x00\x01ssss"))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		var want []byte
		for rest := pkt; len(rest) >= 4 && rest[0]>>6 == 2; {
			n := 4 * (int(rest[2])<<8 + int(rest[3]) + 1)
			if n > len(rest) {
				break
			}
			if rest[1] != 205 && rest[1] != 206 {
				want = append(want, rest[:n]...)
			}
			rest = rest[n:]
		}
		before := bytes.Clone(pkt)
		got := withoutFeedback(make([]byte, 0, len(pkt)), pkt)
		if !bytes.Equal(got, want) || !bytes.Equal(pkt, before) {
			t.Fatalf("% x became % x, want % x", before, got, want)
		}
	})
}

func TestWithoutFeedbackAllocatesNothing(t *testing.T) {
	a, b := twoParties()
	a.Mux, a.RTCPSinks, b.NoFeedback = true, a.RTPSinks, true
	sc := newScript(4, a, b)
	pkt := []byte("\x81\xce\x00\x02ppppqqqq\x80\xc9\x00\x01rrrr")
	allocs := testing.AllocsPerRun(1000, func() { sc.handle(sc.streams[a.Local], pkt, a.Signalled, 1) })
	if st := sc.streams[b.Local].stats().Out; allocs != 0 || st.Packets == 0 || st.Bytes != 8*st.Packets {
		t.Errorf("%v allocations a packet, %+v sent", allocs, st)
	}
}
