package events

import (
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// reader reads JSON in the one form that the writer gives it: no blanks, no null but where the writer has one, no key twice.
// Whatever else it meets makes it bad for good, and encoding/json has the last word on that entry. It must never read
// something that encoding/json refuses or reads differently.
type reader struct {
	b   []byte
	i   int // what is next
	bad bool
}

// peek tells whether c is next.
func (r *reader) peek(c byte) bool { return r.i < len(r.b) && r.b[r.i] == c }

// skip passes over c if it is next.
func (r *reader) skip(c byte) bool {
	if r.peek(c) {
		r.i++
		return true
	}
	return false
}

// literal passes over s if it is next.
func (r *reader) literal(s string) bool {
	if rest := r.b[r.i:]; len(rest) >= len(s) && string(rest[:len(s)]) == s {
		r.i += len(s)
		return true
	}
	return false
}

func (r *reader) want(c byte) {
	if !r.skip(c) {
		r.bad = true
	}
}

// key begins an object, or goes to its next field. ok is false at the object's end and for good once the reader is bad.
func (r *reader) key(begun bool) (k []byte, ok bool) {
	if r.bad {
		return nil, false
	}
	rest := r.b[r.i:]
	lead := byte('{')
	if begun {
		lead = ','
	}
	if len(rest) > 2 && rest[0] == lead && rest[1] == '"' {
		// Our keys are plain letters: what else there may be in a string ends in a key that nobody knows.
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
		r.want('{')
	}
	r.want('}')
	return nil, false
}

// once notes that a field was read. encoding/json merges a field that comes twice; bit 0 is a field that nobody knows.
func (r *reader) once(seen *uint64, bit uint64) {
	if bit == 0 || *seen&bit != 0 {
		r.bad = true
	}
	*seen |= bit
}

// element begins an array, or goes to its next element. The writer has no empty arrays where it uses this.
func (r *reader) element(begun bool) bool {
	switch {
	case r.bad:
		return false
	case !begun:
		r.want('[')
	case r.skip(']'):
		return false
	default:
		r.want(',')
	}
	return !r.bad
}

// text reads a string; what it returns may be a part of the entry.
func (r *reader) text() []byte {
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
func (r *reader) escaped() []byte {
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

func (r *reader) escape(out []byte) []byte {
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

func (r *reader) uint64() uint64 {
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

func (r *reader) int64() int64 {
	minus := r.skip('-')
	n := r.uint64()
	switch {
	case minus && (n == 0 || n > 1<<63), !minus && n > 1<<63-1:
		r.bad = true
	case minus:
		return -int64(n)
	}
	return int64(n)
}

func (r *reader) int() int {
	n := r.int64()
	if int64(int(n)) != n { // where an int has 32 bits
		r.bad = true
	}
	return int(n)
}

func (r *reader) bool() bool {
	switch {
	case r.literal("true"):
		return true
	case r.literal("false"):
	default:
		r.bad = true
	}
	return false
}

func (r *reader) addr() (a netip.Addr) {
	t := r.text()
	if a, n := ipv4(t); n > 0 && n == len(t) {
		return a
	}
	if a.UnmarshalText(t) != nil {
		r.bad = true
	}
	return a
}

func (r *reader) addrPort() (a netip.AddrPort) {
	t := r.text()
	if a, n := ipv4(t); n > 0 && n < len(t) && t[n] == ':' {
		if port, ok := decimal(t[n+1:], 5); ok && port <= 0xffff {
			return netip.AddrPortFrom(a, uint16(port))
		}
	}
	if a.UnmarshalText(t) != nil {
		r.bad = true
	}
	return a
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
		v, ok := decimal(t[start:n], 3)
		if !ok || v > 255 {
			return a, 0
		}
		ip[i] = byte(v)
	}
	return netip.AddrFrom4(ip), n
}

// decimal reads a number of at most so many digits, without zeros in front.
func decimal(t []byte, most int) (n uint, ok bool) {
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
