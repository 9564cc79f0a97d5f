package view_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/node/view"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// says is a node that answers with its status.
func says(s admin.Status) func(context.Context, string) (any, error) {
	return func(context.Context, string) (any, error) { return s, nil }
}

// hangs is a node that does not answer.
func hangs(ctx context.Context, _ string) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func garbled(context.Context, string) (any, error) { return `{"node":`, nil }

func leased(node, state, verdict string) admin.Node {
	return admin.Node{Lease: members.Lease{Node: node, State: state}, Verdict: verdict}
}

// All nodes are shown, with their own word if they answer in time. Those that do not run are not asked.
func TestClusterAsksTheNodes(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{
			leased("n1", members.Up, "alive"), leased("n2", members.Up, "alive"), leased("n3", members.Up, "silent"), leased("n4", members.Up, "alive"),
			leased("n0", members.Up, "alive"), leased("n5", members.Up, "alive"), leased("n6", members.Up, "alive"), leased("n7", members.Up, "gone"), leased("n8", members.Down, "down"),
			leased("n9", members.Lost, members.Lost),
		}
		w.host.nodes[2].Draining = true // its lease says so, it does not
		w.host.nodes[3].Draining = true
		w.host.nodes[9].By = "n1"
		w.host.status = admin.Status{Node: "n1", Own: 1, Foreign: 9, Unlogged: 4, Load: admin.Load{PacketsIn: 100, PacketsOut: 1000, Behind: 3, Lag: 55}}
		w.host.carried = map[string]int64{"n1": 1, "n2": 4, "": 5}
		w.link.answers["n2"] = says(admin.Status{Node: "n2", Own: 4, Foreign: 6, Draining: true, Load: admin.Load{PacketsIn: 20, PacketsOut: 200}})
		w.link.answers["n3"] = says(admin.Status{Node: "n3", Load: admin.Load{PacketsIn: 3, PacketsOut: 30}})
		w.link.answers["n4"], w.link.answers["n5"], w.link.answers["n6"] = hangs, hangs, garbled // and n0 does not run
		for _, node := range []string{"n7", "n8", "n9"} {
			w.link.answers[node] = says(admin.Status{Own: 100})
		}
		began := time.Now()
		c := w.Cluster(t.Context())
		if took := time.Since(began); took != 600*time.Millisecond {
			t.Errorf("nodes that do not answer were waited for for %v", took)
		}
		equal(t, "asked", w.link.requests(), []string{"n0 status null", "n2 status null", "n3 status null", "n4 status null", "n5 status null", "n6 status null"})
		if c.Node != "n1" || c.At != time.Now().UnixMicro() || c.Calls != 10 || c.PacketsIn != 123 || c.PacketsOut != 1230 || c.ReadOnly {
			t.Errorf("%s", asJSON(t, c))
		}
		var got []string
		for _, n := range c.Nodes {
			text := n.ID + " " + n.State + " " + n.Lease
			if n.By != "" {
				text += " by " + n.By
			}
			if n.Answers {
				text += " answers"
			}
			if n.Draining {
				text += " draining"
			}
			got = append(got, text)
		}
		equal(t, "nodes", got, []string{
			"n1 alive up answers", "n2 alive up answers draining", "n3 silent up answers", "n4 alive up draining", "n0 alive up", "n5 alive up", "n6 alive up",
			"n7 gone up", "n8 down down", "n9 gone lost by n1",
		})
		if n := c.Nodes[0]; n.Calls != 1 || n.Known != 10 || n.Unlogged != 4 || n.Behind != 3 || n.Lag != 55 || n.PacketsIn != 100 || n.PacketsOut != 1000 {
			t.Errorf("this node: %s", asJSON(t, n))
		}
		if n := c.Nodes[3]; n.Calls != 0 || n.Known != 0 || n.PacketsIn != 0 {
			t.Errorf("a node that does not answer: %s", asJSON(t, n))
		}
	})
}

// The lease of a node has what does not change, and a list that is empty is none in JSON but "[]": a page counts them.
func TestClusterShowsLeases(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{leased("n1", members.Up, "alive"), {Verdict: "gone", Lease: members.Lease{
			Node: "n2", State: members.Up, Epoch: 3, At: 11, Version: "v1", Started: 12, Zone: "eu/fra", NG: []string{"192.0.2.2:2223"},
			Interfaces: []members.LeaseInterface{
				{Name: "pub", Addr: netip.MustParseAddr("192.0.2.2"), Advertised: netip.MustParseAddr("198.51.100.2")},
				{Name: "priv", Addr: netip.MustParseAddr("2001:db8::2")},
			},
		}}}
		c := w.Cluster(t.Context())
		want := `{"id":"n2","state":"gone","answers":false,"draining":false,"calls":0,"known":0,"version":"v1","started":12,"epoch":3,` +
			`"ng":["192.0.2.2:2223"],"media":["pub/192.0.2.2","priv/2001:db8::2"],"zone":"eu/fra","lease":"up","lease_at":11,` +
			`"behind":0,"lag":0,"unlogged":0,"packets_in":0,"packets_out":0}`
		if got := asJSON(t, c.Nodes[1]); got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
		for _, empty := range []string{`"ng":[]`, `"media":[]`, `"floats":[]`} {
			if !strings.Contains(asJSON(t, c), empty) {
				t.Errorf("no %s in %s", empty, asJSON(t, c))
			}
		}
	})
}

// Floating addresses are shown by the word of all nodes that answer: that of the holder counts most.
func TestClusterShowsFloats(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.nodes = []admin.Node{leased("n1", members.Up, "alive"), leased("n2", members.Up, "alive"), leased("n3", members.Up, "alive")}
		w.host.status = admin.Status{Node: "n1", Floats: []admin.FloatStatus{
			{Float: "f1", Addresses: []string{"pub/192.0.2.100"}, Holder: "n2", Epoch: 3, Warm: true}, {Float: "f2", Holder: "n1", Epoch: 1, Holding: true, Moves: "n2"},
		}}
		w.link.answers["n2"] = says(admin.Status{Node: "n2", Floats: []admin.FloatStatus{
			{
				Float: "f1", Addresses: []string{"pub/192.0.2.100"}, Holder: "n2", Successor: "n1", Epoch: 4, Holding: true, Calls: 6,
				Why: "this node was next", Silence: 1, Since: 77,
			},
			{Float: "f2", Holder: "n3", Epoch: 1},
		}})
		w.link.answers["n3"] = hangs
		c := w.Cluster(t.Context())
		want := `[{"id":"f1","addresses":["pub/192.0.2.100"],"holder":"n2","successor":"n1","ready":true,"epoch":4,"calls":6,` +
			`"why":"n2 was next, silent for 1 ms at most","moved_at":77,"agreed":true},` +
			`{"id":"f2","addresses":[],"holder":"n1","successor":"","ready":false,"epoch":1,"calls":0,"moves":"n2","agreed":false}]`
		if got := asJSON(t, c.Floats); got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
		w.host.mu.Lock()
		w.host.status.Floats[0].Warm = false
		w.host.mu.Unlock()
		if c := w.Cluster(t.Context()); c.Floats[0].Ready {
			t.Errorf("the successor is not ready: %s", asJSON(t, c.Floats[0]))
		}
	})
}

// A node that is alone shows itself, and has nobody to give an order to.
func TestAlone(t *testing.T) {
	h := newHost()
	h.nodes = []admin.Node{leased("n1", members.Up, "alive"), leased("n2", members.Up, "alive")} // n2 cannot be asked
	h.status = admin.Status{Node: "n1", Own: 2}
	h.verdicts["n2"] = members.Silent
	v := view.New(view.Config{Node: "n1", Host: h, Journal: newJournal(), News: new(view.News), Clock: time.Now})
	if c := v.Cluster(t.Context()); len(c.Nodes) != 2 || !c.Nodes[0].Answers || c.Nodes[0].Calls != 2 || c.Nodes[1].Answers {
		t.Errorf("%s", asJSON(t, c))
	}
	for name, do := range map[string]func() (string, error){
		"drain":    func() (string, error) { return v.Drain(t.Context(), "n1", true, false) },
		"takeover": func() (string, error) { return v.Takeover(t.Context(), "n2") },
		"move":     func() (string, error) { return v.Move(t.Context(), "f1", "n2") },
	} {
		if text, err := do(); err == nil || err.Error() != "this node has no cluster" || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// What operators order goes to the node that has to do it, and its word comes back.
func TestOrders(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.host.verdicts["n3"] = members.Gone
		for _, node := range []string{"n1", "n2", "n3"} {
			w.link.leases = append(w.link.leases, members.Lease{Node: node, State: members.Up})
		}
		w.link.answers["n2"] = func(_ context.Context, verb string) (any, error) {
			switch verb {
			case admin.VerbStatus:
				return admin.Status{Node: "n2", Floats: []admin.FloatStatus{{Float: "f1", Holder: "n2", Holding: true}}}, nil
			case admin.VerbMove:
				return admin.Reply{Error: "the float stays"}, nil
			}
			return admin.Reply{Calls: 3}, nil
		}
		const statuses = "n1 status null; n2 status null; n3 status null"
		for _, order := range []struct {
			name  string
			do    func() (string, error)
			want  string
			asked string
		}{
			{
				"drain", func() (string, error) { return w.Drain(t.Context(), "n2", true, true) }, "n2 takes no new calls; it has 3.",
				`n2 drain {"on":true,"move":true}`,
			},
			{"undrain", func() (string, error) { return w.Drain(t.Context(), "n2", false, false) }, "n2 takes new calls again; it has 3.", `n2 drain {"on":false}`},
			{
				"takeover", func() (string, error) { return w.Takeover(t.Context(), "n3") },
				"3 calls of n3 have other owners now; each is heard again with its next offer or answer.",
				"n1 status null; n2 status null; n2 takeover {\"node\":\"n3\"}; n3 status null",
			},
			{"takeover of the living", func() (string, error) { return w.Takeover(t.Context(), "n2") }, "node n2 is alive: drain it instead", ""},
			{
				"move", func() (string, error) { return w.Move(t.Context(), "f1", "n3") }, "the float stays",
				`n1 status null; n2 move {"float":"f1","to":"n3"}; n2 status null; n3 status null`,
			},
			{
				"move of nothing", func() (string, error) { return w.Move(t.Context(), "f9", "n3") },
				"there is no floating address f9; rtpjet float list shows them", statuses,
			},
		} {
			text, err := order.do()
			if err != nil {
				text += err.Error()
			}
			if text != order.want {
				t.Errorf("%s: %q, want %q", order.name, text, order.want)
			}
			if asked := strings.Join(w.link.requests(), "; "); asked != order.asked {
				t.Errorf("%s: asked %q, want %q", order.name, asked, order.asked)
			}
		}
	})
}

// Of a live call the sockets are shown with what they have counted, as far as that is known; of any other, none.
func TestStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		a, b := netip.MustParseAddrPort("192.0.2.1:30000"), netip.MustParseAddrPort("192.0.2.1:30002")
		w.host.begin("c", "n1", 1)
		w.host.change("c", func(c *projection.Call) {
			for i, local := range []netip.AddrPort{a, b} {
				p := &events.Party{ID: i, Medias: []events.Media{{Type: "audio", Local: events.Ports{RTP: local}}}}
				c.Parties = append(c.Parties[:i], p)
			}
		})
		w.host.counters = map[netip.AddrPort]plan.Stats{a: {In: plan.Counters{Packets: 5, Bytes: 800}}}
		got := w.Streams(t.Context(), "c")
		if len(got) != 2 || got[0].Local != a.String() || !got[0].Known || got[0].PacketsIn != 5 || got[1].Local != b.String() || got[1].Known {
			t.Errorf("%s", asJSON(t, got))
		}
		w.host.change("c", end)
		for _, id := range []string{"c", "another"} {
			if got := w.Streams(t.Context(), id); asJSON(t, got) != "[]" {
				t.Errorf("streams of %s: %s", id, asJSON(t, got))
			}
		}
		if last := w.Last("c"); last != w.host.last {
			t.Errorf("the last event of c is %d, not %d", last, w.host.last)
		}
		if last := w.Last("another"); last != 0 {
			t.Errorf("the last event of a call that never was is %d", last)
		}
	})
}
