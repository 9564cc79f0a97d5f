package peers

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"rtpjet/projection/members"
)

// TestNodes: all nodes by their leases, in the order of their names.
func TestNodes(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n2")
		pass(time.Second)
		for _, l := range []members.Lease{leaseOf("n4", 5, members.Down), leaseOf("n1", 2, members.Up), leaseOf("n3", 7, members.Lost), leaseOf("n5", 1, members.Up)} {
			w.putLease(l)
		}
		w.says(members.Beat{Node: "n1", Epoch: 2, At: time.Now().UnixMicro()})
		var got []string
		for _, r := range n.Nodes() {
			got = append(got, fmt.Sprintf("%s %d %s %s", r.Node, r.Epoch, r.State, r.Verdict))
		}
		w.want("nodes", got, "n1 2 up alive", "n2 1 up alive", "n3 7 lost lost", "n4 5 down down", "n5 1 up gone")
		if peers := n.Peers(); len(peers) != 2 || peers[0].Node != "n1" || peers[0].Verdict != members.Alive || peers[1].Node != "n5" {
			t.Errorf("peers: %+v", peers)
		}
	})
}

// TestNodesBeforeClaim: who has no lease yet shows none.
func TestNodesBeforeClaim(t *testing.T) {
	play(t, func(w *world) {
		n := w.make("n1", nil)
		if rows := n.Nodes(); len(rows) != 1 || rows[0].Epoch != 0 || n.HasPeers() || n.Accompanied() || n.Epoch() != 0 {
			t.Errorf("%+v", rows)
		}
	})
}

// TestHasPeers: another node was there, whatever has become of it; Accompanied, it is alive.
func TestHasPeers(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		pass(time.Second)
		is := func(what string, has, accompanied bool) {
			t.Helper()
			if n.HasPeers() != has || n.Accompanied() != accompanied {
				t.Errorf("%s: has peers %v, accompanied %v", what, n.HasPeers(), n.Accompanied())
			}
		}
		is("alone", false, false)
		w.putLease(leaseOf("n2", 1, members.Up))
		is("not heard", true, false)
		w.says(members.Beat{Node: "n2", Epoch: 1})
		is("heard", true, true)
		pass(DefaultTimeout)
		is("silent", true, false)
		w.remove("node.n2")
		pass(0)
		is("deleted", true, false)
	})
}

// TestVoters: who has not given its lease back votes, be it alive or not.
func TestVoters(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n2")
		keeper := netip.MustParseAddrPort("192.0.2.9:4000")
		for id, state := range map[string]string{"n1": members.Up, "n3": members.Lost, "n4": members.Down, "n5": members.Up} {
			l := leaseOf(id, 1, state)
			if id != "n5" {
				l.Keeper = keeper
			}
			w.putLease(l)
		}
		nodes, keepers := n.Voters()
		if nodes[0] != "n2" {
			t.Errorf("the first is %s", nodes[0])
		}
		slices.Sort(nodes)
		w.want("voters", nodes, "n1", "n2", "n3", "n5")
		w.want("keepers", slices.Sorted(maps.Keys(keepers)), "n1", "n3")
		if keepers["n1"] != keeper {
			t.Errorf("the keeper of n1 is at %v", keepers["n1"])
		}
	})
}

// TestCaretaker: of the nodes that are alive, exactly one looks after each key, and each after some.
func TestCaretaker(t *testing.T) {
	play(t, func(w *world) {
		nodes := []*node{w.join("n1"), w.join("n2"), w.join("n3")}
		pass(time.Second)
		count := func(alive ...*node) map[string]int {
			t.Helper()
			cares := map[string]int{}
			for i := range 100 {
				key, who := fmt.Sprint("key ", i), 0
				for _, n := range alive {
					if n.Caretaker(key) {
						who++
						cares[n.id]++
					}
				}
				if who != 1 {
					t.Errorf("%d nodes look after %s", who, key)
				}
			}
			return cares
		}
		if c := count(nodes...); len(c) != 3 {
			t.Errorf("they look after %v", c)
		}
		nodes[2].kill()
		pass(2 * DefaultTimeout)
		if c := count(nodes[:2]...); len(c) != 2 {
			t.Errorf("without n3 they look after %v", c)
		}
	})
}

// in puts a node into a zone.
func in(zone string, load Load) func(*Config, *node) {
	return func(c *Config, n *node) {
		c.Zone, c.Interfaces, n.host.load = zone, mediaIn(c.Interfaces.All()[0].Addr, zone), load
	}
}

// TestPlace: a new call goes to the node with the fewest calls of those in one zone that take any.
func TestPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		here  Load
		last  bool
		peers map[string]Load
		tried string
		want  string // a node; "": none
	}{
		"alone":                            {here: Load{Room: -1}, want: "n1"},
		"alone and last":                   {here: Load{Room: 5}, last: true, want: "n1"},
		"alone and full":                   {here: Load{Room: 0}},
		"alone and draining":               {here: Load{Room: -1, Draining: true}},
		"alone and tried":                  {here: Load{Room: -1}, tried: "n1"},
		"as many calls":                    {here: Load{Room: -1, Calls: 3}, peers: map[string]Load{"n2": {Room: -1, Calls: 3}}, want: "n1"},
		"more calls":                       {here: Load{Room: -1, Calls: 4}, peers: map[string]Load{"n2": {Room: -1, Calls: 3}}, want: "n2"},
		"more calls, without the log":      {here: Load{Room: -1, Calls: 4, Unlogged: true}, peers: map[string]Load{"n2": {Room: -1, Calls: 3}}, want: "n1"},
		"fewer calls, rather not":          {here: Load{Room: -1, Calls: 1}, last: true, peers: map[string]Load{"n2": {Room: -1, Calls: 3}}, want: "n2"},
		"the peer is full":                 {here: Load{Room: 2, Calls: 4}, peers: map[string]Load{"n2": {Room: 0, Calls: 3}}, want: "n1"},
		"the peer drains":                  {here: Load{Room: -1, Calls: 4}, peers: map[string]Load{"n2": {Room: -1, Draining: true}}, want: "n1"},
		"the peer was tried":               {here: Load{Room: -1, Calls: 4}, peers: map[string]Load{"n2": {Room: -1, Calls: 3}}, tried: "n2", want: "n1"},
		"the one with the fewest of three": {here: Load{Room: -1, Calls: 4}, peers: map[string]Load{"n2": {Room: -1, Calls: 3}, "n3": {Room: -1, Calls: 2}}, want: "n3"},
		"this one is full":                 {here: Load{Room: 0, Calls: 1}, peers: map[string]Load{"n2": {Room: 1, Calls: 300}}, want: "n2"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				n := w.joinAs("n1", in("eu", tc.here))
				for id, load := range tc.peers {
					w.joinAs(id, in("eu", load))
				}
				pass(time.Second)
				got, ok := n.Place(members.Wish{Tried: strings.Fields(tc.tried)}, tc.last)
				if ok != (tc.want != "") || ok && got != tc.want {
					t.Errorf("placed at %s %v, want %s", got, ok, tc.want)
				}
			})
		})
	}
}

// TestPlaceInZone: a peer in the zone of this node comes before one elsewhere.
func TestPlaceInZone(t *testing.T) {
	play(t, func(w *world) {
		n := w.joinAs("n1", in("eu/fra", Load{Room: -1, Calls: 100}))
		w.joinAs("n2", in("us/nyc", Load{Room: -1}))
		w.joinAs("n3", in("eu/fra", Load{Room: -1, Calls: 50}))
		pass(time.Second)
		if got, ok := n.Place(members.Wish{}, false); !ok || got != "n3" {
			t.Errorf("placed at %s %v", got, ok)
		}
	})
}
