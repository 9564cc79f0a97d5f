package cluster

import (
	"testing"

	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// A fourth node joins and knows of one other only; nobody is told of it. It answers for every call, and owns new ones. It
// leaves, and its calls go on elsewhere.
func TestJoinAndLeave(t *testing.T) {
	lab.Only(t, "nodes come and go")
	c := start(t, 3)
	ks := c.placeEverywhere(calls(60))
	n := c.add("n4", 4, "--nats-routes", c.nodes[1].route())
	n.restart()
	c.agree()
	procs.Each(t, len(ks), 8, func(i int) error {
		k := ks[i]
		if _, err := n.good(query(k.id)); err != nil {
			return err
		}
		if i%2 == 0 {
			return k.reinvite(n, n)
		}
		return k.move(n, c.nodes[i%3])
	})
	c.talkAll(ks)
	fresh := c.place(n, c.nodes[0])
	if fresh.owner() != n {
		t.Errorf("a new call at the node that joined is at %s", fresh.owner().id)
	}
	if err := fresh.reinvite(c.nodes[0], c.nodes[2]); err != nil {
		t.Fatal(err)
	}
	l := c.traffic(c.nodes[:3], 2)
	l.more(t, 5)
	n.stop()
	if err := fresh.reinvite(c.nodes[0], c.nodes[1]); err != nil {
		t.Error(err)
	} else if fresh.owner() == n {
		t.Error("a call stayed at the node that left")
	} else if err := fresh.talk(); err != nil {
		t.Error(err)
	}
	l.more(t, 20)
	l.end(t, "a node left")
	c.talkAll(ks)
	for i, k := range append(ks, fresh) {
		c.nodes[i%3].ok(remove(k.id))
	}
	c.idle()
}

// One node alone takes calls, of which all are there when it starts as a single node again; as a cluster it says what is in
// the way.
func TestAloneBecomesCluster(t *testing.T) {
	c := assemble(t, newLoopback(), 3)
	alone := c.add("alone", 9)
	alone.alone = true
	alone.restart()
	alone.stop()
	alone.alone = false
	alone.args = []string{"--nats-routes", c.nodes[0].route()}
	alone.fails("a server that stood alone", "--data-dir")
}
