package floats_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"rtpjet/projection/floats"
)

const (
	ms      = int64(1000)
	silence = 60 * ms
	beat    = 10 * ms
	float   = "192.0.2.100"
)

// net joins the machines of some nodes by two paths without delay. Time passes in beats.
type net struct {
	t     *testing.T
	now   int64
	nodes []string
	m     map[string]*floats.Machine // nil: no process
	runs  map[string]uint64
	cut   map[string]bool // "a>b nats"
	ids   []string
	cfg   floats.Config
}

func newNet(t *testing.T, cfg floats.Config, ids []string, nodes ...string) *net {
	n := &net{
		t: t, now: ms, nodes: nodes, m: map[string]*floats.Machine{}, runs: map[string]uint64{}, cut: map[string]bool{}, ids: ids, cfg: cfg,
	}
	for _, id := range nodes {
		n.start(id, true)
	}
	return n
}

func (n *net) start(id string, ready bool) {
	n.runs[id]++
	cfg := n.cfg
	cfg.Self, cfg.Run, cfg.Carry, cfg.Silence = id, n.runs[id], n.ids, silence
	m := floats.New(cfg, n.now)
	m.SetVoters(n.nodes)
	if ready {
		m.Ready()
	}
	n.m[id] = m
}

func (n *net) kill(id string) { n.m[id] = nil }

// pull cuts or mends a path between one node and all others, both ways.
func (n *net) pull(id string, path floats.Path, on bool) {
	for _, o := range n.nodes {
		n.cut[fmt.Sprintf("%s>%s %d", id, o, path)] = on
		n.cut[fmt.Sprintf("%s>%s %d", o, id, path)] = on
	}
}

func (n *net) send(id string) {
	p := n.m[id].Pulse(n.now)
	for _, o := range n.nodes {
		for _, path := range []floats.Path{floats.NATS, floats.UDP} {
			if o != id && n.m[o] != nil && !n.cut[fmt.Sprintf("%s>%s %d", id, o, path)] {
				n.m[o].Heard(path, p, n.now)
			}
		}
	}
}

// act is what a node does with its states.
func (n *net) act(id string) {
	for _, s := range n.m[id].States(n.now) {
		n.m[id].SetWarm(s.Float, s.Keep || s.Hold)
		if s.Yield != "" {
			n.m[id].Release(s.Float, s.Yield, n.now)
		}
	}
	if n.m[id].Urgent() {
		n.send(id)
	}
}

// pass lets time pass. Machines of killed processes refuse.
func (n *net) pass(d int64) {
	for end := n.now + d; n.now < end; {
		n.now += beat
		for _, id := range n.nodes {
			if n.m[id] == nil {
				continue
			}
			for _, o := range n.nodes {
				if n.m[o] == nil && !n.cut[fmt.Sprintf("%s>%s %d", id, o, floats.UDP)] {
					n.m[id].Refused(o, n.now, n.now)
				}
			}
			n.m[id].Tick(n.now)
			n.send(id)
		}
		for range 3 { // what is urgent
			for _, id := range n.nodes {
				if n.m[id] != nil {
					n.act(id)
				}
			}
		}
		for _, f := range n.ids {
			n.holders(f)
		}
	}
}

// holders returns who holds a float, and fails if that is more than one.
func (n *net) holders(f string) string {
	n.t.Helper()
	who := ""
	for _, id := range n.nodes {
		if n.m[id] != nil && n.m[id].State(f, n.now).Hold {
			if who != "" {
				n.t.Fatalf("at %d ms %s and %s hold %s", n.now/ms, who, id, f)
			}
			who = id
		}
	}
	return who
}

func (n *net) expect(want string) {
	n.t.Helper()
	if got := n.holders(float); got != want {
		n.t.Fatalf("at %d ms %q holds the float, want %q", n.now/ms, got, want)
	}
}

func (n *net) other(than ...string) string {
	for _, id := range n.nodes {
		found := false
		for _, t := range than {
			found = found || t == id
		}
		if !found {
			return id
		}
	}
	return ""
}

// settled is a net of three nodes in which a holds the float and its successor is ready.
func settled(t *testing.T, cfg floats.Config) (n *net, holder, next string) {
	n = newNet(t, cfg, []string{float}, "a", "b", "c")
	n.pass(500 * ms)
	holder = n.holders(float)
	s := n.m[holder].State(float, n.now)
	if holder == "" || s.Successor == "" || s.Successor == holder {
		t.Fatalf("%+v", s)
	}
	for _, id := range n.nodes {
		o := n.m[id].State(float, n.now)
		if o.Holder != holder || !o.Live || o.Successor != s.Successor || o.Keep != (id == s.Successor) {
			t.Fatalf("%s sees %+v", id, o)
		}
	}
	return n, holder, s.Successor
}

// The cases of the package comment.
func TestCases(t *testing.T) {
	type cutting func(n *net, holder string)
	for _, tt := range []struct {
		name  string
		do    cutting
		after int64 // when another one must hold it; 0: nobody may
	}{
		{"killed", func(n *net, h string) { n.kill(h) }, beat},
		{"cut off", func(n *net, h string) { n.pull(h, floats.NATS, true); n.pull(h, floats.UDP, true) }, silence + 2*beat},
		{"media cut off", func(n *net, h string) { n.pull(h, floats.UDP, true) }, 2*silence + 2*beat},
		{"NATS cut off", func(n *net, h string) { n.pull(h, floats.NATS, true) }, 0},
		{"no NATS at all", func(n *net, _ string) {
			for _, id := range n.nodes {
				n.pull(id, floats.NATS, true)
			}
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, holder, next := settled(t, floats.Config{})
			tt.do(n, holder)
			if tt.after == 0 {
				for range 100 {
					n.pass(beat)
					n.expect(holder)
				}
				return
			}
			n.pass(tt.after)
			n.expect(next)
		})
	}
}

// Who does not hear a majority holds nothing; who is back takes nothing from anybody.
func TestEverythingCut(t *testing.T) {
	n, holder, _ := settled(t, floats.Config{})
	for _, id := range n.nodes {
		n.pull(id, floats.NATS, true)
		n.pull(id, floats.UDP, true)
	}
	n.pass(silence)
	n.expect("")
	n.pass(20 * silence)
	n.expect("")
	for _, id := range n.nodes {
		n.pull(id, floats.NATS, false)
		n.pull(id, floats.UDP, false)
	}
	n.pass(6 * silence)
	if n.holders(float) == "" {
		t.Error("nobody holds it")
	}
	_ = holder
}

// A holder that was cut off finds that it lost, and one that starts anew begins as a voter.
func TestBack(t *testing.T) {
	n, holder, next := settled(t, floats.Config{})
	n.pull(holder, floats.NATS, true)
	n.pull(holder, floats.UDP, true)
	n.pass(10 * silence)
	n.pull(holder, floats.NATS, false)
	n.pull(holder, floats.UDP, false)
	n.pass(10 * silence)
	n.expect(next)
	if s := n.m[holder].State(float, n.now); s.Holder != next {
		t.Errorf("%+v", s)
	}
	n.kill(next)
	n.pass(beat)
	second := n.holders(float)
	n.start(next, false) // it does not know the calls yet
	n.pass(20 * silence)
	n.expect(second)
	n.kill(second)
	n.pass(beat)
	n.expect(n.other(next, second))
}

// Of three nodes two may die, one after the other; with two left at once nobody decides.
func TestTwoDie(t *testing.T) {
	n, holder, next := settled(t, floats.Config{})
	n.kill(holder)
	n.pass(2 * silence)
	n.expect(next)
	n.kill(n.other(holder, next))
	n.pass(3 * silence)
	n.expect(next) // both are refused: nobody else can decide anything

	n, holder, next = settled(t, floats.Config{})
	third := n.other(holder, next)
	n.pull(holder, floats.NATS, true) // silent, not refused
	n.pull(holder, floats.UDP, true)
	n.pull(third, floats.NATS, true)
	n.pull(third, floats.UDP, true)
	n.pass(10 * silence)
	n.expect("")
}

// Planned moves wait until the other node is ready, and nobody waits for silence.
func TestMove(t *testing.T) {
	n, holder, next := settled(t, floats.Config{})
	third := n.other(holder, next)
	if _, err := n.m[next].Move(float, third, n.now); !errors.Is(err, floats.ErrNotHolder) {
		t.Error(err)
	}
	if _, err := n.m[holder].Move(float, "nobody", n.now); !errors.Is(err, floats.ErrNoTarget) {
		t.Error(err)
	}
	to, err := n.m[holder].Move(float, third, n.now)
	if err != nil || to != third {
		t.Fatal(to, err)
	}
	n.pass(4 * beat)
	n.expect(third)
	if to, err = n.m[third].Move(float, "", n.now); err != nil || to == third {
		t.Fatal(to, err)
	}
	n.pass(4 * beat)
	n.expect(to)
}

// A node that cannot serve calls now gives everything up at once, and takes nothing before it can.
func TestSuspend(t *testing.T) {
	n, holder, next := settled(t, floats.Config{})
	n.m[holder].Suspend(n.now)
	n.pass(2 * beat)
	n.expect(next)
	n.kill(next)
	n.pass(beat)
	third := n.other(holder, next)
	n.expect(third)
	n.kill(third)
	n.pass(10 * silence)
	n.expect("")
	n.m[holder].Ready()
	n.pass(4 * silence)
	n.expect(holder) // the other two are refused
}

// Draining nodes are not given floats while there is another one.
func TestDraining(t *testing.T) {
	n, holder, next := settled(t, floats.Config{})
	n.m[next].SetDraining(true)
	n.pass(4 * beat)
	n.kill(holder)
	n.pass(4 * beat)
	n.expect(n.other(holder, next))
	n.kill(n.other(holder, next))
	n.pass(10 * silence)
	n.expect(next)
}

// Floats are spread from the start, and again when a node has been back for a while.
func TestBalance(t *testing.T) {
	ids := []string{"192.0.2.100", "192.0.2.101", "192.0.2.102"}
	n := newNet(t, floats.Config{Balance: 200 * ms, Settle: 1000 * ms}, ids, "a", "b", "c")
	count := func() map[string]int {
		held := map[string]int{}
		for _, f := range ids {
			held[n.holders(f)]++
		}
		return held
	}
	n.pass(500 * ms)
	if got := count(); got["a"] != 1 || got["b"] != 1 || got["c"] != 1 {
		t.Fatalf("at the start %v", got)
	}
	n.kill("a")
	n.pass(2 * silence)
	if got := count(); got["b"]+got["c"] != 3 {
		t.Fatalf("without a %v", got)
	}
	n.start("a", true)
	n.pass(500 * ms)
	if got := count(); got["a"] != 0 {
		t.Fatalf("too early %v", got)
	}
	n.pass(2000 * ms)
	if got := count(); got["a"] != 1 || got["b"] != 1 || got["c"] != 1 {
		t.Fatalf("in the end %v", got)
	}
}

// Epochs go on where the bucket of leases has them, after all nodes have started anew.
func TestRecorded(t *testing.T) {
	n := newNet(t, floats.Config{}, []string{float}, "a", "b", "c")
	for _, id := range n.nodes {
		n.m[id].Recorded(float, 41, "b", "c")
	}
	n.pass(500 * ms)
	if s := n.m["a"].State(float, n.now); s.Epoch != 42 || s.Holder == "" {
		t.Errorf("%+v", s)
	}
}

// One node alone, as in a laboratory, holds what it can.
func TestAlone(t *testing.T) {
	n := newNet(t, floats.Config{}, []string{float}, "a")
	n.pass(500 * ms)
	n.expect("a")
}

func FuzzPulse(f *testing.F) {
	f.Add(floats.Pulse{
		Node: "a", Run: 1 << 40, Count: 7, Acks: []floats.Ack{{Node: "b", Run: 2, Count: 3, UDP: true}},
		Floats: []floats.View{{Float: float, Epoch: 3, Holder: "a", Run: 1 << 40, Successor: "b", Carry: true, Warm: true}},
	}.Encode())
	f.Add([]byte(`{"n":"a","r":1,"f":[{"f":"x","e":18446744073709551615,"h":"a","r":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := floats.DecodePulse(data)
		if err != nil {
			return
		}
		again, err := floats.DecodePulse(p.Encode())
		if err != nil || !bytes.Equal(again.Encode(), p.Encode()) {
			t.Fatalf("%v: %+v became %+v", err, p, again)
		}
		m := floats.New(floats.Config{Self: "me", Run: 1, Carry: []string{float}, Silence: silence}, 1)
		m.Ready()
		m.SetVoters([]string{"me", p.Node})
		for i := range int64(40) {
			p.Count++
			m.Heard(floats.UDP, p, i*beat)
			m.Tick(i * beat)
			m.Pulse(i * beat)
		}
		m.States(40 * beat)
	})
}
