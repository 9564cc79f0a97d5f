package admin

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Float is one unit of floating addresses, as the node tells of it that knows best.
type Float struct {
	FloatStatus
	// Seen is the holder by the word of each node that answers, if they differ.
	Seen map[string]string `json:"seen,omitempty"`
	Warm []string          `json:"warm"` // nodes that have all calls ready
}

// Floats puts together what nodes say of the floats: the holder's own word counts most.
func Floats(nodes []Node) []Float {
	rows := make(map[string]*Float)
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		for _, s := range n.Status.Floats {
			r := rows[s.Float]
			if r == nil {
				r = &Float{FloatStatus: s, Seen: map[string]string{}}
				rows[s.Float] = r
			}
			r.Seen[n.Node] = s.Holder
			if s.Warm && !s.Holding {
				r.Warm = append(r.Warm, n.Node)
			}
			if s.Holding || !r.Holding && (s.Epoch > r.Epoch || r.Holder == "") {
				r.FloatStatus = s
			}
		}
	}
	var out []Float
	for _, r := range rows {
		agreed := true
		for _, h := range r.Seen {
			agreed = agreed && h == r.Holder
		}
		if agreed {
			r.Seen = nil
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Float) int { return cmp.Compare(a.Float, b.Float) })
	return out
}

// named finds the float that an operator means.
func named(rows []Float, name string) (Float, error) {
	if len(rows) == 0 {
		return Float{}, errors.New("the cluster has no floating address; give its nodes a --float")
	}
	var found []Float
	for _, r := range rows {
		match := r.Float == name || slices.ContainsFunc(r.Addresses, func(a string) bool {
			iface, addr, _ := strings.Cut(a, "/")
			return a == name || iface == name || addr == name
		})
		if match {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return Float{}, fmt.Errorf("there is no floating address %s; rtpjet float list shows them", name)
	case len(found) > 1:
		return Float{}, fmt.Errorf("%s stands for %d floating addresses; name one by its address, as in rtpjet float list", name, len(found))
	}
	return found[0], nil
}
