package members

import (
	"strings"

	"rtpjet/relay/plan"
)

// A zone says where a node is, or one of its interfaces: names with slashes between, from the widest to the narrowest, such
// as eu/fra/a. The empty one is nowhere in particular.

// ValidZone tells whether s can be a zone. The empty one can.
func ValidZone(s string) bool {
	if s == "" {
		return true
	}
	for name := range strings.SplitSeq(s, "/") {
		if name == "" || strings.IndexFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		}) >= 0 {
			return false
		}
	}
	return true
}

// Nearness is how many names two zones begin with alike: the more, the nearer they are. The empty zone is near to nothing.
func Nearness(a, b string) int {
	n := 0
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, "/")
		y, b, _ = strings.Cut(b, "/")
		if x != y {
			break
		}
		n++
	}
	return n
}

// place is where a node is.
type place struct {
	zone       string
	interfaces *plan.Interfaces // nil: not known
}

// hasZone tells whether anybody has said where the node is.
func (p place) hasZone() bool {
	if p.zone != "" || p.interfaces == nil {
		return p.zone != ""
	}
	return p.interfaces.Zoned()
}

// near is how near to a zone a call would be that has these interfaces: the sum of them all.
func (p place) near(zone string, w Wish) int {
	if p.interfaces == nil {
		return 0
	}
	if len(w.Interfaces) == 0 {
		return Nearness(zone, p.interfaces.Zone("", w.Turn))
	}
	n := 0
	for _, name := range w.Interfaces {
		n += Nearness(zone, p.interfaces.Zone(name, w.Turn))
	}
	return n
}
