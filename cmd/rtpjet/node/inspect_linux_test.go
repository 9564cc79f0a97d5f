package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"rtpjet/cmd/rtpjet/node"
	"rtpjet/cmd/rtpjet/node/view"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/pages"
)

var _ view.Host = node.Inspector{}

// viewed has a view on a node, which watches until the end of the test.
func viewed(t *testing.T, n *testNode, news *view.News) *view.View {
	t.Helper()
	v := view.New(view.Config{
		Node: n.node.ID(), Host: node.Inspect(n.node), Journal: n.store.log, Link: n.store.log, News: news, Clock: n.clock.now,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { v.Watch(ctx) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	eventually(t, "nobody watches", func() error {
		news.TakenOver("another", "n8", "n9", "test")
		items, _ := v.News(0)
		return when(len(items) > 0)
	})
	return v
}

// What the page shows of a cluster through one of its nodes is what there is: calls of others, their history and sockets, who carries
// them, and who takes them over.
func TestPageOfANode(t *testing.T) {
	t.Parallel()
	news := new(view.News)
	n := peers(t, 2, func(s *settings) {
		if s.ID == "n2" {
			s.TakenOver = news.TakenOver
		}
	})
	v := viewed(t, n[1], news)
	c := n[0].place("shown")
	c.talk()
	n[1].ok(dict{"command": "query", "call-id": c.id})

	eventually(t, "the call is not listed as it is", func() error {
		p := v.Calls("", 0, 10)
		return when(p.Live == 1 && len(p.Calls) == 1 && p.Calls[0].Call == c.id && p.Calls[0].Owner == "n1" && p.Calls[0].State == "answered")
	})
	eventually(t, "the nodes do not say how they are", func() error {
		now := v.Cluster(t.Context())
		return when(now.Calls == 1 && len(now.Nodes) == 2 && now.Nodes[0].Answers && now.Nodes[0].Calls == 1 && now.Nodes[1].Answers && now.Nodes[1].Calls == 0 &&
			now.Nodes[1].Known == 1)
	})
	streams := v.Streams(t.Context(), c.id)
	heard := func(s pages.Stream) bool { return s.Known && s.PacketsIn > 0 && s.Local == c.atA.rtp.String() }
	if !slices.ContainsFunc(streams, heard) {
		t.Errorf("no packet of A in %+v", streams)
	}
	story, err := v.Story(t.Context(), c.id)
	if err != nil || len(story.Moments) < 2 || len(story.Moments) != len(n[1].events(c.id)) {
		t.Errorf("%v, %+v", err, story)
	}
	if last := story.Moments[len(story.Moments)-1].Seq; v.Last(c.id) < last {
		t.Errorf("the last event is %d, not %d", v.Last(c.id), last)
	}
	if _, err := v.Takeover(t.Context(), "n1"); err == nil || err.Error() != "node n1 is alive: drain it instead" {
		t.Errorf("the calls of a node that is alive: %v", err)
	}

	n[0].stop()
	c.atB = legs(t, n[1].sdp(offer(c.id, c.a.body(), dict{"to-tag": "B"})))[0]
	eventually(t, "the takeover is no news", func() error {
		items, _ := v.News(0)
		told := 0
		for _, it := range items {
			if it.Kind == "takeover" && it.Call == c.id && it.Text == "n2 took over a call of n1: owner gone" {
				told++
			}
		}
		if told != 1 {
			return fmt.Errorf("%+v", items)
		}
		return nil
	})
	if now := v.Cluster(t.Context()); now.Nodes[0].Answers || now.Nodes[0].State == members.Alive.String() || now.Nodes[1].Calls != 1 {
		t.Errorf("%+v", now)
	}
	n[1].ok(remove(c.id))
	eventually(t, "a call that has ended is listed", func() error { return when(v.Calls("", 0, 10).Live == 0) })
	if got := v.Streams(t.Context(), c.id); len(got) != 0 {
		t.Errorf("sockets of a call that has ended: %+v", got)
	}
}

// A call that a command is at work on is known, and nobody who looks waits for it.
func TestInspectBusyCall(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("busy")
	look, key := node.Inspect(n.node), events.Key("busy")
	before := look.Last(key)
	owner := ""
	peek := func() (busy bool) {
		owner = ""
		return look.Peek(key, func(c *projection.Call, last uint64) {
			owner = c.Owner
			if c.ID != "busy" || last != look.Last(key) {
				t.Errorf("%s at %d, not %d", c.ID, last, look.Last(key))
			}
		})
	}
	eventually(t, "the call stays busy", func() error { return when(!peek() && owner == "n1") })

	at, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	n.journal.disturb(func(context.Context, string, uint64, []byte) (uint64, error, bool) {
		once.Do(func() { close(at); <-goOn })
		return 0, nil, false
	})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		n.do(offer(c.id, c.a.body(), dict{"to-tag": "B"}))
	}()
	<-at
	if busy := peek(); !busy || owner != "" {
		t.Errorf("a command is at work: busy %v, looked at that of %q", busy, owner)
	}
	live := map[string]uint64{}
	look.Live(func(key string, last uint64) { live[key] = last })
	if len(live) != 1 || live[key] == 0 || look.Last(key) < before || look.Carried()["n1"] != 1 {
		t.Errorf("live %v, last %d, carried %v", live, look.Last(key), look.Carried())
	}
	close(goOn)
	<-answered
	eventually(t, "the call stays busy", func() error { return when(!peek() && owner == "n1") })

	n.ok(remove(c.id))
	if busy := peek(); busy || owner != "" {
		t.Errorf("a call that has ended: busy %v, looked at that of %q", busy, owner)
	}
	if call, _ := look.Counters(t.Context(), key); call != nil {
		t.Errorf("a call that has ended: %+v", call)
	}
	if look.Peek(events.Key("never"), nil) || look.Last(events.Key("never")) != 0 {
		t.Error("a call that never was is known")
	}
	look.Live(func(key string, _ uint64) { t.Errorf("%s lives", key) })
}
