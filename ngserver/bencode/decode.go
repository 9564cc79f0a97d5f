package bencode

import (
	"errors"
	"math"
)

// MaxDepth is how deep lists and dictionaries may be nested. The deepest NG message (a transform request) needs 6.
const MaxDepth = 32

var (
	// ErrTruncated means that the input ends inside a value. On a byte stream more input may complete it.
	ErrTruncated = errors.New("bencode: value is cut off")
	// ErrSyntax means that the input is no bencode, whatever follows.
	ErrSyntax = errors.New("bencode: malformed value")
	// ErrDepth means that the value is nested deeper than MaxDepth.
	ErrDepth = errors.New("bencode: nested too deeply")
)

// Decode reads the first value of b and returns it with what follows it. The value is []byte, int64, List or *Dict.
//
// Byte strings alias b, with their capacity cut, so b must not be changed while the value is in use; dictionary keys are
// copies. Time and memory are linear in the length of b. Errors are ErrTruncated, ErrSyntax or ErrDepth, unwrapped.
func Decode(b []byte) (value any, rest []byte, err error) {
	d := decoder{b: b}
	v, err := d.value(0)
	if err != nil {
		return nil, b, err
	}
	return v, b[d.i:], nil
}

// DecodeDict is Decode for an input whose first value must be a dictionary; any other value is ErrSyntax.
func DecodeDict(b []byte) (dict *Dict, rest []byte, err error) {
	if len(b) == 0 {
		return nil, b, ErrTruncated
	}
	if b[0] != 'd' {
		return nil, b, ErrSyntax
	}
	d := decoder{b: b, i: 1}
	dict, err = d.dict(1)
	if err != nil {
		return nil, b, err
	}
	return dict, b[d.i:], nil
}

type decoder struct {
	b []byte
	i int
}

func (d *decoder) value(depth int) (any, error) {
	if d.i >= len(d.b) {
		return nil, ErrTruncated
	}
	switch c := d.b[d.i]; {
	case c >= '0' && c <= '9':
		s, err := d.bytes()
		if err != nil {
			return nil, err
		}
		return s, nil
	case c == 'i':
		d.i++
		n, err := d.int()
		if err != nil {
			return nil, err
		}
		return n, nil
	case c == 'l':
		if depth >= MaxDepth {
			return nil, ErrDepth
		}
		d.i++
		l, err := d.list(depth + 1)
		if err != nil {
			return nil, err
		}
		return l, nil
	case c == 'd':
		if depth >= MaxDepth {
			return nil, ErrDepth
		}
		d.i++
		m, err := d.dict(depth + 1)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return nil, ErrSyntax
}

func (d *decoder) list(depth int) (List, error) {
	l := make(List, 0, 2) // NG's lists are mostly pairs and single words
	for {
		if d.i >= len(d.b) {
			return nil, ErrTruncated
		}
		if d.b[d.i] == 'e' {
			d.i++
			return l, nil
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
}

// A first allocation that holds a usual NG request spares the growth steps, but only the outermost dictionary is one.
const usualKeys = 16

func (d *decoder) dict(depth int) (*Dict, error) {
	m := &Dict{}
	if depth == 1 {
		m.Keys = make([]string, 0, usualKeys)
		m.Values = make([]any, 0, usualKeys)
	}
	for {
		if d.i >= len(d.b) {
			return nil, ErrTruncated
		}
		if d.b[d.i] == 'e' {
			d.i++
			return m, nil
		}
		key, err := d.bytes()
		if err != nil {
			return nil, err
		}
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		m.Keys = append(m.Keys, string(key))
		m.Values = append(m.Values, v)
	}
}

// int reads the digits and the closing e of an integer. Numbers outside of int64 become the nearest int64, as rtpengine
// reads them: such a number under a key that nobody needs must not fail a command.
func (d *decoder) int() (int64, error) {
	neg := false
	if d.i < len(d.b) && d.b[d.i] == '-' {
		neg = true
		d.i++
	}
	var n int64 // negative or zero: that side holds one more number
	start := d.i
	for ; d.i < len(d.b); d.i++ {
		c := d.b[d.i]
		if c == 'e' {
			if d.i == start {
				return 0, ErrSyntax
			}
			d.i++
			switch {
			case neg:
				return n, nil
			case n == math.MinInt64:
				return math.MaxInt64, nil
			}
			return -n, nil
		}
		if c < '0' || c > '9' || d.i > start && d.b[start] == '0' {
			return 0, ErrSyntax
		}
		digit := int64(c - '0')
		if n < (math.MinInt64+digit)/10 {
			n = math.MinInt64
		} else {
			n = n*10 - digit
		}
	}
	return 0, ErrTruncated
}

// maxLength is the longest byte string that is read. It only keeps the arithmetic from overflowing: what is allocated is
// never more than the input holds.
const maxLength = 1 << 30

// bytes reads a byte string with its length.
func (d *decoder) bytes() ([]byte, error) {
	n := 0
	for start := d.i; d.i < len(d.b); d.i++ {
		c := d.b[d.i]
		if c == ':' {
			if d.i == start {
				return nil, ErrSyntax
			}
			d.i++
			if n > len(d.b)-d.i {
				return nil, ErrTruncated
			}
			s := d.b[d.i : d.i+n : d.i+n]
			d.i += n
			return s, nil
		}
		if c < '0' || c > '9' || d.i > start && d.b[start] == '0' {
			return nil, ErrSyntax
		}
		n = n*10 + int(c-'0')
		if n > maxLength {
			return nil, ErrSyntax
		}
	}
	return nil, ErrTruncated
}

// Scan returns the length of the first value of b without decoding it, for finding the end of a message on a byte stream,
// where NG has no length. It allocates nothing. Errors are those of Decode; a value that Scan accepts, Decode accepts.
func Scan(b []byte) (int, error) {
	d := decoder{b: b}
	// Per open container: whether it is a dictionary, and whether its next value is a key.
	var isDict, wantKey [MaxDepth]bool
	depth := 0
	for {
		if d.i >= len(d.b) {
			return 0, ErrTruncated
		}
		c := d.b[d.i]
		if depth > 0 && c == 'e' {
			if isDict[depth-1] && !wantKey[depth-1] {
				return 0, ErrSyntax
			}
			d.i++
			depth--
		} else if depth > 0 && isDict[depth-1] && wantKey[depth-1] {
			if _, err := d.bytes(); err != nil {
				return 0, err
			}
			wantKey[depth-1] = false
			continue
		} else {
			switch {
			case c >= '0' && c <= '9':
				if _, err := d.bytes(); err != nil {
					return 0, err
				}
			case c == 'i':
				d.i++
				if _, err := d.int(); err != nil {
					return 0, err
				}
			case c == 'l' || c == 'd':
				if depth >= MaxDepth {
					return 0, ErrDepth
				}
				d.i++
				isDict[depth], wantKey[depth] = c == 'd', true
				depth++
				continue
			default:
				return 0, ErrSyntax
			}
		}
		// A whole value has been read.
		if depth == 0 {
			return d.i, nil
		}
		wantKey[depth-1] = true
	}
}
