package admin

import (
	"slices"
	"strings"

	"rtpjet/projection/regions"
)

// Region is another region as the node sees it that hears it best.
type Region struct {
	regions.Status
	// Seen is the state by the word of each node that answers, if they differ.
	Seen map[string]string `json:"seen,omitempty"`
}

// Regions puts together what all nodes say of the other regions.
func Regions(nodes []Node) []Region {
	rows := make(map[string]*Region)
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		for _, s := range n.Status.Regions {
			r := rows[s.Region]
			if r == nil {
				r = &Region{Status: s, Seen: map[string]string{}}
				rows[s.Region] = r
			}
			r.Seen[n.Node] = s.State
			if better(s, r.Status) {
				r.Status = s
			}
		}
	}
	out := make([]Region, 0, len(rows))
	for _, r := range rows {
		same := true
		for _, state := range r.Seen {
			same = same && state == r.State
		}
		if same {
			r.Seen = nil
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Region) int { return strings.Compare(a.Region, b.Region) })
	return out
}

// better tells whether a node knows more of a region than another one: what speaks against a region counts before what does
// not, and then who has the younger mirror.
func better(a, b regions.Status) bool {
	rank := func(s regions.Status) int {
		return slices.Index([]string{regions.Refused, regions.Up, regions.CutOff, regions.Connecting}, s.State)
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra < rb
	}
	return a.AgeMS >= 0 && (b.AgeMS < 0 || a.AgeMS < b.AgeMS)
}
