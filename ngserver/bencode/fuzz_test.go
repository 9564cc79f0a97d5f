package bencode

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	zeebo "github.com/zeebo/bencode"
)

// FuzzDecode checks the decoder against itself (Scan, and encoding again) and against an independent library: what both
// accept, both read alike.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"d7:command4:pinge", "d3:sdp2147483647:abce", "li1ei-2e0:de", "d1:bl1:x1:ye1:ad1:ci0eee", "llllllll", "d1:a", "i-0e",
		"i9223372036854775808e", "d1:a1:x1:a1:ye",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, rest, err := Decode(in)
		n, scanErr := Scan(in)
		if err != scanErr {
			t.Fatalf("Decode says %v, Scan %v", err, scanErr)
		}
		if err != nil {
			return
		}
		if n != len(in)-len(rest) {
			t.Fatalf("Decode took %d bytes, Scan %d", len(in)-len(rest), n)
		}
		again, err := Append(nil, v)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		v2, _, err := Decode(again)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if diff := cmp.Diff(v, v2, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("round trip: %s", diff)
		}
		oracle(t, in[:n], v)
	})
}

// oracle compares with zeebo/bencode. It is given only what we accepted, so that all lengths in it are within the input:
// that library allocates what a length says.
func oracle(t *testing.T, in []byte, v any) {
	var want any
	if err := zeebo.NewDecoder(bytes.NewReader(in)).Decode(&want); err != nil {
		return
	}
	if saturated(v) {
		return
	}
	if diff := cmp.Diff(want, plain(v), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%q: -zeebo +ours\n%s", in, diff)
	}
}

// plain turns a value into what the oracle makes of it.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case List:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case *Dict:
		out := make(map[string]any, len(v.Keys))
		for i, k := range v.Keys {
			out[k] = plain(v.Values[i])
		}
		return out
	}
	return v
}

// saturated tells whether v holds an integer at the end of the range, which may stand for one beyond.
func saturated(v any) bool {
	switch v := v.(type) {
	case int64:
		return v == 1<<63-1 || v == -1<<63
	case List:
		for _, e := range v {
			if saturated(e) {
				return true
			}
		}
	case *Dict:
		for _, e := range v.Values {
			if saturated(e) {
				return true
			}
		}
	}
	return false
}
