package keeper

import (
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rtpjet/projection/floats"
)

// say sends an order as a node does, and has the loop take it in.
func (b *bench) say(o order) {
	b.t.Helper()
	data, err := encode(o)
	must(b.t, err)
	b.sayRaw(data)
}

func (b *bench) sayRaw(data []byte) {
	b.t.Helper()
	_, err := unix.Write(b.far, data)
	must(b.t, err)
	b.fromNode()
}

// TestOrders: each order has the effect on the machine that it names.
func TestOrders(t *testing.T) {
	b := newBench(t, float1)
	on, off := true, false
	b.say(order{Record: &floats.Record{Float: float1, Epoch: 7, Holder: "n9", Successor: "n1"}})
	if s := b.state(float1); s.Epoch != 7 || s.Holder != "n9" || s.Successor != "n1" {
		t.Errorf("the record of the bucket: %+v", s)
	}
	b.say(order{Ready: true})
	if s := b.state(float1); !s.Hold || s.Epoch != 8 {
		t.Fatalf("the node is ready: %+v", s)
	}
	b.say(order{Warm: &warm{Float: float1, On: true}})
	if !b.state(float1).Warm {
		t.Error("all calls are ready")
	}
	b.say(order{Warm: &warm{Float: float1, On: false}})
	if b.state(float1).Warm {
		t.Error("not all calls are ready")
	}
	b.say(order{Drain: &on})
	if !b.machine.Pulse(now()).Draining {
		t.Error("draining")
	}
	b.say(order{Drain: &off})
	if b.machine.Pulse(now()).Draining {
		t.Error("no longer draining")
	}
	b.say(order{Nodes: &nodes{Voters: []string{"n1", "n2", "n3"}, Peers: map[string]netip.AddrPort{"n2": netip.MustParseAddrPort("127.0.0.1:9")}}})
	if n := len(b.machine.Peers(now())); n != 2 || b.link.peers["n2"] == nil || b.link.peers["n3"] != nil {
		t.Errorf("%d other voters, connected to %v", n, b.link.peers)
	}
	b.say(order{Pulse: pulseOf("n3", 1, 1, 0, float1).Encode()})
	if p := b.machine.Peers(now())[1]; p.Node != "n3" || p.Condition != floats.Heard {
		t.Errorf("heard by NATS: %+v", p)
	}
	before := b.heardAt
	eventually(t, "the clock stands still", func() bool { return now() > before })
	b.say(order{})
	if b.heardAt <= before {
		t.Error("a sign of life is not noted")
	}
}

// TestMoves are answered with the number of the question, and with the sentence why not.
func TestMoves(t *testing.T) {
	b := newBench(t, float1, float2)
	answer := func(m move) moved {
		t.Helper()
		b.told()
		b.say(order{Move: &m})
		for _, r := range b.told() {
			if r.Moved != nil {
				return *r.Moved
			}
		}
		t.Fatal("no answer")
		return moved{}
	}
	if m := answer(move{ID: 41, Float: float1}); m.ID != 41 || m.Target != "" || m.Error != floats.ErrNotHolder.Error() {
		t.Errorf("%+v", m)
	}
	b.ready()
	if m := answer(move{ID: 42, Float: float1}); m.ID != 42 || m.Error != floats.ErrNoTarget.Error() {
		t.Errorf("%+v", m)
	}
	if m := answer(move{ID: 43, Float: float1, To: "n5"}); m.ID != 43 || !strings.Contains(m.Error, "node n5 is not there") {
		t.Errorf("%+v", m)
	}
	b.heard(floats.UDP, pulseOf("n2", 1, 1, 0, float1).Encode())
	if m := answer(move{ID: 44, Float: float1, To: "n2"}); m != (moved{ID: 44, Target: "n2"}) {
		t.Errorf("%+v", m)
	}
	// n2 stands by our claim, and has its calls ready: now it goes.
	view := floats.View{Float: float1, Epoch: 1, Holder: "n1", Run: 1, Successor: "n2", Carry: true, Warm: true}
	b.fake.take()
	b.heard(floats.UDP, floats.Pulse{Node: "n2", Run: 1, Count: 2, Floats: []floats.View{view}}.Encode())
	b.calls("remove " + float1)
	if s := b.state(float1); s.Holder != "" || !b.holds(1) {
		t.Errorf("%+v", s)
	}
	if b.log.count("giving a float up", "for=n2") != 1 {
		t.Errorf("%s", &b.log)
	}
}

// TestBeforeBegin: a node that takes no part yet decides nothing, whatever it says or hears.
func TestBeforeBegin(t *testing.T) {
	b := newBench(t, float1)
	b.machine = nil
	on := true
	for _, o := range []order{
		{}, {Ready: true}, {Drain: &on}, {Warm: &warm{float1, true}}, {Move: &move{ID: 1, Float: float1}},
		{Record: &floats.Record{Float: float1, Epoch: 1}}, {Nodes: &nodes{}}, {Pulse: pulseOf("n2", 1, 1, 1, float1).Encode()}, {Config: &Config{Node: "n7"}},
	} {
		b.say(o)
	}
	b.heard(floats.UDP, pulseOf("n2", 1, 1, 1, float1).Encode())
	b.refused("n2", now())
	b.attend(now())
	b.watchNode(now() + 2*b.cfg.NodeSilence.Microseconds())
	b.attend(now())
	if all := b.told(); len(all) != 0 || b.machine != nil || b.cfg.Node != "n1" {
		t.Errorf("%+v", all)
	}
	b.calls()

	b.say(order{Run: 3})
	m := b.machine
	if m == nil || m.Pulse(now()).Run != 3 {
		t.Fatal("it does not begin")
	}
	b.say(order{Run: 4})
	if b.machine != m {
		t.Error("one node has two processes")
	}

	b = newBench(t, float1)
	b.machine = nil
	b.say(order{Release: true})
	if b.node != -1 || !b.over(now()) {
		t.Error("a node that never began is waited for")
	}
}

// TestUnreadable: what cannot be read is logged, and what follows is read.
func TestUnreadable(t *testing.T) {
	b := newBench(t, float1)
	b.sayRaw([]byte(`{"ready":`))
	b.sayRaw([]byte(`[]`))
	b.say(order{Ready: true})
	if n := b.log.count("level=ERROR", "a message of the node cannot be read"); n != 2 || !b.holds(0) {
		t.Errorf("logged %d times:\n%s", n, &b.log)
	}
}

// TestNodeGone: the end of the node's socket is the end of its floats, and of the keeper once the others know.
func TestNodeGone(t *testing.T) {
	b := newBench(t, float1, float2)
	b.ready()
	b.fake.take()
	must(t, unix.Shutdown(b.far, unix.SHUT_RDWR))
	b.fromNode()
	if b.node != -1 || b.goneAt == 0 || b.shared.At(0).Load() != 0 || b.shared.At(1).Load() != 0 {
		t.Fatalf("%+v", b.loop)
	}
	b.calls("remove "+float1, "remove "+float2)
	for _, id := range []string{float1, float2} {
		if s := b.state(id); s.Holder != "" || s.Carry {
			t.Errorf("%+v", s)
		}
	}
	b.sendReport(report{Fatal: "nobody is there"})
	if len(b.out) != 0 {
		t.Error("reports are kept for a node that is gone")
	}
	b.watchNode(now() + 10*b.cfg.NodeSilence.Microseconds())
	if n := b.log.count("the node is silent"); n != 0 {
		t.Error("a node that has ended is called silent")
	}
	if b.over(b.goneAt+farewell-1) || !b.over(b.goneAt+farewell) {
		t.Error("the farewell is too short or too long")
	}
}

// TestNodeSilent: a node that hangs loses its floats, and gets none before it has said something again.
func TestNodeSilent(t *testing.T) {
	b := newBench(t, float1)
	b.ready()
	b.heardAt = now()
	limit := b.heardAt + b.cfg.NodeSilence.Microseconds()
	b.watchNode(limit - 1)
	if !b.state(float1).Carry || !b.holds(0) {
		t.Fatal("given up too soon")
	}
	b.watchNode(limit)
	if s := b.state(float1); s.Carry || s.Holder != "" || b.shared.At(0).Load() != 0 || b.units[0].present {
		t.Fatalf("not given up: %+v", s)
	}
	b.say(order{Ready: true}) // which it may have said long ago, and the socket has it only now
	if b.state(float1).Carry || b.holds(0) {
		t.Error("a node that is silent holds a float again")
	}
	b.heardAt = limit - b.cfg.NodeSilence.Microseconds()
	b.watchNode(limit + 1)
	if b.log.count("level=WARN", "the node is silent", "stopped=false") != 1 {
		t.Errorf("%s", &b.log)
	}
	b.heardAt = limit
	b.watchNode(limit + statEvery)
	b.turn()
	if b.log.count("level=INFO", "the node is heard again") != 1 || !b.holds(0) {
		t.Errorf("%s", &b.log)
	}
}

// TestNodeNotReady: a node that was silent before it was ready does not become so by being heard.
func TestNodeNotReady(t *testing.T) {
	b := newBench(t, float1)
	b.watchNode(b.heardAt + b.cfg.NodeSilence.Microseconds())
	b.heardAt = now()
	b.watchNode(b.heardAt + 1)
	b.settle()
	if b.state(float1).Carry || b.holds(0) || b.log.count("heard again") != 0 {
		t.Errorf("%+v\n%s", b.state(float1), &b.log)
	}
	b.say(order{Ready: true})
	if !b.holds(0) {
		t.Error("ready, and holds nothing")
	}
}

// TestStopped reads proc_pid_stat(5): the state stands behind the name, in which there may be anything.
func TestStopped(t *testing.T) {
	b := newBench(t, float1)
	if b.isStopped() {
		t.Error("there is nothing to read")
	}
	for text, want := range map[string]bool{
		"12 (rtpjet) S 1 12 12 0": false, "12 (rtpjet) R 1": false, "12 (rtpjet) D 1": false, "12 (rtpjet) Z 1": false,
		"12 (rtpjet) T 1 12 12 0": true, "12 (rtpjet) t 1": true,
		"12 (a) T (b) S 1": false, "12 (x) S) T 1": true, "12 () T 1": true,
		"": false, "12": false, "12 (rtpjet)": false, "12 (rtpjet) ": false, ")": false,
		"12 (" + strings.Repeat("T", 600) + ") T": false, // longer than any is, and cut
	} {
		fd, err := unix.MemfdCreate("stat", unix.MFD_CLOEXEC)
		must(t, err)
		_, err = unix.Write(fd, []byte(text))
		must(t, err)
		b.stat = fd
		if got := b.isStopped(); got != want {
			t.Errorf("%q is taken for a process that is stopped: %v", text, got)
		}
		b.stat = -1
		must(t, unix.Close(fd))
	}
	self, err := os.Open("/proc/self/stat")
	must(t, err)
	defer self.Close()
	b.stat = int(self.Fd())
	if b.isStopped() {
		t.Error("this very process is stopped")
	}
	b.stat = -1
}

func FuzzOrder(f *testing.F) {
	b := newBench(f, float1, float2)
	on := true
	for _, o := range []order{
		{}, {Ready: true}, {Release: true}, {Drain: &on}, {Warm: &warm{float1, true}}, {Move: &move{ID: 1, Float: float1, To: "n2"}}, {Run: 9},
		{Record: &floats.Record{Float: float2, Epoch: 5, Holder: "n2"}}, {Pulse: pulseOf("n2", 1, 1, 1, float1).Encode()},
		{Nodes: &nodes{Voters: []string{"n1", "n2"}, Peers: map[string]netip.AddrPort{"n2": netip.MustParseAddrPort("127.0.0.1:9")}}},
	} {
		data, err := encode(o)
		must(f, err)
		f.Add(data, data)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		b.t, b.goneAt, b.silent, b.wanted, b.reported = t, 0, false, false, nil
		b.link.setPeers(nil)
		node := b.node
		b.begin(1)
		b.ready()
		for _, data := range [][]byte{first, second} {
			var o order
			if decode(data, &o) == nil {
				if o.Release { // closes the socket, which the next round needs
					o.Release = false
				}
				b.obey(&o)
			}
			for i, u := range b.units {
				s := b.state(u.ID)
				if b.holds(i) != (s.Hold && s.Yield == "") || b.holds(i) != u.present {
					t.Errorf("float %s may be relayed: %v; its address is here: %v; %+v", u.ID, b.holds(i), u.present, s)
				}
			}
		}
		if b.node != node {
			t.Error("the node is taken for gone")
		}
		for _, r := range b.told() {
			if r.Fatal != "" || r.Moved != nil && r.Moved.Error == "" && r.Moved.Target == "" {
				t.Errorf("%+v", r)
			}
			if r.Pulse != nil && !json.Valid(r.Pulse) {
				t.Errorf("%s", r.Pulse)
			}
		}
		if names := b.fake.take(); slices.ContainsFunc(names, func(c string) bool { return !strings.HasSuffix(c, float1) && !strings.HasSuffix(c, float2) }) {
			t.Errorf("addresses that are not ours: %q", names)
		}
	})
}
