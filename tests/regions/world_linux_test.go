package regions

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtpjet/tests/lab"
	"rtpjet/tests/rerun"
)

var blocks atomic.Uint32

// loopback is a block of loopback addresses that nobody else uses, so that every port is free.
type loopback [3]byte

func newBlock() loopback {
	n := blocks.Add(1)
	if n > 250 {
		panic("out of loopback addresses")
	}
	return loopback{127, byte(248 + os.Getpid()%7), byte(n)}
}

func (b loopback) addr(last int) netip.Addr {
	return netip.AddrFrom4([4]byte{b[0], b[1], b[2], byte(last)})
}

// world is the regions of a test and the network between them.
type world struct {
	t       testing.TB
	block   loopback
	key     string // the file with the key of all regions
	regions []*region
	nodes   []*node
	links   map[[2]string][]*proxy // from who dials to who is dialled
	proxies int
	mixed   bool // an earlier build has decided: it may come out otherwise by now
}

// region is one of them.
type region struct {
	w     *world
	name  string
	key   string
	nodes []*node
	args  []string // of all its nodes
	alone bool     // it knows nothing of other regions
	build string   // the program, if it is another one than that of the tree
}

// node is one node, whether it runs or not.
type node struct {
	r    *region
	id   string
	addr netip.Addr
	dir  string    // of its data
	proc *lab.Proc // nil: it was never started
	runs int
}

const keyText = "a key that is long enough for all regions"

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, block: newBlock(), links: make(map[[2]string][]*proxy)}
	w.key = w.keyFile(keyText)
	return w
}

// joined starts regions of one node each and waits until each sees the others whole.
func joined(t testing.TB, names ...string) *world {
	t.Helper()
	w := newWorld(t)
	for _, name := range names {
		w.add(name, 1)
	}
	w.join()
	w.launch()
	return w
}

func (w *world) keyFile(text string) string {
	w.t.Helper()
	name := filepath.Join(w.t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// add makes a region of so many nodes without starting it.
func (w *world) add(name string, size int) *region {
	w.t.Helper()
	r := &region{w: w, name: name, key: w.key}
	w.regions = append(w.regions, r)
	var routes []string
	for i := range size {
		n := &node{r: r, id: fmt.Sprintf("n%d", i+1), addr: w.block.addr(10*len(w.regions) + i + 1), dir: filepath.Join(w.t.TempDir(), "data")}
		r.nodes, w.nodes = append(r.nodes, n), append(w.nodes, n)
		routes = append(routes, n.at(6222))
	}
	if size > 1 {
		r.args = append(r.args, "--nats-routes", strings.Join(routes, ","))
	}
	return r
}

// join has each region reach each other one through proxies.
func (w *world) join() {
	w.t.Helper()
	for _, from := range w.regions {
		for _, to := range w.regions {
			if from != to {
				w.peer(from, to.name, to)
			}
		}
	}
}

// peer has a region reach another one, under a name, through proxies.
func (w *world) peer(from *region, name string, to *region) {
	w.t.Helper()
	var list []string
	for _, n := range to.nodes {
		w.proxies++
		at := netip.AddrPortFrom(w.block.addr(100+w.proxies), 7422).String()
		pair := [2]string{from.name, name}
		w.links[pair] = append(w.links[pair], newProxy(w.t, at, n.at(7422)))
		list = append(list, at)
	}
	from.args = append(from.args, "--region-peer", name+"="+strings.Join(list, ","))
}

// launch starts all nodes and waits until each region sees the others whole.
func (w *world) launch() {
	w.t.Helper()
	began := time.Now()
	for _, n := range w.nodes {
		n.spawn()
	}
	for _, n := range w.nodes {
		n.ready()
	}
	w.t.Logf("all nodes answer after %v", time.Since(began).Round(time.Millisecond))
	// An empty mirror is whole before it works.
	for _, r := range w.regions {
		id := newID("first")
		r.nodes[0].ok(offer(id, (&phone{at: netip.AddrPortFrom(w.block.addr(200), 4000)}).sdp(1)))
		r.nodes[0].ok(remove(id))
	}
	w.agree(w.regions...)
	w.t.Logf("all mirrors are whole after %v", time.Since(began).Round(time.Millisecond))
}

func (w *world) region(name string) *region {
	w.t.Helper()
	i := slices.IndexFunc(w.regions, func(r *region) bool { return r.name == name })
	if i < 0 {
		w.t.Fatalf("there is no region %s", name)
	}
	return w.regions[i]
}

// at returns the first node of a region.
func (w *world) at(name string) *node { w.t.Helper(); return w.region(name).nodes[0] }

// between are the proxies between two regions, whoever dials.
func (w *world) between(a, b string) []*proxy {
	return slices.Concat(w.links[[2]string{a, b}], w.links[[2]string{b, a}])
}

// cut holds back everything between two regions.
func (w *world) cut(a, b string) { w.hold(a, b, true); w.hold(b, a, true) }

// heal lets it pass again, with all that was held back on connections that are still there.
func (w *world) heal(a, b string) { w.hold(a, b, false); w.hold(b, a, false) }

// hold holds back what one region sends to another one, whoever has dialled.
func (w *world) hold(from, to string, held bool) {
	for _, p := range w.links[[2]string{from, to}] {
		p.set(func() { p.held[there] = held })
	}
	for _, p := range w.links[[2]string{to, from}] {
		p.set(func() { p.held[back] = held })
	}
}

// isolate cuts a region off from all others.
func (w *world) isolate(name string) { w.others(name, w.cut) }

// rejoin heals all that isolate has cut.
func (w *world) rejoin(name string) { w.others(name, w.heal) }

func (w *world) others(name string, f func(a, b string)) {
	for _, r := range w.regions {
		if r.name != name {
			f(name, r.name)
		}
	}
}

// delay has everything between two regions take so long each way.
func (w *world) delay(a, b string, d time.Duration) {
	for _, p := range w.between(a, b) {
		p.set(func() { p.delay = d })
	}
}

func (n *node) at(port uint16) string { return netip.AddrPortFrom(n.addr, port).String() }
func (n *node) ng() string            { return n.at(2223) }
func (n *node) url() string           { return "nats://" + n.at(4222) }

// name is how people of other regions call the node.
func (n *node) name() string { return n.r.name + "/" + n.id }

func (n *node) line() []string {
	args := []string{
		cmp.Or(n.r.build, program(n.r.w.t)), "serve", "--config-file", "none", "--foreground", "--log-stderr", "--log-level", "6", "--node-id", n.id,
		"--interface", n.addr.String(), "--listen-ng", n.ng(), "--nats-listen", n.at(4222), "--data-dir", n.dir,
		"--timeout", "3600", "--region", n.r.name, "--cluster-key-file", n.r.key,
	}
	if !n.r.alone {
		args = append(args, "--region-listen", n.at(7422))
	}
	if len(n.r.nodes) > 1 {
		args = append(args, "--nats-cluster-listen", n.at(6222))
	}
	return append(args, n.r.args...)
}

// spawn starts the process and does not wait.
func (n *node) spawn() {
	t := n.r.w.t
	t.Helper()
	n.runs++
	log := filepath.Join(filepath.Dir(n.dir), fmt.Sprintf("log%d", n.runs))
	p, err := lab.Start(nil, log, n.line()...)
	if err != nil {
		t.Fatal(err)
	}
	n.proc = p
	t.Cleanup(func() {
		n.rerun(p)
		p.Kill()
		n.inspect(log)
	})
}

// rerun makes all decisions again that are in the log of the node's region, if it runs and that is wanted: those also that
// other regions asked for, and those of adopted calls.
func (n *node) rerun(p *lab.Proc) {
	select {
	case <-p.Ended():
		return
	default:
	}
	if n.proc == p && !n.r.w.t.Failed() && !n.r.w.mixed {
		rerun.Server(n.r.w.t, program(n.r.w.t), n.at(4222), "--region", n.r.name, "--cluster-key-file", n.r.key)
	}
}

// ready waits until a node answers commands.
func (n *node) ready() {
	t := n.r.w.t
	t.Helper()
	eventually(t, n.name()+" does not answer", func() error {
		select {
		case <-n.proc.Ended():
			t.Fatalf("%s has ended: %s", n.name(), n.proc.LastLines())
		default:
		}
		_, err := n.do(dict{"command": "ping"})
		return err
	})
}

// said tells whether the log of the node's present run has a text.
func (n *node) said(text string) bool {
	b, err := os.ReadFile(n.proc.Log)
	return err == nil && strings.Contains(string(b), text)
}

// inspect looks for what must not be in a log, and shows the log of a test that failed.
func (n *node) inspect(log string) {
	t := n.r.w.t
	b, err := os.ReadFile(log)
	if err != nil {
		t.Error(err)
		return
	}
	text := string(b)
	for _, bad := range []string{"panic:", "DATA RACE", "fatal error:"} {
		if at := strings.Index(text, bad); at >= 0 {
			t.Errorf("%s:\n%s", n.name(), text[at:min(len(text), at+4000)])
		}
	}
	if !t.Failed() {
		return
	}
	if keep := os.Getenv("RTPJET_REGIONS_LOGS"); keep != "" {
		file := strings.ReplaceAll(fmt.Sprintf("%s-%s-%s-%s", t.Name(), n.r.name, n.id, filepath.Base(log)), "/", "_")
		if err := os.WriteFile(filepath.Join(keep, file), b, 0o644); err != nil {
			t.Error(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if cut := len(lines) - 40; cut > 0 {
		lines = append(append(lines[:15:15], fmt.Sprintf("… %d lines", cut-15)), lines[max(cut, 15):]...)
	}
	t.Logf("%s, %s:\n%s", n.name(), filepath.Base(log), strings.Join(lines, "\n"))
}
