package compactjson

import (
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// Reader reads JSON as the [Writer] gives it: no blanks, no null but where the caller looks for one, no key twice. Whatever else
// it meets makes it bad for good, and encoding/json has the last word on that text. What it returns then means nothing.
type Reader struct {
	b   []byte
	i   int // what is next
	bad bool
}

// NewReader returns a Reader of b, which it does not change. Only what Text returns may be a part of b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Bad tells whether the text is not in the one form.
func (r *Reader) Bad() bool { return r.bad }

// Fail makes the reader bad.
func (r *Reader) Fail() { r.bad = true }

// Rest is what was not read yet.
func (r *Reader) Rest() []byte { return r.b[r.i:] }

// At is how much was read.
func (r *Reader) At() int { return r.i }

// Span is a part of what was read, between two places that At returned.
func (r *Reader) Span(from, to int) []byte { return r.b[from:to] }

// Pass passes over the next n bytes of Rest.
func (r *Reader) Pass(n int) { r.i += n }

// skip passes over c if it is next.
func (r *Reader) skip(c byte) bool {
	if r.i < len(r.b) && r.b[r.i] == c {
		r.i++
		return true
	}
	return false
}

// Literal passes over s if it is next.
func (r *Reader) Literal(s string) bool {
	if rest := r.b[r.i:]; len(rest) >= len(s) && string(rest[:len(s)]) == s {
		r.i += len(s)
		return true
	}
	return false
}

// Want passes over c, which must be next.
func (r *Reader) Want(c byte) {
	if !r.skip(c) {
		r.bad = true
	}
}

// Key begins an object, or goes to its next field. ok is false at the object's end and for good once the reader is bad.
func (r *Reader) Key(begun bool) (k []byte, ok bool) {
	if r.bad {
		return nil, false
	}
	rest := r.b[r.i:]
	lead := byte('{')
	if begun {
		lead = ','
	}
	if len(rest) > 2 && rest[0] == lead && rest[1] == '"' {
		// Keys are plain letters: what else there may be in a string ends in a key that nobody knows.
		rest = rest[2:]
		for i, c := range rest {
			if c != '"' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == ':' {
				r.i += i + 4
				return rest[:i], true
			}
			break
		}
		r.bad = true
		return nil, false
	}
	if !begun {
		r.Want('{')
	}
	r.Want('}')
	return nil, false
}

// Once notes that a field was read, each by a bit of its own. encoding/json merges a field that comes twice and passes over one
// that nobody knows, whose bit is 0: either makes the reader bad.
func (r *Reader) Once(seen *uint64, bit uint64) {
	if bit == 0 || *seen&bit != 0 {
		r.bad = true
	}
	*seen |= bit
}

// Element begins an array, or goes to its next element. An array must have one: look for the literal [] before if it need not.
func (r *Reader) Element(begun bool) bool {
	switch {
	case r.bad:
		return false
	case !begun:
		r.Want('[')
	case r.skip(']'):
		return false
	default:
		r.Want(',')
	}
	return !r.bad
}

// Text reads a string; what it returns may be a part of what is read.
func (r *Reader) Text() []byte {
	rest := r.b[r.i:]
	if len(rest) == 0 || rest[0] != '"' {
		r.bad = true
		return nil
	}
	rest = rest[1:]
	high := byte(0)
	for i, c := range rest {
		high |= c
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		switch {
		case c == '\\':
			r.i++
			return r.escaped()
		case c == '"' && (high < utf8.RuneSelf || utf8.Valid(rest[:i])):
			r.i += i + 2
			return rest[:i]
		}
		break
	}
	r.bad = true
	return nil
}

// escaped reads the rest of a string that has an escape in it.
func (r *Reader) escaped() []byte {
	var out []byte
	for r.i < len(r.b) {
		c := r.b[r.i]
		r.i++
		switch {
		case c == '"' && utf8.Valid(out):
			return out
		case c < ' ', c == '"':
			r.bad = true
			return nil
		case c != '\\':
			out = append(out, c)
		default:
			out = r.escape(out)
		}
	}
	r.bad = true
	return nil
}

func (r *Reader) escape(out []byte) []byte {
	if r.i < len(r.b) {
		c := r.b[r.i]
		r.i++
		switch c {
		case '"', '\\':
			return append(out, c)
		case 'b':
			return append(out, '\b')
		case 'f':
			return append(out, '\f')
		case 'n':
			return append(out, '\n')
		case 'r':
			return append(out, '\r')
		case 't':
			return append(out, '\t')
		case 'u':
			if r.i+4 <= len(r.b) {
				n, err := strconv.ParseUint(string(r.b[r.i:r.i+4]), 16, 16)
				if err == nil && (n < 0xd800 || n > 0xdfff) { // half a rune: leave it to encoding/json
					r.i += 4
					return utf8.AppendRune(out, rune(n))
				}
			}
		}
	}
	r.bad = true
	return out
}

// Uint64 reads a number.
func (r *Reader) Uint64() uint64 {
	rest := r.b[r.i:]
	n, digits := uint64(0), len(rest)
	for i, c := range rest {
		if c < '0' || c > '9' {
			digits = i
			break
		}
		n = n*10 + uint64(c-'0')
	}
	r.i += digits
	switch {
	case digits == 0, digits > 1 && rest[0] == '0', digits > 20:
		r.bad = true
	case digits == 20: // 19 digits always fit
		n, err := strconv.ParseUint(string(rest[:20]), 10, 64)
		r.bad = r.bad || err != nil
		return n
	}
	return n
}

// Int64 reads a number.
func (r *Reader) Int64() int64 {
	minus := r.skip('-')
	n := r.Uint64()
	switch {
	case minus && (n == 0 || n > 1<<63), !minus && n > 1<<63-1:
		r.bad = true
	case minus:
		return -int64(n)
	}
	return int64(n)
}

// Int reads a number.
func (r *Reader) Int() int {
	n := r.Int64()
	if int64(int(n)) != n { // where an int has 32 bits
		r.bad = true
	}
	return int(n)
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	switch {
	case r.Literal("true"):
		return true
	case r.Literal("false"):
	default:
		r.bad = true
	}
	return false
}

// Addr reads an address; an empty string is the invalid one.
func (r *Reader) Addr() (a netip.Addr) {
	t := r.Text()
	if a, n := ipv4(t); n > 0 && n == len(t) {
		return a
	}
	if a.UnmarshalText(t) != nil {
		r.bad = true
	}
	return a
}

// AddrPort reads an address and port; an empty string is the zero value.
func (r *Reader) AddrPort() (a netip.AddrPort) {
	t := r.Text()
	if a, n := ipv4(t); n > 0 && n < len(t) && t[n] == ':' {
		if port, ok := Decimal(t[n+1:], 5); ok && port <= 0xffff {
			return netip.AddrPortFrom(a, uint16(port))
		}
	}
	if a.UnmarshalText(t) != nil {
		r.bad = true
	}
	return a
}

// UpTo reads a number that is not above a bound.
func (r *Reader) UpTo(most uint64) uint64 {
	n := r.Uint64()
	if n > most {
		r.bad = true
	}
	return n
}

// Between reads a number within bounds.
func (r *Reader) Between(least, most int64) int64 {
	n := r.Int64()
	if n < least || n > most {
		r.bad = true
	}
	return n
}

// ipv4 reads an address in dotted form from the start of t. n is its length; 0 if there is none, or one of another form.
func ipv4(t []byte) (a netip.Addr, n int) {
	var ip [4]byte
	for i := range ip {
		if i > 0 {
			if n >= len(t) || t[n] != '.' {
				return a, 0
			}
			n++
		}
		start := n
		for n < len(t) && n-start < 3 && '0' <= t[n] && t[n] <= '9' {
			n++
		}
		v, ok := Decimal(t[start:n], 3)
		if !ok || v > 255 {
			return a, 0
		}
		ip[i] = byte(v)
	}
	return netip.AddrFrom4(ip), n
}

// Decimal reads a number of at most so many digits, without zeros in front.
func Decimal(t []byte, most int) (n uint, ok bool) {
	if len(t) == 0 || len(t) > most || len(t) > 1 && t[0] == '0' {
		return 0, false
	}
	for _, c := range t {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint(c-'0')
	}
	return n, true
}

// Ints reads a list of numbers.
func (r *Reader) Ints(list *[]int) {
	var few [8]int
	read := few[:0]
	for begun := false; r.Element(begun); begun = true {
		read = append(read, r.Int())
	}
	*list = append(make([]int, 0, len(read)), read...)
}
