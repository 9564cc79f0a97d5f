package bench

import (
	"bytes"
	"strconv"
)

// plainlyOK tells whether a reply's dictionary says that all went well, without a warning. If it returns false, the library has
// to read the reply: it may be good all the same. What an rtpengine answers to a delete has all that it knows of the call, and
// the library takes longer to make maps of that than all else that a call costs the client. A test holds what this function
// takes for good to what the library makes of it.
func plainlyOK(dict []byte) bool {
	if len(dict) == 0 || dict[0] != 'd' {
		return false
	}
	good := false
	for rest := dict[1:]; len(rest) > 0; {
		if rest[0] == 'e' {
			return good
		}
		key, value, ok := cutString(rest)
		if !ok {
			return false
		}
		switch string(key) {
		case "result":
			result, after, ok := cutString(value)
			if !ok || string(result) != "ok" && string(result) != "pong" {
				return false
			}
			good, rest = true, after
		case "sdp":
			if _, rest, ok = cutString(value); !ok {
				return false
			}
		case "warning", "message", "error-reason":
			return false
		default:
			if rest, ok = skipValue(value, 0); !ok {
				return false
			}
		}
	}
	return false // cut off
}

// cutString returns the string at the start of b, and what follows it.
func cutString(b []byte) (s, rest []byte, ok bool) {
	const digits = 6 // as many as the length of a datagram needs, and one more
	head, _, found := bytes.Cut(b[:min(len(b), digits)], []byte{':'})
	if !found {
		return nil, nil, false
	}
	n, err := strconv.ParseUint(string(head), 10, 31)
	b = b[len(head)+1:]
	if err != nil || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// maxDepth is deeper than any reply nests.
const maxDepth = 24

// skipValue returns what follows the value at the start of b.
func skipValue(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 || depth > maxDepth {
		return nil, false
	}
	kind := b[0]
	switch kind {
	case 'i':
		number, rest, found := bytes.Cut(b[1:], []byte{'e'})
		_, err := strconv.ParseInt(string(number), 10, 64)
		return rest, found && err == nil
	case 'l', 'd':
		for rest = b[1:]; len(rest) > 0; {
			if rest[0] == 'e' {
				return rest[1:], true
			}
			if kind == 'd' {
				if _, rest, ok = cutString(rest); !ok {
					return nil, false
				}
			}
			if rest, ok = skipValue(rest, depth+1); !ok {
				return nil, false
			}
		}
		return nil, false
	}
	_, rest, ok = cutString(b)
	return rest, ok
}
