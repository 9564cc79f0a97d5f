package keeper

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/projection/floats"
)

// clusterSilence is the float timeout of a cluster: long, as the machine of the tests is busy with other ones.
const clusterSilence = 120 * time.Millisecond

// cluster is some nodes of this process, each with a keeper's process, which hear each other over the loopback device. Nobody
// puts addresses anywhere: the loopback device has them all.
type cluster struct {
	t      testing.TB
	floats []string

	mu     sync.Mutex
	nodes  map[string]*testNode
	all    []*testNode // those of before, too
	voters []string
}

// testNode is what a node does for its keeper.
type testNode struct {
	*Keeper
	id     string
	shared *Deadlines
	log    lines
	stop   chan struct{}
	all    sync.WaitGroup
	once   sync.Once

	mu     sync.Mutex
	states map[string]floats.State
	hangs  bool // it does not say that it lives
	cold   bool // it never has the calls ready
}

// newCluster starts nodes that hold floats. What change does to a node's configuration is done before.
func newCluster(t testing.TB, numFloats int, change func(*Config), names ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, floats: ids(numFloats), nodes: map[string]*testNode{}, voters: names}
	for _, id := range names {
		c.start(id, 1, change)
	}
	c.connect(names...)
	for _, id := range names {
		must(t, c.nodes[id].Ready())
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { c.watch(stop) })
	t.Cleanup(func() {
		close(stop)
		watch.Wait()
		var ends sync.WaitGroup
		for _, n := range c.all {
			ends.Go(n.end)
		}
		ends.Wait()
		for _, n := range c.all {
			_, _ = unix.Munmap(n.shared.mem), unix.Close(n.shared.fd)
			if t.Failed() {
				t.Logf("node %s\n%s", n.id, &n.log)
			}
		}
	})
	return c
}

// start starts a node's keeper.
func (c *cluster) start(id string, run uint64, change func(*Config)) *testNode {
	c.t.Helper()
	if testing.Short() {
		c.t.Skip("starts processes; not with -short")
	}
	shared, err := NewDeadlines()
	must(c.t, err)
	n := &testNode{id: id, shared: shared, stop: make(chan struct{}), states: map[string]floats.State{}}
	cfg := Config{
		Node: id, Timeout: clusterSilence, NodeSilence: patience, Provider: "none", Bind: loopback4, Key: []byte("the cluster's"), LogLevel: slog.LevelDebug,
	}
	for _, f := range c.floats {
		prefix := netip.PrefixFrom(netip.MustParseAddr(f), 8)
		cfg.Floats = append(cfg.Floats, Float{ID: f, Addrs: []netaddr.Address{{Prefix: prefix, Device: "lo"}}})
	}
	if change != nil {
		change(&cfg)
	}
	node, wait, err := spawn(shared, &n.log)
	must(c.t, err)
	k, err := attach(c.t.Context(), cfg, node, shared, wait)
	must(c.t, err)
	n.Keeper = k
	n.all.Go(func() { n.live() })
	n.all.Go(func() { n.listen(c) })
	must(c.t, k.Begin(run))
	c.mu.Lock()
	c.nodes[id] = n
	c.all = append(c.all, n)
	c.mu.Unlock()
	return n
}

// connect has these nodes hear each other, and no other ones. All nodes of the cluster decide.
func (c *cluster) connect(names ...string) {
	c.t.Helper()
	for _, id := range names {
		peers := map[string]netip.AddrPort{}
		for _, other := range names {
			if other != id {
				peers[other] = c.nodes[other].Addr()
			}
		}
		must(c.t, c.nodes[id].Nodes(c.voters, peers))
	}
}

// live says that the node lives.
func (n *testNode) live() {
	tick := time.NewTicker(AliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.mu.Lock()
			hangs := n.hangs
			n.mu.Unlock()
			if !hangs {
				_ = n.Alive()
			}
		case <-n.stop:
			return
		case <-n.Done():
			return
		}
	}
}

// listen does what a node does with its keeper's reports: it has the calls ready of what it holds or is to hold next.
func (n *testNode) listen(c *cluster) {
	for r := range n.Reports() {
		if r.Fatal != "" {
			c.t.Errorf("node %s has to end: %s", n.id, r.Fatal)
		}
		for _, s := range r.States {
			n.mu.Lock()
			n.states[s.Float] = s
			warm := (s.Keep || s.Hold) && !n.cold
			n.mu.Unlock()
			if warm != s.Warm {
				_ = n.Warm(s.Float, warm)
			}
		}
	}
}

func (n *testNode) state(float string) floats.State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.states[float]
}

func (n *testNode) hang(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hangs = on
}

// kill is the end of a node without a word.
func (n *testNode) kill() { _ = unix.Shutdown(connFD(n.Keeper), unix.SHUT_RDWR) }

func connFD(k *Keeper) (fd int) {
	raw, err := k.conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(p uintptr) { fd = int(p) })
	}
	if err != nil {
		return -1 // it is closed
	}
	return fd
}

// end ends a node as it should.
func (n *testNode) end() {
	n.once.Do(func() {
		close(n.stop)
		_ = n.Close()
		n.all.Wait()
	})
}

// holder is the node on which a float may be relayed now; empty: there is none.
func (c *cluster) holder(float string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.floats, float)
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if c.nodes[id].shared.At(i).Load() > nowNano() {
			return id
		}
	}
	return ""
}

// watch fails the test when two nodes may relay one float at a time.
func (c *cluster) watch(stop <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		c.mu.Lock()
		nodes := slices.Clone(c.all)
		c.mu.Unlock()
		for i, f := range c.floats {
			for _, a := range nodes {
				for _, b := range nodes {
					if a == b {
						continue
					}
					before, other, after := a.shared.At(i).Load(), b.shared.At(i).Load(), a.shared.At(i).Load()
					if t := nowNano(); before > t && other > t && after > t {
						c.t.Errorf("%s may be relayed by %s for %d ns and by %s for %d", f, a.id, after-t, b.id, other-t)
						return
					}
				}
			}
		}
	}
}

// held waits until all floats are held, by nodes among these, and returns who holds the first.
func (c *cluster) held(by ...string) string {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("not all floats are held by %s", by), func() bool {
		return !slices.ContainsFunc(c.floats, func(f string) bool { return !slices.Contains(by, c.holder(f)) })
	})
	return c.holder(c.floats[0])
}

// logged waits until a node's keeper has logged a line with all of these words.
func (c *cluster) logged(id string, words ...string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%s logs no %q", id, words), func() bool { return c.nodes[id].log.count(words...) > 0 })
}

func (c *cluster) others(than string) []string {
	return slices.DeleteFunc(slices.Clone(c.voters), func(id string) bool { return id == than })
}

// TestClusterKill: the floats of a node that ends go on at those that remain, down to the last one.
func TestClusterKill(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil, "n1", "n2", "n3")
	left := c.voters
	for len(left) > 1 {
		was := c.held(left...)
		epoch := c.nodes[was].state(c.floats[0]).Epoch
		c.nodes[was].kill()
		left = slices.DeleteFunc(slices.Clone(left), func(id string) bool { return id == was })
		is := c.held(left...)
		eventually(t, "the holder says that it holds it by a newer claim", func() bool {
			s := c.nodes[is].state(c.floats[0])
			return s.Hold && s.Epoch > epoch
		})
		<-c.nodes[was].Done() // and so has its keeper ended
		c.logged(was, "level=INFO", "giving a float up")
	}
}

// TestClusterMove: a float goes where it is sent, once its calls are ready there, and not before.
func TestClusterMove(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil, "n1", "n2", "n3")
	float := c.floats[0]
	from := c.held(c.voters...)
	other := c.others(from)
	if _, err := c.nodes[other[0]].Move(t.Context(), float, ""); err == nil || err.Error() != floats.ErrNotHolder.Error() {
		t.Errorf("a node that does not hold it moves it: %v", err)
	}
	to := ""
	eventually(t, "the float cannot be moved", func() bool {
		var err error
		to, err = c.nodes[from].Move(t.Context(), float, other[1])
		return err == nil
	})
	if to != other[1] {
		t.Errorf("moved to %s", to)
	}
	c.held(other[1])
	eventually(t, "it is not said why", func() bool {
		s := c.nodes[other[1]].state(float)
		return s.Why == "its holder gave it to this node" && s.Silence == 0
	})
}

// TestClusterDrain: a node that an operator has drained gets nothing as long as there is another one.
func TestClusterDrain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil, "n1", "n2", "n3")
	c.held(c.voters...)
	must(t, c.nodes["n2"].Drain(true))
	// What it holds the operator moves; that of n1 goes to n3.
	for _, f := range c.floats {
		if c.holder(f) == "n2" {
			eventually(t, "the float cannot be moved", func() bool { _, err := c.nodes["n2"].Move(t.Context(), f, ""); return err == nil })
		}
	}
	c.held("n1", "n3")
	for _, f := range c.floats {
		eventually(t, "a node that drains is to follow", func() bool {
			at := c.holder(f)
			return at != "" && slices.Contains([]string{"n1", "n3"}, c.nodes[at].state(f).Successor)
		})
	}
	c.nodes["n1"].kill()
	c.held("n3")
}

// TestClusterNodeHangs: a keeper whose node says nothing gives the floats to others. When the node speaks again it is there for
// the next time.
func TestClusterNodeHangs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(cfg *Config) { cfg.NodeSilence = 1500 * time.Millisecond }, "n1", "n2", "n3")
	was := c.held(c.voters...)
	c.nodes[was].hang(true)
	c.held(c.others(was)...)
	c.logged(was, "level=WARN", "the node is silent", "stopped=false")
	c.nodes[was].hang(false)
	c.logged(was, "level=INFO", "the node is heard again")
	for _, id := range c.others(was) {
		c.nodes[id].kill()
	}
	c.held(was)
}

// TestClusterNodeStopped: a process that is stopped relays nothing, and is noticed by that; here it is another process, as
// the tests have to go on.
func TestClusterNodeStopped(t *testing.T) {
	t.Parallel()
	node := exec.Command("sleep", "1000")
	must(t, node.Start())
	defer func() { _, _ = node.Process.Kill(), node.Wait() }()
	c := newCluster(t, 1, func(cfg *Config) {
		if cfg.Node == "n1" {
			cfg.PID = node.Process.Pid
		}
	}, "n1", "n2", "n3")
	bring(t, c, "n1")
	must(t, node.Process.Signal(unix.SIGSTOP))
	c.held("n2", "n3")
	c.logged("n1", "level=WARN", "the node is silent", "stopped=true")
	must(t, node.Process.Signal(unix.SIGCONT))
	c.logged("n1", "level=INFO", "the node is heard again")
}

// bring moves the first float to a node.
func bring(t testing.TB, c *cluster, to string) {
	t.Helper()
	c.held(c.voters...)
	eventually(t, "the float is not at "+to, func() bool {
		at := c.holder(c.floats[0])
		if at != to && at != "" {
			_, _ = c.nodes[at].Move(t.Context(), c.floats[0], to)
			time.Sleep(10 * time.Millisecond)
		}
		return at == to
	})
}

// TestClusterCanary: a thread that ends with the node tells of its end before its sockets do.
func TestClusterCanary(t *testing.T) {
	t.Parallel()
	node := exec.Command("sleep", "1000")
	must(t, node.Start())
	if fd, err := unix.PidfdOpen(node.Process.Pid, unix.PIDFD_THREAD); err != nil {
		_, _ = node.Process.Kill(), node.Wait()
		t.Skipf("this kernel has no descriptors of threads: %v", err)
	} else {
		_ = unix.Close(fd)
	}
	c := newCluster(t, 1, func(cfg *Config) {
		if cfg.Node == "n1" {
			cfg.Canary = node.Process.Pid
		}
	}, "n1", "n2", "n3")
	bring(t, c, "n1")
	must(t, node.Process.Kill())
	_ = node.Wait()
	c.held("n2", "n3")
	<-c.nodes["n1"].Done()
}

// TestClusterCutOff: a node that hears no majority holds nothing; when it is back there is one holder.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, nil, "n1", "n2", "n3")
	was := c.held(c.voters...)
	rest := c.others(was)
	c.connect(was)
	c.connect(rest...)
	c.held(rest...)
	c.logged(was, "level=WARN", "this machine may be the one that is cut off")
	c.connect(c.voters...)
	eventually(t, "it does not hear who holds the floats now", func() bool {
		s := c.nodes[was].state(c.floats[0])
		return s.Live && s.Holder == c.holder(c.floats[0])
	})
}

// TestClusterNATS: without the media network the pulses that the nodes hand on say who is there, and there is one holder.
func TestClusterNATS(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil, "n1", "n2")
	c.held(c.voters...)
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(stop)
	// From now on each node's pulses come to us, and we hand them over as NATS would.
	link := newLink(t, loopback4, "the cluster's")
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(clusterSilence / 20):
			}
			link.receive(func(pulse []byte) {
				p, err := floats.DecodePulse(pulse)
				if err != nil {
					t.Errorf("%s: %v", pulse, err)
					return
				}
				for _, id := range c.voters {
					if id != p.Node {
						_ = c.nodes[id].Heard(slices.Clone(pulse))
					}
				}
			})
		}
	})
	for _, id := range c.voters { // one hears the other through us alone
		must(t, c.nodes[id].Nodes(c.voters, map[string]netip.AddrPort{"between": link.addr}))
	}
	for _, id := range c.voters {
		c.logged(id, "level=WARN", "is heard by NATS and not on the media network")
	}
	c.held(c.voters...)
}

// TestClusterRestart: a node that comes back does not take part before its former self is forgotten, and takes nothing from who
// has it.
func TestClusterRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil, "n1", "n2", "n3")
	was := c.held(c.voters...)
	c.nodes[was].end()
	is := c.held(c.others(was)...)
	n := c.start(was, 2, nil)
	c.connect(c.voters...)
	must(t, n.Ready())
	eventually(t, "it does not hear who holds the float", func() bool { return n.state(c.floats[0]).Live && n.state(c.floats[0]).Holder == is })
	for _, id := range c.others(was) {
		c.nodes[id].kill()
	}
	c.held(was)
}

// TestClusterVoter: a node without floats of its own decides with the others.
func TestClusterVoter(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(cfg *Config) {
		if cfg.Node == "n3" {
			cfg.Floats, cfg.Provider = nil, ""
		}
	}, "n1", "n2", "n3")
	was := c.held("n1", "n2")
	// Alone, the other one would be one of three, and hold nothing.
	c.connect(was)
	rest := c.others(was)
	c.connect(rest...)
	c.held(c.others(was)...)
	if h := c.holder(c.floats[0]); h == "n3" {
		t.Errorf("%s holds it", h)
	}
}

// TestServeRefuses: what cannot be a keeper says why, to the node and to who has started it.
func TestServeRefuses(t *testing.T) {
	ok := Config{Node: "n1", Timeout: time.Second, NodeSilence: time.Second, Bind: loopback4}
	with := func(change func(*Config)) order {
		c := ok
		c.Floats = []Float{{ID: float1, Addrs: []netaddr.Address{addressOf(float1)}}}
		c.Provider = "none"
		change(&c)
		return order{Config: &c}
	}
	for _, c := range []struct {
		name  string
		first any
		want  string
	}{
		{"no configuration", order{Ready: true}, "read the keeper's configuration: another message came first"},
		{"no message", "junk", "read a message between node and keeper: "},
		{"no provider", with(func(c *Config) { c.Provider = "magic" }), `open provider "magic": `},
		{"no script", with(func(c *Config) { c.Provider = "exec:/nonexistent/script" }), "find the script: "},
		{"no address", with(func(c *Config) { c.Floats[0].Addrs[0] = netaddr.Address{} }), "check address: it is empty"},
		{"no bind", with(func(c *Config) { c.Bind = netip.MustParseAddr("192.0.2.77") }), "listen for pulses on 192.0.2.77: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, fd := socketPair(t)
			s := &scripted{t, node}
			defer func() { _ = node.Close() }()
			data, err := encode(c.first)
			must(t, err)
			s.sayRaw(data)
			shared := newShared(t)
			shared.At(0).Store(1 << 62)
			err = serve(fd, shared, func(Config) *slog.Logger { return slog.New(slog.DiscardHandler) }, []string{"some rights"})
			if err == nil || len(err.Error()) < len(c.want) || err.Error()[:len(c.want)] != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			buf := make([]byte, maxMessage)
			n, err := node.Read(buf)
			must(t, err)
			var r report
			must(t, decode(buf[:n], &r))
			if r.Started == nil || r.Started.Error[:min(len(r.Started.Error), len(c.want))] != c.want || !slices.Equal(r.Started.Runs, []string{"some rights"}) {
				t.Errorf("the node hears %+v", r.Started)
			}
			if shared.At(0).Load() != 0 {
				t.Error("a deadline is in force")
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		node, fd := socketPair(t)
		must(t, node.Close())
		if err := serve(fd, newShared(t), func(Config) *slog.Logger { return slog.New(slog.DiscardHandler) }, nil); err == nil {
			t.Error("there is no node, and the keeper does not end")
		}
	})
}

// TestScriptProvider: the whole of a keeper with a script of the operator's, which is asked beside the loop.
func TestScriptProvider(t *testing.T) {
	t.Parallel()
	script, log := writeScript(t)
	c := newCluster(t, 1, func(cfg *Config) { cfg.Provider = "exec:" + script }, "n1")
	c.held("n1")
	eventually(t, "the script is not asked to add the address", func() bool { return slices.Contains(log(), "add") })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c.nodes["n1"].kill()
	select {
	case <-c.nodes["n1"].Done():
	case <-ctx.Done():
		t.Fatal("the keeper does not end")
	}
	if got := log(); !slices.Equal(got, []string{"check", "add", "remove"}) {
		t.Errorf("the script was asked for %q", got)
	}
}
