package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtpjet/embed"
	"rtpjet/projection/members"
)

// cluster is a link to nodes in memory: their leases, and those that answer.
type cluster struct {
	leases  []members.Lease
	garbage []embed.Lease // more that the bucket of leases has
	nodes   map[string]*node
	away    error // the bucket does not answer
	silent  map[string]error
}

func newCluster(nodes ...*node) *cluster {
	c := &cluster{nodes: map[string]*node{}, silent: map[string]error{}}
	for _, n := range nodes {
		c.nodes[n.id] = n
		c.leases = append(c.leases, members.Lease{Node: n.id, State: members.Up, Version: "v1"})
	}
	return c
}

func (c *cluster) Request(ctx context.Context, tokens string, data []byte) ([]byte, error) {
	part := strings.Split(tokens, ".")
	if len(part) != 3 || part[0] != "node" {
		return nil, fmt.Errorf("%s is no request to a node", tokens)
	}
	if err := c.silent[part[1]]; err != nil {
		return nil, err
	}
	n := c.nodes[part[1]]
	if n == nil {
		return nil, embed.ErrNobody
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, fmt.Errorf("%s: the request may wait for ever", tokens)
	}
	if n.raw != nil {
		return n.raw, nil
	}
	var answer []byte
	Handle(ctx, n, part[2], data, func(b []byte) error { answer = b; return nil })
	if answer == nil {
		return nil, context.DeadlineExceeded
	}
	return answer, nil
}

func (c *cluster) FollowLeases(ctx context.Context, entry func(embed.Lease, bool), caughtUp func()) error {
	if c.away != nil {
		return c.away
	}
	for i := len(c.leases) - 1; i >= 0; i-- { // in no useful order
		entry(embed.Lease{Key: members.LeasePrefix + c.leases[i].Node, Value: c.leases[i].Encode(), Revision: uint64(i + 1)}, false)
	}
	for _, l := range c.garbage {
		entry(l, false)
	}
	entry(embed.Lease{Key: members.LeasePrefix + "deleted", Value: c.leases[0].Encode()}, true)
	caughtUp()
	<-ctx.Done()
	return ctx.Err()
}

// node answers operators from what the test has put into it.
type node struct {
	id     string
	raw    []byte // answers everything, if it is set
	status Status
	why    WhyReply
	reply  Reply

	mu    sync.Mutex
	asked []string
}

func (n *node) note(verb string, req any) Reply {
	b, err := json.Marshal(req)
	if err != nil {
		panic(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, verb+" "+string(b))
	return n.reply
}

func (n *node) Status(context.Context) Status { s := n.status; s.Node = n.id; return s }
func (n *node) Why(req WhyRequest) WhyReply   { n.note("why", req); return n.why }
func (n *node) Drain(_ context.Context, req DrainRequest, answer func(Reply)) {
	answer(n.note("drain", req))
}
func (n *node) Takeover(_ context.Context, req TakeoverRequest) Reply { return n.note("takeover", req) }
func (n *node) Move(_ context.Context, req MoveRequest) Reply         { return n.note("move", req) }
func (n *node) Adopt(_ context.Context, req AdoptRequest) Reply       { return n.note("adopt", req) }
func (n *node) Forget(_ context.Context, req ForgetRequest) Reply     { return n.note("forget", req) }

// holds is a status of a node with one float.
func holds(s FloatStatus) Status { return Status{Floats: []FloatStatus{s}} }

// TestWords: what goes over the wire between builds does not change.
func TestWords(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  string
	}{
		{DrainRequest{}, `{"on":false}`},
		{DrainRequest{On: true, Move: true, Stop: true, Deadline: time.Second}, `{"on":true,"move":true,"stop":true,"deadline":1000000000}`},
		{TakeoverRequest{Node: "n1"}, `{"node":"n1"}`},
		{TakeoverRequest{Node: "n1", Force: true}, `{"node":"n1","force":true}`},
		{MoveRequest{Float: "192.0.2.1", To: "n2"}, `{"float":"192.0.2.1","to":"n2"}`},
		{AdoptRequest{Region: "us", Without: []string{"ap"}}, `{"region":"us","without":["ap"]}`},
		{ForgetRequest{Region: "us"}, `{"region":"us"}`},
		{WhyRequest{Key: "k"}, `{"key":"k"}`},
		{Reply{}, `{"calls":0}`},
		{Reply{Error: "no", Calls: 3, Node: "n1"}, `{"error":"no","calls":3,"node":"n1"}`},
		{
			Status{Node: "n1", Epoch: 2, Own: 3},
			`{"node":"n1","epoch":2,"draining":false,"own":3,"foreign":0,"followed":0,"unreadable":0,"held":0,"unlogged":0,"writes":0,"peers":null,` +
				`"load":{"packets_in":0,"packets_out":0,"behind":0,"lag":0}}`,
		},
		{
			FloatStatus{Float: "192.0.2.1", Holder: "n1"},
			`{"float":"192.0.2.1","epoch":0,"holder":"n1","successor":"","holding":false,"warm":false,"calls":0}`,
		},
	} {
		b, err := json.Marshal(tt.value)
		if err != nil || string(b) != tt.want {
			t.Errorf("%T: %s %v\nwant %s", tt.value, b, err, tt.want)
		}
	}
	if got := Tokens("n1", VerbWhy); got != "node.n1.why" {
		t.Error(got)
	}
}

func TestHandleMalformed(t *testing.T) {
	for _, verb := range Verbs() {
		n := &node{id: "n1"}
		var got []byte
		Handle(t.Context(), n, verb, []byte(`{"`), func(b []byte) error { got = b; return errors.New("nobody waits") })
		switch verb {
		case VerbStatus: // which has no words of its own
			if !strings.Contains(string(got), `"node":"n1"`) {
				t.Errorf("%s: %s", verb, got)
			}
		case VerbWhy:
			if got != nil {
				t.Errorf("%s: %s", verb, got)
			}
		default:
			var r Reply
			if err := json.Unmarshal(got, &r); err != nil || r.Error == "" {
				t.Errorf("%s: %s %v", verb, got, err)
			}
		}
		if len(n.asked) != 0 {
			t.Errorf("%s: the node was asked %q", verb, n.asked)
		}
	}
	if got := len(Verbs()); got != 7 {
		t.Errorf("%d verbs", got)
	}
}

// FuzzHandle: whatever is sent to a node, it answers with JSON or not at all.
func FuzzHandle(f *testing.F) {
	for _, data := range []string{"", "null", "{}", `{"on":true}`, `{"key":"k"}`, `{"node":7}`, `[]`, `{"deadline":1e300}`} {
		for i := range Verbs() {
			f.Add(i, []byte(data))
		}
	}
	verbs := []string{VerbStatus, VerbWhy, VerbDrain, VerbTakeover, VerbMove, VerbAdopt, VerbForget}
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		verb := verbs[uint(i)%uint(len(verbs))]
		answers := 0
		Handle(t.Context(), &node{id: "n1"}, verb, data, func(b []byte) error {
			answers++
			if !json.Valid(b) {
				t.Errorf("%s: %q", verb, b)
			}
			return nil
		})
		if answers > 1 || answers == 0 && verb != VerbWhy {
			t.Errorf("%s: %d answers", verb, answers)
		}
	})
}

func TestLeases(t *testing.T) {
	c := newCluster(&node{id: "n2"}, &node{id: "n1"})
	c.garbage = []embed.Lease{
		{Key: members.LeasePrefix, Value: c.leases[0].Encode()}, {Key: "float.192.0.2.1", Value: []byte("{}")},
		{Key: members.LeasePrefix + "n3", Value: []byte("no lease")},
	}
	list, err := Leases(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range list {
		names = append(names, l.Node)
	}
	if got := strings.Join(names, " "); got != "n1 n2" {
		t.Error(got)
	}
	c.away = errors.New("the bucket is away")
	if _, err := Leases(t.Context(), c); !errors.Is(err, c.away) || !strings.HasPrefix(err.Error(), "read the leases: ") {
		t.Error(err)
	}
	for what, f := range map[string]func() error{
		"nodes":    func() error { _, err := Nodes(t.Context(), c); return err },
		"takeover": func() error { _, err := Takeover(t.Context(), c, TakeoverRequest{Node: "n1"}); return err },
		"move":     func() error { _, err := Move(t.Context(), c, "f", ""); return err },
		"adopt":    func() error { _, err := Adopt(t.Context(), c, AdoptRequest{}); return err },
	} {
		if err := f(); !errors.Is(err, c.away) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAskErrors(t *testing.T) {
	c := newCluster(&node{id: "n1", raw: []byte("what?")}, &node{id: "n2"})
	lost := errors.New("no route")
	c.silent["n2"] = lost
	for id, want := range map[string]string{
		"n1": "ask node n1: invalid character 'w' looking for beginning of value",
		"n2": "node n2 does not answer: no route",
		"n3": "node n3 does not run; rtpjet node list shows those that do",
	} {
		if _, err := AskStatus(t.Context(), c, id); err == nil || err.Error() != want {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := AskWhy(t.Context(), c, id, "key"); err == nil || err.Error() != want {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := Ask(t.Context(), c, "n1", VerbStatus, func() {}, nil); err == nil {
		t.Error("a question that cannot be written")
	}
}

func TestVerdicts(t *testing.T) {
	c := newCluster(&node{id: "n1", status: Status{Peers: []members.Peer{
		{Beat: members.Beat{Node: "n2"}, Verdict: members.Gone}, {Beat: members.Beat{Node: "n5"}, Verdict: members.Gone},
	}}})
	c.leases = append(c.leases,
		members.Lease{Node: "n2", State: members.Up}, members.Lease{Node: "n3", State: members.Up},
		members.Lease{Node: "n4", State: "left"}, members.Lease{Node: "n5", State: members.Lost},
	)
	nodes, err := Nodes(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range nodes {
		got[n.Node] = n.Verdict
		if (n.Status != nil) != (n.Node == "n1") {
			t.Errorf("%s: %+v", n.Node, n.Status)
		}
	}
	if diff := cmp.Diff(map[string]string{"n1": "alive", "n2": "gone", "n3": "unknown", "n4": "left", "n5": members.Lost}, got); diff != "" {
		t.Error(diff)
	}
}

func TestZones(t *testing.T) {
	face := func(name, zone string) members.LeaseInterface { return members.LeaseInterface{Name: name, Zone: zone} }
	for _, tt := range []struct {
		zone  string
		faces []members.LeaseInterface
		zoned bool
		want  string
	}{
		{"", nil, false, "-"},
		{"", []members.LeaseInterface{face("pub", "")}, false, "-"},
		{"eu/fra", []members.LeaseInterface{face("pub", "eu/fra")}, true, "eu/fra"},
		{"eu/fra", []members.LeaseInterface{face("pub", "eu/ams"), face("pub", "eu/ams"), face("priv", "eu/fra")}, true, "eu/fra pub=eu/ams"},
		{"", []members.LeaseInterface{face("pub", "eu")}, true, "- pub=eu"},
	} {
		n := Node{Lease: members.Lease{Zone: tt.zone, Interfaces: tt.faces}}
		if n.Zoned() != tt.zoned || n.Zones() != tt.want {
			t.Errorf("%+v: %v %q", tt, n.Zoned(), n.Zones())
		}
	}
}
