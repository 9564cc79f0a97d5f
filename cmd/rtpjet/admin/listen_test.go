package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// newLog is a log on a NATS of its own.
func newLog(t *testing.T) *embed.Log {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ns, err := server.Start(t.Context(), server.Config{NodeID: "n1", Region: "r", StoreDir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Shutdown)
	nc, err := ns.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l, err := embed.Open(t.Context(), nc, embed.Config{Region: "r", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// drainer is a node whose draining goes on after its answer, until ctx ends.
type drainer struct {
	node

	answered, ended chan struct{}
}

func (d *drainer) Drain(ctx context.Context, req DrainRequest, answer func(Reply)) {
	answer(d.note("drain", req))
	close(d.answered)
	<-ctx.Done()
	close(d.ended)
}

// TestListen: operators reach a node over NATS, and a node that ends waits for what it does for them.
func TestListen(t *testing.T) {
	l := newLog(t)
	lease := members.Lease{Node: "n1", State: members.Up, Version: "v1"}
	if _, err := l.PutLease(t.Context(), members.LeasePrefix+"n1", lease.Encode(), 0); err != nil {
		t.Fatal(err)
	}
	n := &drainer{node: node{id: "n1", reply: Reply{Calls: 3}, status: Status{Own: 3}}, answered: make(chan struct{}), ended: make(chan struct{})}
	n.why = WhyReply{Carried: true, Stats: []SocketStats{{Stats: plan.Stats{LastPacket: 7}}}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop, err := Listen(ctx, l, "n1", n)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := Nodes(t.Context(), l)
	if err != nil || len(nodes) != 1 || nodes[0].Verdict != "alive" || nodes[0].Status.Own != 3 || nodes[0].Version != "v1" {
		t.Fatalf("%+v, %v", nodes, err)
	}
	if r, err := AskWhy(t.Context(), l, "n1", "key"); err != nil || !r.Carried || len(r.Stats) != 1 || r.Stats[0].LastPacket != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if text, err := Drain(t.Context(), l, "n1", DrainRequest{On: true, Stop: true}); err != nil || text != "n1 takes no new calls; it has 3." {
		t.Errorf("%q, %v", text, err)
	}
	<-n.answered
	select {
	case <-n.ended:
		t.Error("draining has ended with its answer")
	default:
	}
	cancel()
	stop()
	select {
	case <-n.ended:
	default:
		t.Error("the node ends before its draining")
	}
	if got := strings.Join(n.asked, "; "); got != `why {"key":"key"}; drain {"on":true,"stop":true}` {
		t.Error(got)
	}
	if _, err := AskStatus(t.Context(), l, "n1"); err == nil || !strings.Contains(err.Error(), "node n1 does not run") {
		t.Errorf("after the end: %v", err)
	}
}

// half refuses the subscriptions behind the first few.
type half struct {
	Subscriber

	left   int
	active int
}

func (h *half) Subscribe(tokens string, f func(embed.Msg)) (func(), error) {
	if h.left--; h.left < 0 {
		return nil, errors.New("no more")
	}
	stop, err := h.Subscriber.Subscribe(tokens, f)
	h.active++
	return func() { h.active--; stop() }, err
}

// TestListenFails: a node that cannot hear all requests hears none.
func TestListenFails(t *testing.T) {
	l := newLog(t)
	h := &half{Subscriber: l, left: 3}
	if _, err := Listen(t.Context(), h, "n1", &node{id: "n1"}); err == nil || h.active != 0 {
		t.Errorf("%v, %d subscriptions are left", err, h.active)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, verb := range Verbs() {
		if _, err := l.Request(ctx, Tokens("n1", verb), nil); !errors.Is(err, embed.ErrNobody) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}
