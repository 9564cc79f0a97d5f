package relay

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// withExtension is an RTP packet with so many CSRCs and a header extension.
func withExtension(csrcs int, profile uint16, body []byte) []byte {
	pkt := append([]byte{0x90 | byte(csrcs), 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4}, bytes.Repeat([]byte("csrc"), csrcs)...)
	pkt = binary.BigEndian.AppendUint16(pkt, profile)
	pkt = binary.BigEndian.AppendUint16(pkt, uint16((len(body)+3)/4))
	pkt = append(pkt, body...)
	for len(body)%4 != 0 {
		pkt, body = append(pkt, 0), append(body, 0)
	}
	return append(pkt, "payload"...)
}

// withoutExtension is the same with none.
func withoutExtension(csrcs int) []byte {
	pkt := append([]byte{0x80 | byte(csrcs), 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4}, bytes.Repeat([]byte("csrc"), csrcs)...)
	return append(pkt, "payload"...)
}

func TestMaskedExtensions(t *testing.T) {
	one, two := uint16(oneByteProfile), uint16(twoByteProfile)
	for name, c := range map[string]struct {
		profile    uint16
		body, want string // want: none if empty
		masked     []uint8
	}{
		"the first":              {one, "\x10a\x21bb\x30c", "\x21bb\x30c", []uint8{1}},
		"the last":               {one, "\x10a\x21bb\x30c", "\x10a\x21bb", []uint8{3}},
		"in between":             {one, "\x10a\x21bb\x30c", "\x10a\x30c", []uint8{2}},
		"all":                    {one, "\x10a\x21bb\x30c", "", []uint8{1, 2, 3}},
		"twice":                  {one, "\x10a\x20b\x10c", "\x20b", []uint8{1}},
		"padding between":        {one, "\x10a\x00\x00\x00\x21bb\x00\x30c", "\x10a\x30c", []uint8{2}},
		"padding only is left":   {one, "\x00\x00\x10a", "", []uint8{1}},
		"none of them":           {one, "\x10a\x00\x00\x21bb", "\x10a\x00\x00\x21bb", []uint8{3, 14, 200}},
		"longest":                {one, "\x1f0123456789abcdef\x20b", "\x20b", []uint8{1}},
		"id 15 ends it":          {one, "\x10a\x20b\xf0c\x30d", "\x20b", []uint8{1}},
		"hidden behind id 15":    {one, "\x20b\xf0c\x10a", "\x20b", []uint8{1}},
		"id 0 with a length":     {one, "\x20b\x02ccc\x10a", "\x20b", []uint8{1}},
		"longer than there is":   {one, "\x20b\x1fa", "\x20b", []uint8{1}},
		"nothing that is left":   {one, "\xf0c\x10a", "", []uint8{1}},
		"two bytes":              {two, "\x01\x01a\x02\x00\xc8\x02cc", "\x01\x01a\xc8\x02cc", []uint8{2}},
		"two bytes, high id":     {two, "\x01\x01a\x02\x00\xc8\x02cc", "\x01\x01a\x02\x00", []uint8{200}},
		"two bytes, all":         {two + 15, "\x01\x01a\xff\x00", "", []uint8{1, 255}},
		"two bytes, padding":     {two, "\x00\x01\x01a\x00\x02\x01b", "\x02\x01b", []uint8{1}},
		"two bytes, cut":         {two, "\x02\x01b\x01\x09aaaa", "\x02\x01b", []uint8{1}},
		"two bytes, no length":   {two, "\x02\x00\x00\x01", "\x02\x00", []uint8{1}},
		"other kind":             {0x1234, "\x10a\x20b", "\x10a\x20b", []uint8{1, 2}},
		"other kind, almost two": {0x1010, "\x01\x01a", "\x01\x01a", []uint8{1}},
		"empty":                  {one, "", "none", []uint8{1}},
	} {
		for _, csrcs := range []int{0, 2, 15} {
			pkt := withExtension(csrcs, c.profile, []byte(c.body))
			want := withExtension(csrcs, c.profile, []byte(c.want))
			switch c.want {
			case "":
				want = withoutExtension(csrcs)
			case "none":
				want = bytes.Clone(pkt)
			}
			if got := newExtensionIDs(c.masked).without(pkt); !bytes.Equal(got, want) {
				t.Errorf("%s, %d CSRCs: % x, want % x", name, csrcs, got, want)
			}
		}
	}
	if newExtensionIDs(nil) != nil {
		t.Error("an empty set is not nil")
	}
}

// FuzzMaskedExtensions: what comes out has none of the masked elements, is never longer, has the same payload, and is the same when it
// goes through again.
func FuzzMaskedExtensions(f *testing.F) {
	f.Add(withExtension(1, oneByteProfile, []byte("\x10a\x21bb\x30c")), []byte{2})
	f.Add(withExtension(0, twoByteProfile, []byte("\x01\x01a\x02\x00\xc8\x02cc")), []byte{1, 200})
	f.Add(voice, []byte{1})
	f.Add([]byte{0x9f, 0}, []byte{0})
	f.Fuzz(func(t *testing.T, pkt, ids []byte) {
		masked := newExtensionIDs(ids)
		if masked == nil {
			return
		}
		before := bytes.Clone(pkt)
		got := masked.without(pkt)
		if len(got) > len(before) || len(before)-len(got) > 4+4*0xffff {
			t.Fatalf("%d bytes of %d", len(got), len(before))
		}
		if len(before) < rtpHeader || before[0]&extensionBit == 0 {
			if !bytes.Equal(got, before) {
				t.Fatalf("% x became % x", before, got)
			}
			return
		}
		header, ok := rtpLength(before)
		after, okAfter := rtpLength(got)
		if ok != okAfter {
			t.Fatalf("% x became % x", before, got)
		}
		if !ok {
			return
		}
		if !bytes.Equal(before[header:], got[after:]) {
			t.Fatalf("payload % x became % x", before[header:], got[after:])
		}
		for id := range elements(got) {
			if masked.has(id) {
				t.Fatalf("id %d is in % x", id, got)
			}
		}
		for id, n := range elements(before) {
			if !masked.has(id) && elements(got)[id] != n {
				t.Fatalf("id %d is %d times in % x and %d times in % x", id, n, before, elements(got)[id], got)
			}
		}
		once := bytes.Clone(got)
		if again := masked.without(got); !bytes.Equal(again, once) {
			t.Fatalf("% x became % x at the second time", once, again)
		}
	})
}

// rtpLength is how long the header of an RTP packet is, false if the packet is shorter.
func rtpLength(pkt []byte) (n int, ok bool) {
	n = rtpHeader + 4*int(pkt[0]&15)
	if pkt[0]&extensionBit == 0 {
		return n, len(pkt) >= n
	}
	if len(pkt) < n+4 {
		return 0, false
	}
	n += 4 + 4*int(binary.BigEndian.Uint16(pkt[n+2:]))
	return n, len(pkt) >= n
}

// elements counts the elements of each id in a packet whose header is whole, read as RFC 8285 says, byte by byte.
func elements(pkt []byte) map[uint8]int {
	out := map[uint8]int{}
	end, _ := rtpLength(pkt)
	at := rtpHeader + 4*int(pkt[0]&15)
	if pkt[0]&extensionBit == 0 {
		return out
	}
	profile := binary.BigEndian.Uint16(pkt[at:])
	for i := at + 4; i < end; {
		switch {
		case pkt[i] == 0:
			i++
		case profile == oneByteProfile:
			id, n := pkt[i]>>4, int(pkt[i]&15)+1
			if id == 0 || id == 15 || i+1+n > end {
				return out
			}
			out[id]++
			i += 1 + n
		case profile>>4 == twoByteProfile>>4:
			if i+2 > end || i+2+int(pkt[i+1]) > end {
				return out
			}
			out[pkt[i]]++
			i += 2 + int(pkt[i+1])
		default:
			return out
		}
	}
	return out
}

func TestMaskedExtensionsAllocateNothing(t *testing.T) {
	a, b := twoParties()
	a.MaskExtensions = []uint8{1, 3}
	sc := newScript(4, a, b)
	whole := withExtension(0, oneByteProfile, []byte("\x10a\x21bb\x30c"))
	pkt := make([]byte, len(whole))
	allocs := testing.AllocsPerRun(1000, func() {
		copy(pkt, whole)
		sc.handle(sc.streams[a.Local], pkt, a.Signalled, 1)
	})
	if st := sc.streams[b.Local].stats().Out; allocs != 0 || st.Packets == 0 || st.Bytes != st.Packets*uint64(len(whole)-4) {
		t.Errorf("%v allocations a packet, %+v sent of %d bytes each", allocs, st, len(whole))
	}
}
