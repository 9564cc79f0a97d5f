package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// The codecs of this test are its own: they keep the order of keys and allow a key twice, which some scripts need, and they
// share no fault with the program under test.

func encodeBencode(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		b = strconv.AppendInt(b, int64(len(v)), 10)
		b = append(b, ':')
		return append(b, v...)
	case int64:
		b = append(b, 'i')
		b = strconv.AppendInt(b, v, 10)
		return append(b, 'e')
	case []any:
		b = append(b, 'l')
		for _, e := range v {
			b = encodeBencode(b, e)
		}
		return append(b, 'e')
	case []arg:
		b = append(b, 'd')
		for _, a := range v {
			b = encodeBencode(b, a.key)
			b = encodeBencode(b, a.val)
		}
		return append(b, 'e')
	}
	panic(fmt.Sprintf("cannot encode %T", v))
}

func encodeJSON(v any) []byte {
	switch v := v.(type) {
	case string:
		if v == "true" || v == "false" {
			return []byte(v)
		}
		out, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return out
	case int64:
		return strconv.AppendInt(nil, v, 10)
	case []any:
		b := []byte{'['}
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, encodeJSON(e)...)
		}
		return append(b, ']')
	case []arg:
		b := []byte{'{'}
		for i, a := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, encodeJSON(any(a.key))...)
			b = append(b, ':')
			b = append(b, encodeJSON(a.val)...)
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("cannot encode %T", v))
}

// decodeReply reads the dictionary of a reply, bencode or JSON by its first byte.
func decodeReply(b []byte) (map[string]any, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("reply is empty")
	}
	if b[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var v map[string]any
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("decode JSON reply %q: %w", b, err)
		}
		return plain(v).(map[string]any), nil
	}
	v, rest, err := decodeBencode(b, 0)
	if err != nil {
		return nil, fmt.Errorf("decode bencode reply %q: %w", b, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("reply has %d bytes after its dictionary: %q", len(rest), rest)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("reply is no dictionary: %q", b)
	}
	return m, nil
}

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		return v.String()
	}
	return v
}

func decodeBencode(b []byte, depth int) (any, []byte, error) {
	if depth > 50 {
		return nil, nil, fmt.Errorf("nested too deep")
	}
	if len(b) == 0 {
		return nil, nil, fmt.Errorf("ends early")
	}
	switch c := b[0]; {
	case c == 'i':
		end := bytes.IndexByte(b, 'e')
		if end < 0 {
			return nil, nil, fmt.Errorf("integer without end")
		}
		n, err := strconv.ParseInt(string(b[1:end]), 10, 64)
		return n, b[end+1:], err
	case c == 'l' || c == 'd':
		var list []any
		b = b[1:]
		for {
			if len(b) == 0 {
				return nil, nil, fmt.Errorf("ends early")
			}
			if b[0] == 'e' {
				b = b[1:]
				break
			}
			v, rest, err := decodeBencode(b, depth+1)
			if err != nil {
				return nil, nil, err
			}
			list, b = append(list, v), rest
		}
		if c == 'l' {
			return list, b, nil
		}
		m := map[string]any{}
		for i := 0; i+1 < len(list); i += 2 {
			k, ok := list[i].(string)
			if !ok {
				return nil, nil, fmt.Errorf("key is no string")
			}
			if _, ok := m[k]; ok {
				return nil, nil, fmt.Errorf("key %q twice", k)
			}
			m[k] = list[i+1]
		}
		return m, b, nil
	case c >= '0' && c <= '9':
		colon := bytes.IndexByte(b, ':')
		if colon < 0 {
			return nil, nil, fmt.Errorf("string without colon")
		}
		n, err := strconv.Atoi(string(b[:colon]))
		if err != nil || n < 0 || n > len(b)-colon-1 {
			return nil, nil, fmt.Errorf("bad string length %q", b[:colon])
		}
		return string(b[colon+1 : colon+1+n]), b[colon+1+n:], nil
	}
	return nil, nil, fmt.Errorf("unexpected byte %q", b[0])
}
