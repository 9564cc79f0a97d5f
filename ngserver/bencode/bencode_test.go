package bencode

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDecode(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	tests := []struct {
		in   string
		want any
		rest string
		err  error
	}{
		{in: "4:ping", want: b("ping")},
		{in: "0:", want: b("")},
		{in: "3:\x00\xff:x", want: b("\x00\xff:"), rest: "x"},
		{in: "i0e", want: int64(0)},
		{in: "i-0e", want: int64(0)},
		{in: "i-42exyz", want: int64(-42), rest: "xyz"},
		{in: "i9223372036854775807e", want: int64(math.MaxInt64)},
		{in: "i-9223372036854775808e", want: int64(math.MinInt64)},
		{in: "i9223372036854775808e", want: int64(math.MaxInt64)},
		{in: "i-9223372036854775809e", want: int64(math.MinInt64)},
		{in: "i99999999999999999999999999e", want: int64(math.MaxInt64)},
		{in: "le", want: List{}},
		{in: "li1e1:ale", want: nil, err: ErrTruncated},
		{in: "li1e1:alee", want: List{int64(1), b("a"), List{}}},
		{in: "de", want: &Dict{}},
		{in: "d1:b1:x1:a1:y1:bi1ee", want: &Dict{Keys: []string{"b", "a", "b"}, Values: []any{b("x"), b("y"), int64(1)}}},

		{in: "", err: ErrTruncated},
		{in: "i", err: ErrTruncated},
		{in: "i5", err: ErrTruncated},
		{in: "4", err: ErrTruncated},
		{in: "4:pin", err: ErrTruncated},
		{in: "l", err: ErrTruncated},
		{in: "d", err: ErrTruncated},
		{in: "d1:a", err: ErrTruncated},
		{in: "d1:ai1e", err: ErrTruncated},
		{in: "1073741824:x", err: ErrTruncated},
		{in: "1073741825:x", err: ErrSyntax},
		{in: "99999999999999999999:x", err: ErrSyntax},
		{in: "-1:x", err: ErrSyntax},
		{in: ":x", err: ErrSyntax},
		{in: "01:x", err: ErrSyntax},
		{in: "ie", err: ErrSyntax},
		{in: "i-e", err: ErrSyntax},
		{in: "i03e", err: ErrSyntax},
		{in: "i-03e", err: ErrSyntax},
		{in: "i+3e", err: ErrSyntax},
		{in: "i3.5e", err: ErrSyntax},
		{in: "x", err: ErrSyntax},
		{in: "e", err: ErrSyntax},
		{in: "di5e1:ae", err: ErrSyntax},
		{in: "d1:ae", err: ErrSyntax},
		{in: strings.Repeat("l", 32) + strings.Repeat("e", 31), err: ErrTruncated},
		{in: strings.Repeat("l", 33), err: ErrDepth},
		{in: strings.Repeat("d1:a", 33), err: ErrDepth},
	}
	for _, tt := range tests {
		got, rest, err := Decode([]byte(tt.in))
		if !errors.Is(err, tt.err) {
			t.Errorf("%.40q: error %v, want %v", tt.in, err, tt.err)
			continue
		}
		n, scanErr := Scan([]byte(tt.in))
		if !errors.Is(scanErr, tt.err) {
			t.Errorf("%.40q: Scan says %v, Decode %v", tt.in, scanErr, err)
		}
		if err != nil {
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: -want +got\n%s", tt.in, diff)
		}
		if string(rest) != tt.rest || n != len(tt.in)-len(rest) {
			t.Errorf("%q: rest %q, want %q; Scan says %d", tt.in, rest, tt.rest, n)
		}
	}
}

func TestDecodeDict(t *testing.T) {
	for in, want := range map[string]error{"": ErrTruncated, "le": ErrSyntax, "i1e": ErrSyntax, "d": ErrTruncated, "de": nil} {
		if _, _, err := DecodeDict([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

// Byte strings alias the input, but appending to one must not write into it.
func TestZeroCopy(t *testing.T) {
	in := []byte("l1:a1:be")
	v, _, err := Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	first := v.(List)[0].([]byte)
	if &first[0] != &in[3] {
		t.Error("byte string was copied")
	}
	_ = append(first, 'X')
	if string(in) != "l1:a1:be" {
		t.Errorf("input is now %q", in)
	}
}

// Hostile input costs no more than its size: the bound is on what a message of 64 kB can make us allocate.
func TestHostileInputIsCheap(t *testing.T) {
	const size = 64 << 10
	for _, unit := range []string{"l", "le", "de", "d1:a", "0:", "i0e", "9", "d0:", "d0:0:e"} {
		for _, prefix := range []string{"", "l", "d1:al"} {
			in := []byte(prefix + strings.Repeat(unit, size/len(unit)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, _ = Decode(in)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 100*size {
				t.Errorf("%q of %q: %d bytes allocated for %d of input", prefix, unit, got, len(in))
			}
		}
	}
}

func TestAppend(t *testing.T) {
	d := new(Dict).
		Add("z", "last").
		Add("a", []byte{0xff}).
		Add("n", -5).
		Add("t", true).
		Add("f", false).
		Add("l", List{int64(1), "x", []string{"p", "q"}, Dict{}}).
		Add("d", new(Dict).Add("k", "v"))
	got, err := Append([]byte("C "), d)
	if err != nil {
		t.Fatal(err)
	}
	want := "C d1:z4:last1:a1:\xff1:ni-5e1:ti1e1:fi0e1:lli1e1:xl1:p1:qedee1:dd1:k1:vee"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var te *TypeError
	if got, err := Append([]byte("x"), List{3.5}); !errors.As(err, &te) || string(got) != "x" {
		t.Errorf("float: %q, %v", got, err)
	}
	deep := List{}
	for range MaxDepth {
		deep = List{deep}
	}
	if _, err := Append(nil, deep); !errors.Is(err, ErrDepth) {
		t.Errorf("deep list: %v", err)
	}
}

func TestDictAccess(t *testing.T) {
	d := new(Dict).Add("a", 1).Add("b", 2).Add("a", 3)
	if v, ok := d.Get("a"); !ok || v != 3 {
		t.Errorf("Get of a repeated key: %v, %v; the last one counts", v, ok)
	}
	if _, ok := d.Get("c"); ok {
		t.Error("Get of a missing key")
	}
	d.Set("b", 5).Set("c", 6)
	if v, _ := d.Get("b"); v != 5 || d.Len() != 4 {
		t.Errorf("after Set: %v", d)
	}
	var none *Dict
	if _, ok := none.Get("a"); ok {
		t.Error("Get of a nil Dict")
	}
}

func TestScanStream(t *testing.T) {
	stream := []byte("d1:ai1eed1:bl1:xeeX")
	for _, want := range []string{"d1:ai1ee", "d1:bl1:xee"} {
		n, err := Scan(stream)
		if err != nil || string(stream[:n]) != want {
			t.Fatalf("got %q, %v; want %q", stream[:n], err, want)
		}
		stream = stream[n:]
	}
	if got := testing.AllocsPerRun(10, func() { _, _ = Scan(stream) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

var sink any

func BenchmarkDecode(b *testing.B) {
	in, err := Append(nil, new(Dict).
		Add("sdp", bytes.Repeat([]byte("x"), 1200)).Add("ICE", "remove").
		Add("direction", []string{"a", "b"}).Add("flags", []string{"a", "b"}).Add("replace", []string{"origin", "session-connection"}).
		Add("call-id", "0123456789012345678").Add("received-from", []string{"IP4", "127.0.0.1"}).Add("from-tag", "f").
		Add("command", "offer"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		sink, _, _ = Decode(in)
	}
}
