package cluster

import (
	"strings"
	"testing"
	"time"

	"rtpjet/tests/lab"
)

// Bounds within which a node that cannot reach the log says so: at first it waits for an election to end, which takes as long
// as a client is patient; once it knows, it says so before the client sends again.
const (
	refusedAtFirst = 3 * time.Second
	refusedWithin  = time.Second
)

// A node loses its way to NATS and keeps its media network. Its calls go on and are left alone; commands at the others go
// on; at the node itself they are refused soon. When the way is back everything is as before, without a restart.
func TestMinorityCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	s := newSpread(t)
	c := assemble(t, s, 3)
	c.launch()
	ks := c.placeEverywhere(9)
	cut := c.nodes[2]
	mine, rest := split(ks, cut)
	s.pull(natsNet, 3)

	// New calls and known ones at the majority, and none of them at the node that cannot be asked.
	l := c.traffic(c.nodes[:2], 3)
	l.more(t, 30)
	c.talkAll(ks)
	for i, k := range rest {
		if err := k.reinvite(c.nodes[i%2], c.nodes[(i+1)%2]); err != nil {
			t.Error(err)
		}
	}
	fresh := c.place(c.nodes[0], c.nodes[1])
	for round := range 3 {
		bound := refusedWithin
		if round == 0 {
			bound = refusedAtFirst
		}
		for _, req := range []dict{offer(newID("minority"), fresh.a.sdp()), remove(mine[0].id), block(rest[0].id)} {
			r, err := cut.do(req)
			switch {
			case err != nil:
				t.Error(err)
			case r.dict["result"] == "ok":
				t.Errorf("%v at a node without the log: %v", req["command"], r.dict)
			case r.took > bound:
				t.Errorf("%v was refused after %v", req["command"], r.took)
			default:
				t.Logf("%v: %v after %v", req["command"], r.dict["error-reason"], r.took)
			}
		}
	}
	// The majority knows that the node relays, and does not take its calls.
	q := c.nodes[0].ok(query(mine[0].id))
	if w, _ := q.dict["warning"].(string); !strings.Contains(w, "does not answer") {
		t.Errorf("query of a call of the node: warning %q", w)
	}
	c.talkAll(ks)
	l.end(t, "a minority is cut off")
	for _, k := range mine {
		if kinds := c.nodes[1].show(k.id).kinds(); kinds["taken_over"] > 0 {
			t.Errorf("%s: %v", k.id, kinds)
		}
	}

	s.plug(natsNet, 3)
	c.agree()
	c.replicas(callsStream, 3)
	all := append(ks, fresh)
	for i, k := range all {
		if err := k.move(cut, c.nodes[i%3]); err != nil {
			t.Error(err)
		}
	}
	c.talkAll(all)
	for _, k := range all {
		cut.ok(remove(k.id))
	}
	c.idle()
}

// A node is cut off altogether. It is gone for the others, who take its calls over as they are touched; when it is back it
// lets go of these and keeps the rest.
func TestNodeCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	s := newSpread(t)
	c := assemble(t, s, 3)
	c.launch()
	ks := c.placeEverywhere(9)
	cut := c.nodes[2]
	mine, rest := split(ks, cut)
	if len(mine) < 2 {
		t.Fatalf("%s owns %d calls", cut.id, len(mine))
	}
	s.pull(natsNet, 3)
	s.pull(mediaNet, 3)
	l := c.traffic(c.nodes[:2], 3)
	l.more(t, 30)
	k := mine[0]
	if err := k.reinvite(c.nodes[0], c.nodes[1]); err != nil {
		t.Fatal(err)
	}
	if k.owner() == cut {
		t.Fatalf("a call of a node that is cut off was given %v", k.atB)
	}
	c.talkAll(append([]*call{k}, rest...))
	l.more(t, 20)
	l.end(t, "a node is cut off")

	s.plug(natsNet, 3)
	s.plug(mediaNet, 3)
	c.level()
	c.talkAll(ks)
	if kinds := cut.show(k.id).kinds(); kinds["taken_over"] != 1 {
		t.Errorf("%v", kinds)
	}
	u, err := cut.use()
	if err != nil {
		t.Fatal(err)
	}
	if u.own != int64(len(mine)-1) {
		t.Errorf("%+v, and it should have %d calls", u, len(mine)-1)
	}
	for _, k := range ks {
		cut.ok(remove(k.id))
	}
	c.idle()
}

// The node that leads the stream of calls loses its way to the others. They elect another leader and go on.
func TestLeaderCut(t *testing.T) {
	lab.Only(t, "waits for what a cut leads to")
	s := newSpread(t)
	c := assemble(t, s, 3)
	c.launch()
	ks := c.placeEverywhere(6)
	lead := c.leader(callsStream)
	number := 0
	for i, n := range c.nodes {
		if n == lead {
			number = i + 1
		}
	}
	l := c.traffic(c.others(lead), 3)
	l.more(t, 10)
	s.pull(natsNet, number)
	l.more(t, 50)
	c.talkAll(ks)
	l.end(t, "leader cut off")
	s.plug(natsNet, number)
	c.level()
	c.replicas(callsStream, 3)
	for _, k := range ks {
		if err := k.reinvite(lead, c.nodes[0]); err != nil {
			t.Error(err)
		}
	}
	c.talkAll(ks)
	for _, k := range ks {
		lead.ok(remove(k.id))
	}
	c.idle()
}
