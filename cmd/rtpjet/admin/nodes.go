package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"rtpjet/projection/members"
)

// Node is one node of a region: by its lease, and by its own word if it answers.
type Node struct {
	members.Lease
	Verdict string  `json:"verdict"` // alive, silent or gone, as its peers see it; the state of its lease if it gave that back
	Status  *Status `json:"status,omitempty"`
}

// Nodes reads the leases of a region and asks each node.
func Nodes(ctx context.Context, link Link) ([]Node, error) {
	leases, err := Leases(ctx, link)
	if err != nil {
		return nil, err
	}
	out := make([]Node, len(leases))
	for i, l := range leases {
		out[i].Lease = l
		if s, err := AskStatus(ctx, link, l.Node); err == nil {
			out[i].Status = &s
		}
	}
	for i := range out {
		out[i].Verdict = verdict(out, i)
	}
	return out, nil
}

// verdict is how a node is, by its own word, or else by that of its peers.
func verdict(nodes []Node, i int) string {
	if nodes[i].Status != nil {
		return members.Alive.String()
	}
	if nodes[i].State != members.Up {
		return nodes[i].State
	}
	for _, n := range nodes {
		if n.Status == nil {
			continue
		}
		for _, p := range n.Status.Peers {
			if p.Node == nodes[i].Node {
				return p.Verdict.String()
			}
		}
	}
	return "unknown"
}

// Zoned tells whether the node has a zone, or one of its interfaces has.
func (n Node) Zoned() bool {
	return n.Zone != "" || slices.ContainsFunc(n.Interfaces, func(i members.LeaseInterface) bool { return i.Zone != "" })
}

// Zones are the node's zone, and those of the interfaces that are elsewhere: eu/fra/a pub=eu/fra/b.
func (n Node) Zones() string {
	out := []string{cmp.Or(n.Zone, "-")}
	for _, i := range n.Interfaces {
		if text := i.Name + "=" + i.Zone; i.Zone != n.Zone && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
}
