package cluster

import (
	"testing"

	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// A node that is drained takes no new calls, and goes on with those that it has; until it is undrained.
func TestDrain(t *testing.T) {
	c := start(t, 3)
	n := c.nodes[0]
	old := c.place(n, n)
	if old.owner() != n {
		t.Fatalf("a new call of a node with room is at %s", old.owner().id)
	}
	if _, err := c.nodes[2].tool("node", "drain", n.id); err != nil {
		t.Fatal(err)
	}
	rows, err := c.nodes[1].list()
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[n.id]; r.Status == nil || !r.Status.Draining {
		t.Errorf("node list says of a draining node %+v", r)
	}
	ks := []*call{old}
	for _, at := range []*node{n, c.nodes[1], c.nodes[2], n, c.nodes[1], c.nodes[2]} {
		k := c.place(at, n)
		if k.owner() == n {
			t.Errorf("a new call, asked for at %s, is at the draining node", at.id)
		}
		ks = append(ks, k)
	}
	if err := old.move(n, c.nodes[1]); err != nil {
		t.Fatal(err)
	}
	if old.owner() != n {
		t.Errorf("a known call moved to %s", old.owner().id)
	}
	c.talkAll(ks)
	if _, err := n.tool("node", "undrain", n.id); err != nil {
		t.Fatal(err)
	}
	if k := c.place(n, n); k.owner() != n {
		t.Errorf("a new call at the undrained node is at %s", k.owner().id)
	} else {
		ks = append(ks, k)
	}

	// Drained to its end: the process ends when its last call does.
	if _, err := n.tool("node", "drain", n.id, "--stop"); err != nil {
		t.Fatal(err)
	}
	for _, k := range ks {
		select {
		case <-n.proc.Ended():
			t.Fatalf("the node has ended with a call: %s", n.proc.LastLines())
		default:
		}
		c.nodes[1].ok(remove(k.id))
	}
	eventually(t, "the drained node does not end", func() error {
		select {
		case <-n.proc.Ended():
			return nil
		default:
			return errNoReply
		}
	})
	n.up = false
	c.idle()
}

// A node that is full has its new calls placed with peers; only when all are full are they refused, in the words that the
// proxy knows, and never for a call that is known.
func TestFull(t *testing.T) {
	c := start(t, 3, "--max-sessions", "3")
	n := c.nodes[0]
	var ks []*call
	owners := map[string]int{}
	for range 9 {
		k := c.place(n, n)
		ks = append(ks, k)
		owners[k.owner().id]++
		// Peers learn of each other's room with the next heartbeat; what they say meanwhile does not matter.
	}
	for _, m := range c.nodes {
		if owners[m.id] != 3 {
			t.Errorf("calls by owner: %v, and each takes 3", owners)
		}
	}
	k, err := c.newCall(newID("full"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.close)
	for _, m := range c.nodes {
		m.refused(offer(k.id, k.a.sdp()), "Parallel session limit reached")
		r, err := m.do(offer(k.id, k.a.sdp(), dict{"supports": []any{"load limit"}}))
		if err != nil || r.dict["result"] != "load limit" {
			t.Errorf("%s: %v, %v", m.id, r.dict, err)
		}
		if err := ks[0].reinvite(m, m); err != nil {
			t.Error(err)
		}
	}
	c.talkAll(ks)
	n.ok(remove(ks[8].id))
	eventually(t, "no room at a node whose peer has some", func() error {
		if err := k.offer(n); err != nil {
			return err
		}
		return nil
	})
	n.ok(remove(k.id))
	for _, k := range ks[:8] {
		n.ok(remove(k.id))
	}
	c.idle()
}

// A known call whose owner is gone is answered for even if all who are left are full.
func TestFullTakesOver(t *testing.T) {
	lab.Only(t, "kills nodes")
	c := start(t, 3, "--max-sessions", "2")
	ks := c.placeEverywhere(6)
	dead := c.nodes[0]
	mine, _ := split(ks, dead)
	if len(mine) == 0 {
		t.Fatal("the node has no call")
	}
	dead.kill()
	up := c.running()
	for _, k := range mine {
		if err := k.reinvite(up[0], up[1]); err != nil {
			t.Error(err)
		}
	}
	c.talkAll(ks)
	for _, k := range ks {
		up[1].ok(remove(k.id))
	}
	c.idle()
}

// An operator has the calls of a node taken over.
func TestTakeover(t *testing.T) {
	c := start(t, 3)
	ks := c.placeEverywhere(12)
	dead := c.nodes[2]
	mine, rest := split(ks, dead)
	if _, err := c.nodes[0].tool("node", "takeover", dead.id); err == nil {
		t.Error("the calls of a node that is alive were taken over without --force")
	}
	dead.kill()
	up := c.running()
	eventually(t, "takeover", func() error { _, err := up[0].tool("node", "takeover", dead.id); return err })
	for _, k := range mine {
		if s := up[1].show(k.id); s.Call.Owner == dead.id || s.kinds()["taken_over"] != 1 {
			t.Errorf("%+v, %v", s.Call, s.kinds())
		}
	}
	procs.Each(t, len(mine), 4, func(i int) error { return mine[i].reinvite(up[0], up[1]) })
	c.talkAll(append(mine, rest...))
	dead.restart()
	c.agree()
	c.talkAll(ks)
	for _, k := range ks {
		dead.ok(remove(k.id))
	}
	c.idle()
}
