package bencode

import (
	"fmt"
	"strconv"
)

// AppendInt appends an integer to dst.
func AppendInt(dst []byte, n int64) []byte {
	dst = append(dst, 'i')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, 'e')
}

// AppendString appends a byte string, or a dictionary key, to dst.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, ':')
	return append(dst, s...)
}

// A TypeError says that a Go value has no bencode form.
type TypeError struct{ Value any }

func (e *TypeError) Error() string { return fmt.Sprintf("bencode: cannot encode a %T", e.Value) }

// Append appends the encoding of v to dst: string, []byte, int, int64, bool (1 or 0), List, []string, *Dict or Dict, in
// any nesting up to MaxDepth. Dictionaries keep the order of their entries. On an error (*TypeError, ErrDepth) dst comes
// back as it was.
func Append(dst []byte, v any) ([]byte, error) {
	out, err := appendValue(dst, v, 0)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return AppendString(dst, v), nil
	case string:
		return AppendString(dst, v), nil
	case int64:
		return AppendInt(dst, v), nil
	case int:
		return AppendInt(dst, int64(v)), nil
	case bool:
		if v {
			return append(dst, "i1e"...), nil
		}
		return append(dst, "i0e"...), nil
	case []string:
		if depth >= MaxDepth {
			return dst, ErrDepth
		}
		dst = append(dst, 'l')
		for _, s := range v {
			dst = AppendString(dst, s)
		}
		return append(dst, 'e'), nil
	case List:
		if depth >= MaxDepth {
			return dst, ErrDepth
		}
		dst = append(dst, 'l')
		var err error
		for _, e := range v {
			if dst, err = appendValue(dst, e, depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, 'e'), nil
	case Dict:
		return appendValue(dst, &v, depth)
	case *Dict:
		if depth >= MaxDepth {
			return dst, ErrDepth
		}
		dst = append(dst, 'd')
		var err error
		for i, k := range v.Keys {
			dst = AppendString(dst, k)
			if dst, err = appendValue(dst, v.Values[i], depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, 'e'), nil
	}
	return dst, &TypeError{Value: v}
}
