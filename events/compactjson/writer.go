package compactjson

import (
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// Writer appends JSON to a buffer. The zero Writer begins an empty one.
type Writer struct {
	b       []byte
	comma   bool // a value stands before the next one
	invalid bool
}

// NewWriter returns a Writer that appends to b.
func NewWriter(b []byte) Writer { return Writer{b: b} }

// Bytes returns what is there so far.
func (w *Writer) Bytes() []byte { return w.b }

// Invalid tells whether a string was not UTF-8. What was written then is no JSON.
func (w *Writer) Invalid() bool { return w.invalid }

// Open begins an object or an array; c is its first character.
func (w *Writer) Open(c byte) {
	w.b = append(w.b, c)
	w.comma = false
}

// Close ends an object or an array; c is its last character.
func (w *Writer) Close(c byte) {
	w.b = append(w.b, c)
	w.comma = true
}

// Element comes before each element of an array.
func (w *Writer) Element() {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
}

// Key begins a field of an object. The key is given as it stands in JSON, with its colon: "name":
func (w *Writer) Key(k string) {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
	w.b = append(w.b, k...)
}

// Raw appends a value that is JSON already.
func (w *Writer) Raw(b []byte) {
	w.b = append(w.b, b...)
	w.comma = true
}

// Null writes null.
func (w *Writer) Null() {
	w.b = append(w.b, "null"...)
	w.comma = true
}

// Plain writes what f appends as a string. It must be printable ASCII without quotes and backslashes.
func (w *Writer) Plain(f func(b []byte) []byte) {
	w.b = append(w.b, '"')
	w.b = f(w.b)
	w.b = append(w.b, '"')
}

const hexDigits = "0123456789abcdef"

// String writes a string.
func (w *Writer) String(s string) {
	w.b = append(w.b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				w.invalid = true
			}
			if r == '\u2028' || r == '\u2029' { // JavaScript takes these for line ends
				w.b = append(w.b, s[start:i]...)
				w.b = append(w.b, `\u202`...)
				w.b = append(w.b, hexDigits[r&0xf])
				start = i + n
			}
			i += n
			continue
		}
		w.b = append(w.b, s[start:i]...)
		w.b = appendEscape(w.b, c)
		i++
		start = i
	}
	w.b = append(w.b, s[start:]...)
	w.b = append(w.b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}

// Int writes a number.
func (w *Writer) Int(n int64) { w.b = strconv.AppendInt(w.b, n, 10) }

// Uint writes a number.
func (w *Writer) Uint(n uint64) { w.b = strconv.AppendUint(w.b, n, 10) }

// Bool writes true or false.
func (w *Writer) Bool(v bool) { w.b = strconv.AppendBool(w.b, v) }

// Addr writes an address; the invalid one is an empty string.
func (w *Writer) Addr(a netip.Addr) {
	if a.Zone() != "" { // whose text may have to be escaped
		w.String(a.String())
		return
	}
	w.b = append(w.b, '"')
	if a.IsValid() {
		w.b = a.AppendTo(w.b)
	}
	w.b = append(w.b, '"')
}

// AddrPort writes an address and port; the zero value is an empty string.
func (w *Writer) AddrPort(a netip.AddrPort) {
	if a.Addr().Zone() != "" {
		w.String(a.String())
		return
	}
	w.b = append(w.b, '"')
	if a != (netip.AddrPort{}) {
		w.b = a.AppendTo(w.b)
	}
	w.b = append(w.b, '"')
}

// Strings writes a list of strings; a nil one is null.
func (w *Writer) Strings(list []string) {
	if list == nil {
		w.Null()
		return
	}
	w.Open('[')
	for _, s := range list {
		w.Element()
		w.String(s)
	}
	w.Close(']')
}

// Ints writes a list of numbers; a nil one is null.
func (w *Writer) Ints(list []int) {
	if list == nil {
		w.Null()
		return
	}
	w.Open('[')
	for _, n := range list {
		w.Element()
		w.Int(int64(n))
	}
	w.Close(']')
}

// The methods below write a field, those that begin with Opt one that is left out if it is empty.

// StringField writes a field.
func (w *Writer) StringField(k, s string) {
	w.Key(k)
	w.String(s)
}

// OptString writes a field if it is not empty.
func (w *Writer) OptString(k, s string) {
	if s != "" {
		w.StringField(k, s)
	}
}

// IntField writes a field.
func (w *Writer) IntField(k string, n int64) {
	w.Key(k)
	w.Int(n)
}

// OptInt writes a field if it is not 0.
func (w *Writer) OptInt(k string, n int64) {
	if n != 0 {
		w.IntField(k, n)
	}
}

// UintField writes a field.
func (w *Writer) UintField(k string, n uint64) {
	w.Key(k)
	w.Uint(n)
}

// OptUint writes a field if it is not 0.
func (w *Writer) OptUint(k string, n uint64) {
	if n != 0 {
		w.UintField(k, n)
	}
}

// BoolField writes a field.
func (w *Writer) BoolField(k string, v bool) {
	w.Key(k)
	w.Bool(v)
}

// OptBool writes a field if it is true.
func (w *Writer) OptBool(k string, v bool) {
	if v {
		w.BoolField(k, true)
	}
}
