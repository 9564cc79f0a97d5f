package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// given is an order, to a cluster of which n1 and n2 answer, and n3 does not.
type given struct {
	name  string
	do    func(ctx context.Context, c *cluster) (string, error)
	n1    Reply  // what n1 says
	n2    Reply  // what n2 says
	asked string // NODE VERB WORDS of the one request; empty: none
	want  string // the sentence, or the error
	fails bool
}

func draining(node string, req DrainRequest) func(context.Context, *cluster) (string, error) {
	return func(ctx context.Context, c *cluster) (string, error) { return Drain(ctx, c, node, req) }
}

func takingOver(req TakeoverRequest) func(context.Context, *cluster) (string, error) {
	return func(ctx context.Context, c *cluster) (string, error) { return Takeover(ctx, c, req) }
}

func moving(name, to string) func(context.Context, *cluster) (string, error) {
	return func(ctx context.Context, c *cluster) (string, error) { return Move(ctx, c, name, to) }
}

func adopting(req AdoptRequest) func(context.Context, *cluster) (string, error) {
	return func(ctx context.Context, c *cluster) (string, error) { return Adopt(ctx, c, req) }
}

func forgetting(region string) func(context.Context, *cluster) (string, error) {
	return func(ctx context.Context, c *cluster) (string, error) { return Forget(ctx, c, region) }
}

var orders = []given{
	{
		name: "drain", do: draining("n1", DrainRequest{On: true, Move: true, Stop: true, Deadline: time.Minute}), n1: Reply{Calls: 3},
		asked: `n1 drain {"on":true,"move":true,"stop":true,"deadline":60000000000}`, want: "n1 takes no new calls; it has 3.",
	},
	{
		name: "undrain", do: draining("n2", DrainRequest{}), n2: Reply{Calls: 2}, asked: `n2 drain {"on":false}`,
		want: "n2 takes new calls again; it has 2.",
	},
	{
		name: "drain refused", do: draining("n1", DrainRequest{On: true}), n1: Reply{Error: "not all floats could move", Calls: 3},
		asked: `n1 drain {"on":true}`, want: "not all floats could move", fails: true,
	},
	{
		name: "drain of a node that is gone", do: draining("n3", DrainRequest{On: true}), want: "node n3 does not run; rtpjet node list shows those that do",
		fails: true,
	},
	{
		name: "takeover", do: takingOver(TakeoverRequest{Node: "n3"}), n1: Reply{Calls: 5}, asked: `n1 takeover {"node":"n3"}`,
		want: "5 calls of n3 have other owners now; each is heard again with its next offer or answer.",
	},
	{
		name: "takeover of the first", do: takingOver(TakeoverRequest{Node: "n1", Force: true}), asked: `n2 takeover {"node":"n1","force":true}`,
		want: "0 calls of n1 have other owners now; each is heard again with its next offer or answer.",
	},
	{
		name: "takeover refused", do: takingOver(TakeoverRequest{Node: "n3"}), n1: Reply{Error: "node n3 is alive", Calls: 1},
		asked: `n1 takeover {"node":"n3"}`, want: "node n1: node n3 is alive (1 calls were taken over)", fails: true,
	},
	{
		name: "takeover of nobody", do: takingOver(TakeoverRequest{Node: "n9"}), want: "there is no node n9; rtpjet node list shows all", fails: true,
	},
	{
		name: "move", do: moving("pub", "n2"), n1: Reply{Calls: 4, Node: "n2"}, asked: `n1 move {"float":"192.0.2.1","to":"n2"}`,
		want: "192.0.2.1 is at n2 now, with 4 calls.",
	},
	{
		name: "move to whoever", do: moving("192.0.2.1", ""), n1: Reply{Node: "n2"}, asked: `n1 move {"float":"192.0.2.1","to":""}`,
		want: "192.0.2.1 is at n2 now, with 0 calls.",
	},
	{name: "move to where it is", do: moving("pub", "n1"), want: "192.0.2.1 is at n1 already."},
	{
		name: "move refused", do: moving("pub", "n2"), n1: Reply{Error: "node n2 is not ready"}, asked: `n1 move {"float":"192.0.2.1","to":"n2"}`,
		want: "node n2 is not ready", fails: true,
	},
	{
		name: "move what nobody has", do: moving("192.0.2.2", "n2"),
		want: "nobody holds 192.0.2.2 now; it is taken by a node as soon as enough of them hear each other", fails: true,
	},
	{
		name: "move of nothing", do: moving("192.0.2.9", "n2"), want: "there is no floating address 192.0.2.9; rtpjet float list shows them", fails: true,
	},
	{
		name: "adopt", do: adopting(AdoptRequest{Region: "us", Without: []string{"ap"}}), n1: Reply{Calls: 6},
		asked: `n1 adopt {"region":"us","without":["ap"]}`,
		want:  "6 calls of region us are this region's now; each is heard again with its next offer or answer.",
	},
	{
		name: "adopt refused", do: adopting(AdoptRequest{Region: "us"}), n1: Reply{Error: "region us is up"}, asked: `n1 adopt {"region":"us"}`,
		want: "node n1: region us is up", fails: true,
	},
	{
		name: "forget", do: forgetting("us"), asked: `n1 forget {"region":"us"}`,
		want: "region us is forgotten: whoever answers by that name next is it.",
	},
	{
		name: "forget refused", do: forgetting("us"), n1: Reply{Error: "no such region"}, asked: `n1 forget {"region":"us"}`,
		want: "node n1: no such region", fails: true,
	},
}

func TestOrders(t *testing.T) {
	for _, tt := range orders {
		n1 := &node{id: "n1", reply: tt.n1, status: Status{Floats: []FloatStatus{
			{Float: "192.0.2.1", Addresses: []string{"pub/192.0.2.1"}, Holder: "n1", Holding: true}, {Float: "192.0.2.2", Addresses: []string{"priv/192.0.2.2"}},
		}}}
		n2 := &node{id: "n2", reply: tt.n2}
		c := newCluster(n1, n2, &node{id: "n3"})
		delete(c.nodes, "n3")
		text, err := tt.do(t.Context(), c)
		switch {
		case tt.fails && (err == nil || err.Error() != tt.want || text != ""):
			t.Errorf("%s: %q, %v", tt.name, text, err)
		case !tt.fails && (err != nil || text != tt.want):
			t.Errorf("%s: %q, %v", tt.name, text, err)
		}
		var asked []string
		for _, n := range []*node{n1, n2} {
			for _, a := range n.asked {
				asked = append(asked, n.id+" "+a)
			}
		}
		if got := strings.Join(asked, "; "); got != tt.asked {
			t.Errorf("%s: asked %q, want %q", tt.name, got, tt.asked)
		}
	}
}

// TestOrdersWithoutNodes: nobody is there to do it.
func TestOrdersWithoutNodes(t *testing.T) {
	c := newCluster(&node{id: "n1"}, &node{id: "n2"})
	c.silent["n1"], c.silent["n2"] = errors.New("no route"), errors.New("no route")
	for _, tt := range []struct {
		do   func(context.Context, *cluster) (string, error)
		want string
	}{
		{draining("n1", DrainRequest{On: true}), "node n1 does not answer: no route"},
		{takingOver(TakeoverRequest{Node: "n1"}), "no other node runs that could take the calls over"},
		{moving("pub", ""), "the cluster has no floating address; give its nodes a --float"},
		{adopting(AdoptRequest{Region: "us"}), "no node of this region runs; rtpjet node list shows them"},
		{forgetting("us"), "no node of this region runs; rtpjet node list shows them"},
	} {
		if _, err := tt.do(t.Context(), c); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}
