package node_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/zeebo/bencode"

	"rtpjet/cmd/rtpjet/node"
	"rtpjet/events"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// Several nodes in this process, on one log. What needs processes and networks of their own is in tests/cluster.

// peers starts nodes n1, n2, ... that share a log, each with its own connection to NATS.
func peers(t *testing.T, num int, change ...func(*settings)) []*testNode {
	t.Helper()
	s := newStore(t)
	nodes := make([]*testNode, num)
	var wait sync.WaitGroup
	for i := range nodes {
		wait.Go(func() { nodes[i] = peer(t, s, fmt.Sprint("n", i+1), change...) })
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, n := range nodes {
		n.acquainted(num)
	}
	return nodes
}

// peer starts one more node on the log of s.
func peer(t *testing.T, s *store, id string, change ...func(*settings)) *testNode {
	t.Helper()
	nc, err := s.server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	own := openStore(t, nc)
	own.server = s.server
	return startNode(t, append([]func(*settings){func(o *settings) {
		o.ID, o.store, o.Link = id, own, own.log
	}}, change...)...)
}

// acquainted waits until the node knows so many nodes, itself among them, as alive.
func (n *testNode) acquainted(num int) {
	n.ng.t.Helper()
	eventually(n.ng.t, "the nodes do not know each other", func() error {
		alive := 1
		for _, p := range node.Inspect(n.node).State().Peers {
			if p.Verdict == 0 {
				alive++
			}
		}
		return when(alive == num)
	})
}

func TestClusterAnyNodeAnswers(t *testing.T) {
	t.Parallel()
	n := peers(t, 3)
	c := &call{t: t, id: "anywhere", a: newPhone(t), b: newPhone(t)}
	c.offer, c.answer = offer(c.id, c.a.body()), answer(c.id, c.b.body())
	c.atB = legs(t, n[0].sdp(c.offer))[0]
	c.atA = legs(t, n[1].sdp(c.answer))[0]
	c.talk()
	if got := c.atA.rtp.Addr(); got != n[0].host {
		t.Errorf("media is at %v, want the owner's %v", got, n[0].host)
	}
	// The phone moves; another node is told, and the owner obeys.
	moved := newPhone(t)
	c.atB = legs(t, n[2].sdp(offer(c.id, moved.body(), dict{"to-tag": "B"})))[0]
	c.atA = legs(t, n[1].sdp(answer(c.id, c.b.body())))[0]
	c.a = moved
	c.talk()
	query := dict{"command": "query", "call-id": c.id}
	counted := n[0].ok(query)["totals"].(dict)["RTP"].(dict)
	if rtp := n[2].ok(query)["totals"].(dict)["RTP"].(dict); rtp["packets"] != counted["packets"] || rtp["packets"] == int64(0) {
		t.Errorf("an alternate's query counts %v, the owner's %v", rtp, counted)
	}
	for _, m := range n {
		stats := m.ok(dict{"command": "statistics"})["statistics"].(dict)["currentstatistics"].(dict)
		want := int64(0)
		if m == n[0] {
			want = 1
		}
		if stats["sessionsown"] != want || stats["sessionsforeign"] != 1-want {
			t.Errorf("%s: own %v, foreign %v", m.host, stats["sessionsown"], stats["sessionsforeign"])
		}
	}
	del := n[1].ok(remove(c.id))
	if rtp := del["totals"].(dict)["RTP"].(dict); rtp["packets"] != counted["packets"] {
		t.Errorf("an alternate's delete counts %v, the owner's query %v", rtp, counted)
	}
	for _, m := range n {
		m.idle()
	}
}

// The same offer at all nodes at once makes one call, and the losers' ports are free again.
func TestClusterOfferEverywhere(t *testing.T) {
	t.Parallel()
	n := peers(t, 3)
	a := newPhone(t)
	for i := range 30 {
		id := fmt.Sprint("at-once-", i)
		sdp := make([]string, len(n))
		var wait sync.WaitGroup
		for j, m := range n {
			wait.Go(func() { sdp[j], _ = m.do(offer(id, a.body()))["sdp"].(string) })
		}
		wait.Wait()
		if sdp[0] == "" || sdp[0] != sdp[1] || sdp[0] != sdp[2] {
			t.Fatalf("three SDPs for one offer:\n%s\n%s\n%s", sdp[0], sdp[1], sdp[2])
		}
		n[i%3].ok(remove(id))
	}
	for _, m := range n {
		m.idle()
	}
}

// The same bytes at another node get the same bytes.
func TestClusterRepeated(t *testing.T) {
	t.Parallel()
	n := peers(t, 3)
	a, b := newPhone(t), newPhone(t)
	for i, req := range []dict{offer("again", a.body()), answer("again", b.body()), {"command": "block media", "call-id": "again", "from-tag": "A"}, remove("again")} {
		cookie := fmt.Sprint("cookie", i)
		first := n[0].raw(cookie, req)
		last := n[0].last()
		for _, m := range n {
			if got := m.raw(cookie, req); got != first {
				t.Errorf("%v at another node gets\n%s\nand got\n%s", req["command"], got, first)
			}
			if i < 2 {
				if got := m.raw(cookie+"x", req); got != first {
					t.Errorf("%v under another cookie gets\n%s\nand got\n%s", req["command"], got, first)
				}
			}
		}
		if got := n[0].last(); got != last {
			t.Errorf("%v again appended %d events", req["command"], got-last)
		}
	}
}

// A node that ends leaves its calls to those who are asked for them.
func TestClusterTakeover(t *testing.T) {
	t.Parallel()
	n := peers(t, 3)
	c := n[0].place("outlives")
	c.talk()
	n[0].stop()
	q := n[1].ok(dict{"command": "query", "call-id": c.id})
	if w, _ := q["warning"].(string); w == "" {
		t.Errorf("a query without its owner says nothing about it: %v", q)
	}
	// Both survivors are asked at once: one takeover.
	re := offer(c.id, c.a.body(), dict{"to-tag": "B"})
	var got [2]string
	var wait sync.WaitGroup
	for i, m := range n[1:] {
		wait.Go(func() { got[i], _ = m.do(re)["sdp"].(string) })
	}
	wait.Wait()
	if got[0] == "" || got[0] != got[1] {
		t.Fatalf("two SDPs:\n%s\n%s", got[0], got[1])
	}
	c.atB = legs(t, got[0])[0]
	c.atA = legs(t, n[2].sdp(answer(c.id, c.b.body())))[0]
	c.talk()
	taken := 0
	for _, env := range n[1].events(c.id) {
		if _, ok := env.Event.(events.TakenOver); ok {
			taken++
		}
	}
	if taken != 1 {
		t.Errorf("%d takeovers", taken)
	}
	back := peer(t, n[1].store, "n1")
	back.acquainted(3)
	if _, known := back.engine.Stats(c.atA.rtp); known || back.engine.Totals().Streams != 0 {
		t.Error("the old owner has sockets of the call")
	}
	back.ok(remove(c.id))
	for _, m := range n[1:] {
		m.idle()
	}
}

// A draining or full node places new calls elsewhere; limits are for the proxy only when nobody has room.
func TestClusterPlacement(t *testing.T) {
	t.Parallel()
	n := peers(t, 2, func(o *settings) { o.MaxSessions = 2 })
	a := newPhone(t)
	at := make(map[netip.Addr]int)
	for i := range 4 {
		at[legs(t, n[0].sdp(offer(fmt.Sprint("call", i), a.body())))[0].rtp.Addr()]++
		for _, m := range n {
			m.counted(i + 1)
		}
	}
	if at[n[0].host] != 2 || at[n[1].host] != 2 {
		t.Errorf("calls by node: %v", at)
	}
	n[1].refused(offer("one too many", a.body()), "Parallel session limit reached")
	if reply := n[1].do(offer("one too many", a.body(), dict{"supports": []any{"load limit"}})); reply["result"] != "load limit" {
		t.Errorf("%v", reply)
	}
	n[1].sdp(offer("call0", newPhone(t).body(), dict{"from-tag": "A"})) // a known call is never refused
	for i := range 4 {
		n[i%2].ok(remove(fmt.Sprint("call", i)))
	}
	for _, m := range n {
		m.idle()
	}
}

// A node of another cluster key, and a second one of a name that is in use, are refused with a sentence.
func TestClusterRefused(t *testing.T) {
	t.Parallel()
	n := peers(t, 1, keyed("the key of this cluster"))
	for want, change := range map[string]func(*settings){
		"--cluster-key-file": func(o *settings) { o.ID = "n2"; keyed("the key of another one")(o) },
		"--node-id":          keyed("the key of this cluster"),
	} {
		if err := failToStart(t, n[0].store, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something about %s", err, want)
		}
	}
	n[0].place("goes on").talk()
}

// keyed gives a node a cluster key.
func keyed(key string) func(*settings) {
	return func(o *settings) { o.ClusterKey, o.SealKeys = []byte(key), [][]byte{[]byte(key)} }
}

// failToStart runs a node that should find out that it does not belong here, and returns its error.
func failToStart(t *testing.T, shared *store, change func(*settings)) error {
	t.Helper()
	host := newHost()
	table, err := plan.NewInterfaces([]plan.Interface{{Name: "main", Addr: host, Ports: plan.PortRange{Min: firstPort, Max: lastPort}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := relay.New(relay.Config{Pools: []relay.Pool{{Addr: host, Min: firstPort, Max: lastPort}}, Loops: 1, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	s := &settings{}
	s.Config = node.Config{
		ID: "n1", Interfaces: table, Listen: []string{netip.AddrPortFrom(host, 2223).String()}, MaxSessions: -1, InstanceID: "0123456789ab",
		Journal: shared.log, Link: shared.log, Engine: engine, Logger: quiet(),
	}
	change(s)
	n, err := node.New(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return n.Run(ctx)
}

// counted waits until the node knows so many calls, and its peers' beats tell of them.
func (n *testNode) counted(calls int) {
	n.ng.t.Helper()
	eventually(n.ng.t, "the calls are not known", func() error {
		s := node.Inspect(n.node).State()
		sum := s.Own
		for _, p := range s.Peers {
			sum += p.Calls
		}
		return when(int(s.Own+s.Foreign) == calls && int(sum) == calls)
	})
}

// raw sends a command under a cookie and returns the reply without it.
func (n *testNode) raw(cookie string, req dict) string {
	n.ng.t.Helper()
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		n.ng.t.Fatal(err)
	}
	out, err := n.c.DoRaw(cookie, payload)
	if err != nil {
		n.ng.t.Fatal(err)
	}
	return string(out)
}
