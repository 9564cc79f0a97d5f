package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"rtpjet/events"
	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// earlier is the build before offers were proposals, the last one that announces no level of events.
var earlier = procs.Program{Name: "cluster-earlier", Commit: "bf4094aec3fe676d21da4a02f5affe74d53d96b3"}

// fleet is the calls that outlive an upgrade, in all their states.
type fleet struct {
	c                                *cluster
	plain                            []*call
	early, held, forked, leaving, on *call
}

// fleet sets calls up at the first nodes.
func (c *cluster) fleet(count int) *fleet {
	f := &fleet{c: c, plain: c.placeEverywhere(count)}
	a, b := c.nodes[0], c.nodes[1]
	fresh := func(what string) *call {
		k, err := c.newCall(newID(what))
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(k.close)
		return k
	}
	f.early = fresh("early")
	f.must(f.early.offer(b))
	f.held = c.place(a, b)
	f.held.version++
	a.ok(offer(f.held.id, f.held.a.version(2)+"a=sendonly\r\n", dict{"to-tag": "B"}))
	b.ok(answer(f.held.id, f.held.b.version(2)+"a=recvonly\r\n"))
	f.forked = fresh("forked")
	f.must(f.forked.offer(b))
	for _, tag := range []string{"B1", "B2"} {
		d, err := newPhone(c.world)
		f.must(err)
		c.t.Cleanup(d.close)
		a.ok(answer(f.forked.id, d.sdp(), dict{"to-tag": tag, "flags": []any{"new branch"}, "sip-message-type": "sip_reply", "sip-code": 183}))
	}
	f.leaving = c.place(b, b)
	a.ok(remove(f.leaving.id, dict{"delete delay": 3000}))
	f.on = c.place(b, a)
	b.ok(offer(f.on.id, f.on.a.version(2), dict{"to-tag": "B"})) // a re-offer that nobody answers
	return f
}

func (f *fleet) must(err error) {
	f.c.t.Helper()
	if err != nil {
		f.c.t.Fatal(err)
	}
}

// talking are the calls with sound in both directions.
func (f *fleet) talking() []*call { return append([]*call{f.leaving}, f.plain...) }

// live checks that every node knows each of the calls and nothing else.
func (f *fleet) live() {
	t := f.c.t
	t.Helper()
	want := len(f.plain) + 5
	f.c.level()
	for _, n := range f.c.running() {
		rows, err := n.list()
		f.must(err)
		if s := rows[n.id].Status; s.Own+s.Foreign != want || s.Unreadable > 0 {
			t.Errorf("%s knows %d calls of %d, and cannot read %d events", n.id, s.Own+s.Foreign, want, s.Unreadable)
		}
	}
	for _, k := range append(f.talking(), f.early, f.held, f.forked, f.on) {
		for _, n := range f.c.running() {
			n.ok(query(k.id))
		}
	}
}

// during has the calls of all nodes but one talk without a break while do goes on: not a packet is lost.
func (f *fleet) during(but *node, do func()) {
	t := f.c.t
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	g, gctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	rounds := 0
	for _, k := range f.talking() {
		if k.owner() == but {
			continue
		}
		before := k.lost
		g.Go(func() error {
			for gctx.Err() == nil {
				if err := k.talk(); err != nil {
					return err
				}
				mu.Lock()
				rounds++
				mu.Unlock()
			}
			if k.lost > before {
				return fmt.Errorf("call %s has lost %d packets", k.id, k.lost-before)
			}
			return nil
		})
	}
	do()
	end()
	if err := g.Wait(); err != nil {
		t.Errorf("while %s was away: %v", but.id, err)
	}
	t.Logf("while %s was away others exchanged packets %d times", but.id, rounds)
}

// signal has every call signalled, its offer and its answer at two nodes that change from call to call, and new ones begin and end.
func (f *fleet) signal(round int) {
	up := f.c.running()
	at := func(i int) *node { return up[(i+round)%len(up)] }
	f.c.t.Helper()
	for i, k := range f.plain {
		f.must(k.reinvite(at(i), at(i+1+i%2)))
		f.must(k.talk())
	}
	for i := range up {
		k := f.c.place(at(i), at(i+1))
		f.must(k.reinvite(at(i+2), at(i)))
		f.must(k.talk())
		at(i + 1).ok(remove(k.id))
		for _, n := range up {
			f.mustEnd(n, k)
		}
	}
	// What is answered late, and what was never answered, goes on as if nothing had been.
	f.on.version++
	f.must(f.on.offer(at(round), dict{"to-tag": "B"}))
}

func (f *fleet) mustEnd(n *node, k *call) {
	f.c.t.Helper()
	eventually(f.c.t, n.id+" still knows a call that has ended", func() error {
		r, err := n.do(query(k.id))
		if err == nil && r.dict["result"] == "ok" {
			err = errors.New("it answers")
		}
		return err
	})
}

// proposals are how many offers of the log, from a sequence on, are proposals, and the sequence behind the last entry.
func (n *node) proposals(from uint64) (pending, plain int, next uint64) {
	t := n.c.t
	t.Helper()
	nc, err := nats.Connect(n.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	info, err := js.StreamInfo("CALLS_default")
	if err != nil {
		t.Fatal(err)
	}
	for seq := max(from, info.State.FirstSeq); seq <= info.State.LastSeq; seq++ {
		m, err := js.GetMsg("CALLS_default", seq)
		if errors.Is(err, nats.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		env, err := events.Decode(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := env.Event.(events.Offered); ok {
			if o.Pending {
				pending++
			} else {
				plain++
			}
		}
	}
	return pending, plain, info.State.LastSeq + 1
}

// Nodes of the build before are replaced by this one, one after the other, and one of them comes back: no call is lost, and while an
// earlier build is there, nobody writes what it would take for something else.
func TestRollingUpgrade(t *testing.T) {
	lab.Only(t, "a minute: it builds an earlier program, and judges nodes by their silence")
	old := earlier.Path(t)
	c := assemble(t, newLoopback(), 3)
	c.rerunDone = true // what an earlier build decided may come out otherwise by now
	for _, n := range c.nodes {
		n.build = old
	}
	c.launch()
	f := c.fleet(6)
	f.signal(0)
	f.live()
	from := uint64(1)
	for i, n := range c.nodes {
		owned := 0
		for _, k := range f.talking() {
			if k.owner() == n {
				owned++
			}
		}
		t.Logf("%s with %d calls is upgraded", n.id, owned)
		f.during(n, func() {
			n.stop()
			n.build = ""
			n.restart()
		})
		c.acquainted()
		c.talkAll(f.talking())
		f.signal(i)
		f.live()
		var pending int
		if pending, _, from = n.proposals(from); i < len(c.nodes)-1 && pending > 0 {
			t.Errorf("with %d nodes of the build before, %d offers are proposals", len(c.nodes)-1-i, pending)
		}
	}
	f.reads(events.Level)
	f.signal(3)
	f.live()
	pending, plain, from := c.nodes[0].proposals(from)
	t.Logf("all nodes are of this build: %d offers are proposals, %d are not", pending, plain)

	// A node goes back to the build before.
	n := c.nodes[2]
	f.during(n, func() {
		n.stop()
		n.build = old
		n.restart()
	})
	f.reads(events.LevelFirst)
	c.talkAll(f.talking())
	_, _, from = n.proposals(from)
	for i := range 3 {
		f.signal(i)
	}
	f.live()
	if pending, _, _ := n.proposals(from); pending > 0 {
		t.Errorf("with a node of the build before, %d offers are proposals", pending)
	}
	c.talkAll(f.talking())

	// The nodes of either build take over what the other one has left.
	for _, dead := range []*node{n, c.nodes[0]} {
		dead.kill()
		for j, k := range f.plain {
			if k.owner() != dead {
				continue
			}
			up := c.running()
			f.must(k.reinvite(up[j%2], up[(j+1)%2]))
			if k.owner() == dead {
				t.Errorf("call %s is still at %s", k.id, dead.id)
			}
		}
		dead.restart()
		c.acquainted()
		for _, k := range f.talking() {
			f.must(k.talk())
		}
		f.live()
	}
	for i, k := range append(f.talking(), f.early, f.held, f.forked, f.on) {
		at := c.nodes[i%3]
		at.ok(remove(k.id, dict{"from-tag": nil}))
		for _, n := range c.nodes {
			f.mustEnd(n, k)
		}
	}
}

// reads waits until all nodes of this build write a level of events.
func (f *fleet) reads(level int) {
	f.c.t.Helper()
	want := fmt.Sprintf(`"writes":%d`, level)
	eventually(f.c.t, "not all nodes write that level", func() error {
		out, err := f.c.running()[0].tool("node", "list", "--json")
		if err == nil && strings.Count(out, want) < countOf(f.c.running(), func(n *node) bool { return n.build == "" }) {
			err = fmt.Errorf("want %s in %s", want, out)
		}
		return err
	})
}

func countOf(list []*node, ok func(*node) bool) (count int) {
	for _, n := range list {
		if ok(n) {
			count++
		}
	}
	return count
}
