package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rtpjet/tests/lab"
)

// New calls are spread over the nodes of the zone of the node that is asked. When these are full, they go to the next zone.
func TestZones(t *testing.T) {
	lab.Only(t, "four nodes and their faults")
	const room = 4
	c := assemble(t, newLoopback(), 3, "--max-sessions", fmt.Sprint(room))
	a, b, far := c.nodes[0], c.nodes[1], c.nodes[2]
	for n, zone := range map[*node]string{a: "eu/fra", b: "eu/fra", far: "us/nyc"} {
		n.args = append(n.args, "--zone", zone)
	}
	c.launch()
	rows, err := a.list()
	if err != nil {
		t.Fatal(err)
	}
	if rows[a.id].Zone != "eu/fra" || rows[far.id].Zone != "us/nyc" {
		t.Errorf("node list says %+v", rows)
	}
	if out, err := far.tool("node", "list"); err != nil || !strings.Contains(out, "ZONE") || !strings.Contains(out, "us/nyc") {
		t.Errorf("%v\n%s", err, out)
	}

	var ks []*call
	owners := map[*node]int{}
	place := func(n int) {
		for range n {
			k := c.place(a, b)
			ks = append(ks, k)
			owners[k.owner()]++
		}
	}
	place(room) // half of what the zone takes
	if owners[a] == 0 || owners[b] == 0 || owners[far] > 0 {
		t.Errorf("calls in the zone: %d and %d, elsewhere: %d", owners[a], owners[b], owners[far])
	}
	place(room)
	if owners[a] != room || owners[b] != room {
		t.Errorf("calls in the zone: %d and %d, and each node takes %d", owners[a], owners[b], room)
	}
	place(room - 1)
	if owners[far] != room-1 {
		t.Errorf("calls elsewhere: %d, and the zone was full before %d", owners[far], room-1)
	}
	k := c.place(far, a)
	if k.owner() != far {
		t.Errorf("a call in the other zone is at %s", k.owner().id)
	}
	ks = append(ks, k)
	c.talkAll(ks)
	for _, k := range ks {
		b.ok(remove(k.id))
	}
	c.idle()
}

// With floating addresses, the zone of a float's holder is what counts.
func TestFloatZones(t *testing.T) {
	lab.Only(t, "seven machines and their faults")
	f := withVoters(t, newSpread(t), 3, floatOne, floatTwo)
	f.carry(f.nodes[:2]...)
	for i, zone := range []string{"eu/fra", "us/nyc", "eu/ber"} {
		f.nodes[i].args = append(f.nodes[i].args, "--zone", zone)
	}
	f.begin()
	holders := f.settled()
	eventually(t, "two floats stay at one node", func() error {
		if holders = f.settled(); holders[0] == holders[1] {
			return errors.New("they are there")
		}
		return nil
	})
	voter := f.nodes[2]
	var ks []*call
	for range 4 {
		for asked, holder := range map[*node]*node{voter: f.nodes[0], f.nodes[0]: f.nodes[0], f.nodes[1]: f.nodes[1]} {
			k := f.place(asked, voter)
			ks = append(ks, k)
			if at := k.atB.Addr(); at != f.addrs[0] && at != f.addrs[1] || (at == f.addrs[0]) != (holders[0] == holder) {
				t.Errorf("a call that %s was asked for is at %s, and that is not the float of %s", asked.id, at, holder.id)
			}
		}
	}
	for _, k := range ks {
		voter.ok(remove(k.id))
	}
	f.idle()
}
