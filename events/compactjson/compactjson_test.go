package compactjson_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"rtpjet/events/compactjson"
)

// marshal is encoding/json without its escapes for HTML.
func marshal(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A string is written as encoding/json writes it, and read again.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/", "\x00\x1f\x7f\b\f\n\r\t", "<&>", "\u2028\u2029\u202a", "grüße", "\ufffd", "\xff", "\xed\xa0\x80", "\U0001f600"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w compactjson.Writer
		w.String(s)
		if w.Invalid() == utf8.ValidString(s) {
			t.Fatalf("%q: invalid is %v", s, w.Invalid())
		}
		r := compactjson.NewReader(w.Bytes())
		got := r.Text()
		if w.Invalid() {
			if !r.Bad() {
				t.Fatalf("%q was read, and is not UTF-8", w.Bytes())
			}
			return
		}
		if want := marshal(t, s); string(w.Bytes()) != want {
			t.Fatalf("got %s, want %s", w.Bytes(), want)
		}
		if r.Bad() || string(got) != s || len(r.Rest()) != 0 {
			t.Fatalf("%s was read as %q, bad: %v", w.Bytes(), got, r.Bad())
		}
	})
}

// read reads a value to its end; ok is false if the reader gave up.
func read[T any](data []byte, f func(*compactjson.Reader) T) (v T, ok bool) {
	r := compactjson.NewReader(data)
	v = f(&r)
	return v, !r.Bad() && len(r.Rest()) == 0
}

// same checks that what was read is what encoding/json reads.
func same[T comparable](t *testing.T, data []byte, f func(*compactjson.Reader) T) {
	t.Helper()
	got, ok := read(data, f)
	if !ok {
		return
	}
	var want T
	if err := json.Unmarshal(data, &want); err != nil || got != want {
		t.Fatalf("%q as %T: %v, encoding/json says %v, %v", data, want, got, want, err)
	}
}

// No value is read that encoding/json refuses or reads otherwise.
func FuzzValue(f *testing.F) {
	for _, s := range []string{
		"0", "-0", "-1", "01", "1.0", "1e2", "18446744073709551615", "18446744073709551616", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "-9223372036854775809", "true", "false", "null", `""`, `"a"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud800"`, `"\/"`, `"\x"`,
		`"192.0.2.1"`, `"192.0.2.1:80"`, `"192.0.2.01:80"`, `"192.0.2.1:080"`, `"192.0.2.256:1"`, `"192.0.2.1:65536"`, `"[2001:db8::1]:80"`, `"[fe80::1%e]:80"`, `"::ffff:192.0.2.1"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		same(t, data, (*compactjson.Reader).Uint64)
		same(t, data, (*compactjson.Reader).Int64)
		same(t, data, (*compactjson.Reader).Int)
		same(t, data, (*compactjson.Reader).Bool)
		same(t, data, (*compactjson.Reader).Addr)
		same(t, data, (*compactjson.Reader).AddrPort)
		if utf8.Valid(data) {
			same(t, data, func(r *compactjson.Reader) string { return string(r.Text()) })
		}
	})
}

// Addresses are written as encoding/json writes them, and read again.
func TestAddresses(t *testing.T) {
	for _, s := range []string{"", "192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", `fe80::1%"` + "\u2028"} {
		var a netip.Addr
		if err := a.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		var w compactjson.Writer
		w.Addr(a)
		if want := marshal(t, a); string(w.Bytes()) != want {
			t.Errorf("got %s, want %s", w.Bytes(), want)
		}
		if got, ok := read(w.Bytes(), (*compactjson.Reader).Addr); !ok || got != a {
			t.Errorf("%s was read as %v", w.Bytes(), got)
		}
		ap := netip.AddrPort{}
		if a.IsValid() {
			ap = netip.AddrPortFrom(a, 65535)
		}
		w = compactjson.Writer{}
		w.AddrPort(ap)
		if want := marshal(t, ap); string(w.Bytes()) != want {
			t.Errorf("got %s, want %s", w.Bytes(), want)
		}
		if got, ok := read(w.Bytes(), (*compactjson.Reader).AddrPort); !ok || got != ap {
			t.Errorf("%s was read as %v", w.Bytes(), got)
		}
	}
}

// point reads {"x":…,"y":[…]}.
func point(r *compactjson.Reader) (x int, y []int) {
	var seen uint64
	for k, ok := r.Key(false); ok; k, ok = r.Key(true) {
		var bit uint64
		switch string(k) {
		case "x":
			bit, x = 1, r.Int()
		case "y":
			bit = 1 << 63
			r.Ints(&y)
		}
		r.Once(&seen, bit)
	}
	return x, y
}

func TestObject(t *testing.T) {
	for s, want := range map[string]bool{
		`{}`: true, `{"x":1}`: true, `{"x":1,"y":[2]}`: true, `{"y":[2,-3],"x":1}`: true, `{"y":[1,2,3,4,5,6,7,8,9,10]}`: true,
		``: false, `{`: false, `}`: false, `[]`: false, `{ }`: false, `{"x":1,}`: false, `{,"x":1}`: false, `{"x":1 }`: false, `{"x" :1}`: false, `{"x": 1}`: false,
		`{"x":1,"x":1}`: false, `{"y":[1],"y":[1]}`: false, `{"z":1}`: false, `{"X":1}`: false, `{"x"}`: false, `{"x":}`: false, `{"y":[]}`: false, `{"y":[1,]}`: false,
		`{"y":[,1]}`: false, `{"y":1}`: false, `{"y":null}`: false, `{"\u0078":1}`: false, `{"x":1}{`: false, `{"x":1`: false,
	} {
		r := compactjson.NewReader([]byte(s))
		x, y := point(&r)
		ok := !r.Bad() && len(r.Rest()) == 0
		if ok != want {
			t.Errorf("%s: read is %v", s, ok)
		}
		if ok {
			var v struct {
				X int   `json:"x"`
				Y []int `json:"y"`
			}
			if err := json.Unmarshal([]byte(s), &v); err != nil || v.X != x || !bytes.Equal([]byte(marshal(t, v.Y)), []byte(marshal(t, y))) {
				t.Errorf("%s: %d %v, encoding/json says %+v, %v", s, x, y, v, err)
			}
		}
	}
}

func TestWriter(t *testing.T) {
	w := compactjson.NewWriter([]byte("> "))
	w.Open('{')
	w.Key(`"a":`)
	w.Open('[')
	w.Close(']')
	w.OptString(`"b":`, "")
	w.StringField(`"c":`, "")
	w.OptInt(`"d":`, 0)
	w.OptUint(`"e":`, 1)
	w.OptBool(`"f":`, false)
	w.BoolField(`"g":`, false)
	w.Key(`"h":`)
	w.Strings([]string{"x", "y"})
	w.Key(`"i":`)
	w.Strings(nil)
	w.Key(`"j":`)
	w.Ints([]int{1, -2})
	w.Key(`"k":`)
	w.Ints(nil)
	w.Key(`"l":`)
	w.Raw([]byte(`{}`))
	w.Key(`"m":`)
	w.Plain(func(b []byte) []byte { return append(b, "eA=="...) })
	w.Close('}')
	if got, want := string(w.Bytes()), `> {"a":[],"c":"","e":1,"g":false,"h":["x","y"],"i":null,"j":[1,-2],"k":null,"l":{},"m":"eA=="}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
