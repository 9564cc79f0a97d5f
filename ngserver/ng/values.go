package ng

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Text reads a wire value as a string: a byte string, a number in decimal, a JSON bool as "yes" or "no", or a list with one
// such element. ok is false for anything else.
func Text(v any) (s string, ok bool) {
	switch v := v.(type) {
	case []byte:
		return string(v), true
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		if v {
			return "yes", true
		}
		return "no", true
	case List:
		if len(v) == 1 {
			if _, nested := v[0].(List); !nested {
				return Text(v[0])
			}
		}
	}
	return "", false
}

// str reads a byte string or JSON string and nothing else.
func str(v any) (string, bool) {
	switch v := v.(type) {
	case []byte:
		return string(v), true
	case string:
		return v, true
	}
	return "", false
}

// Int reads a wire value as an integer: an integer, a decimal string (blanks around it allowed), a JSON bool as 1 or 0, or
// a JSON number without a fraction. Numbers out of range become the nearest int64. ok is false for anything else.
func Int(v any) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float64:
		switch {
		case v >= math.MaxInt64:
			return math.MaxInt64, true
		case v <= math.MinInt64:
			return math.MinInt64, true
		case v == math.Trunc(v):
			return int64(v), true
		}
		return 0, false
	}
	s, ok := Text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return n, true // ParseInt saturates
	}
	return n, err == nil
}

// Strings reads a wire value as a list of strings: a list, of which members that are no strings are skipped, or one string,
// which is split at its commas. Empty parts are left out.
func Strings(v any) []string {
	var out []string
	eachString(v, func(s string) { out = append(out, s) })
	return out
}

func eachString(v any, f func(string)) {
	if l, ok := v.(List); ok {
		for _, e := range l {
			if s, ok := str(e); ok && s != "" {
				f(s)
			}
		}
		return
	}
	s, ok := Text(v)
	if !ok {
		return
	}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			f(part)
		}
	}
}

// isOn reads the words for yes and no that NG uses for switches. ok is false for other words.
func isOn(v any) (on, ok bool) {
	s, _ := Text(v)
	switch strings.ToLower(s) {
	case "yes", "on", "true", "1", "enable", "enabled":
		return true, true
	case "no", "off", "false", "0", "disable", "disabled":
		return false, true
	}
	return false, false
}

// ParseAddr reads an IP address as clients write it: with blanks or brackets around it, with a zone, with the family in
// front ("IP4 192.0.2.1", "IP6:2001:db8::1"). The result has no zone and is never an IPv4-mapped IPv6 address; it is invalid
// if s is no address.
func ParseAddr(s string) netip.Addr {
	s = strings.TrimSpace(s)
	if len(s) > 4 && (s[0] == 'I' || s[0] == 'i') && (s[1] == 'P' || s[1] == 'p') && (s[2] == '4' || s[2] == '6') {
		s = strings.TrimLeft(s[3:], " :/,")
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone("").Unmap()
}

// addrValue reads an address from [family, address], from [address] or from a plain string: the forms of "received from".
func addrValue(v any) netip.Addr {
	if l, ok := v.(List); ok {
		for i := len(l) - 1; i >= 0; i-- {
			if s, ok := str(l[i]); ok {
				if a := ParseAddr(s); a.IsValid() {
					return a
				}
			}
		}
		return netip.Addr{}
	}
	s, _ := Text(v)
	if a := ParseAddr(s); a.IsValid() {
		return a
	}
	if _, after, found := strings.Cut(s, ","); found {
		return ParseAddr(after)
	}
	return netip.Addr{}
}

// maxWord is the longest key or flag that is compared. Every known one is shorter.
const maxWord = 48

// fold writes s in the form in which keys and flags are compared, ASCII lower case with hyphens for blanks and underscores,
// into buf and returns it. It returns nil for a word longer than buf. Positions stay: fold(s)[i] belongs to s[i].
func fold(buf []byte, s string) []byte {
	if len(s) > len(buf) {
		return nil
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == ' ' || c == '_':
			c = '-'
		}
		buf[i] = c
	}
	return buf[:len(s)]
}

// word folds an enum value, whose letters count: only blanks and underscores become hyphens.
func word(s string) string {
	if !strings.ContainsAny(s, " _") {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c == ' ' || c == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

// unescape undoes the escapes of codec, sdp-attr and tag lists: "--" is "=", ".." is a blank (docs/ng.md, "Spellings").
func unescape(s string) string {
	if !strings.Contains(s, "--") && !strings.Contains(s, "..") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if i+1 < len(s) && s[i] == s[i+1] && (s[i] == '-' || s[i] == '.') {
			if s[i] == '-' {
				b.WriteByte('=')
			} else {
				b.WriteByte(' ')
			}
			i++
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
