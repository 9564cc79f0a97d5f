package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtpjet/tests/lab"
	"rtpjet/tests/rerun"
)

// cluster is the nodes of a test.
type cluster struct {
	t     testing.TB
	world world
	args  []string // of all nodes
	nodes []*node  // in the order of their numbers
	times times    // of the commands that were answered

	rerunDone bool
}

// node is one node, whether it runs or not.
type node struct {
	c     *cluster
	where where
	id    string
	dir   string // of its data
	args  []string
	proc  *lab.Proc // nil: it was never started
	runs  int
	up    bool     // as far as the test wants it
	alone bool     // it is no member of a cluster
	key   string   // the file with the key of the cluster
	under []string // a program that starts it, with its arguments
	build string   // the program, if it is another one than that of the tree
}

// start starts a cluster of so many nodes on loopback addresses and waits until all answer.
func start(t *testing.T, size int, args ...string) *cluster {
	t.Helper()
	c := assemble(t, newLoopback(), size, args...)
	c.launch()
	return c
}

// assemble makes a cluster without starting it.
func assemble(t *testing.T, w world, size int, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, world: w, args: args}
	var routes []string
	for i := range size {
		routes = append(routes, c.add(fmt.Sprintf("n%d", i+1), i+1).route())
	}
	for _, n := range c.nodes {
		n.args = append(n.args, "--nats-routes", strings.Join(routes, ","))
	}
	return c
}

// add makes a node without starting it.
func (c *cluster) add(id string, number int, args ...string) *node {
	c.t.Helper()
	n := &node{c: c, id: id, where: c.world.at(number), dir: filepath.Join(c.t.TempDir(), "data"), args: args}
	if i := slices.Index(c.args, "--cluster-key-file"); i >= 0 {
		n.key = c.args[i+1]
	}
	c.nodes = append(c.nodes, n)
	return n
}

// launch starts all nodes at once and waits until all answer, know each other, and have a copy of everything.
func (c *cluster) launch() {
	c.t.Helper()
	began := time.Now()
	for _, n := range c.nodes {
		n.spawn()
	}
	for _, n := range c.nodes {
		n.ready()
	}
	ready := time.Since(began)
	c.agree()
	copies := 1
	if len(c.nodes) >= 3 {
		copies = 3
	}
	for _, stream := range streams {
		c.replicas(stream, copies)
	}
	c.t.Logf("all nodes answer after %v, all copies are there after %v", ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

func (n *node) ng() string    { return netip.AddrPortFrom(n.where.media, 2223).String() }
func (n *node) route() string { return netip.AddrPortFrom(n.where.nats, 6222).String() }
func (n *node) url() string   { return "nats://" + netip.AddrPortFrom(n.where.nats, 4222).String() }

func (n *node) line() []string {
	args := []string{
		cmp.Or(n.build, program(n.c.t)), "serve", "--config-file", "none", "--foreground", "--log-stderr", "--log-level", "6", "--node-id", n.id,
		"--interface", n.where.media.String(), "--listen-ng", n.ng(), "--nats-listen", strings.TrimPrefix(n.url(), "nats://"),
		"--data-dir", n.dir, "--timeout", "3600",
	}
	if !n.alone {
		args = append(args, "--nats-cluster-listen", n.route())
	}
	return append(append(args, n.c.args...), n.args...)
}

// spawn starts the process and does not wait.
func (n *node) spawn() {
	n.c.t.Helper()
	n.runs++
	log := filepath.Join(filepath.Dir(n.dir), fmt.Sprintf("log%d", n.runs))
	p, err := lab.Start(n.where.side, log, n.line()...)
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.proc, n.up = p, true
	n.c.t.Cleanup(func() {
		n.c.rerun()
		p.Kill()
		n.inspect(log)
	})
}

// rerun makes all decisions again that are in the log, once, while there is a node to ask.
func (c *cluster) rerun() {
	if c.rerunDone || c.t.Failed() || !rerun.Wanted() {
		return
	}
	for _, n := range c.nodes {
		if !n.up {
			continue
		}
		c.rerunDone = true
		out, err := n.tool("replay", "--all")
		rerun.Result(c.t, out, err)
		return
	}
}

// inspect looks for what must not be in a log, and shows the log of a test that failed.
func (n *node) inspect(log string) {
	b, err := os.ReadFile(log)
	if err != nil {
		n.c.t.Error(err)
		return
	}
	text := string(b)
	for _, bad := range []string{"panic:", "DATA RACE", "fatal error:"} {
		if at := strings.Index(text, bad); at >= 0 {
			n.c.t.Errorf("%s:\n%s", n.id, text[at:min(len(text), at+4000)])
		}
	}
	if keep := os.Getenv("RTPJET_CLUSTER_LOGS"); keep != "" && n.c.t.Failed() {
		if err := os.WriteFile(filepath.Join(keep, fmt.Sprintf("%s-%s-%s", n.c.t.Name(), n.id, filepath.Base(log))), b, 0o644); err != nil {
			n.c.t.Error(err)
		}
	}
	if n.c.t.Failed() {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if cut := len(lines) - 40; cut > 0 {
			lines = append(append(lines[:15:15], fmt.Sprintf("… %d lines", cut-15)), lines[max(cut, 15):]...)
		}
		n.c.t.Logf("%s, %s:\n%s", n.id, filepath.Base(log), strings.Join(lines, "\n"))
	}
}

// ready waits until a node answers.
func (n *node) ready() {
	n.c.t.Helper()
	eventually(n.c.t, n.id+" does not answer", func() error {
		select {
		case <-n.proc.Ended():
			n.c.t.Fatalf("%s has ended: %s", n.id, n.proc.LastLines())
		default:
		}
		_, err := n.exchangeFor("ready", []byte("d7:command4:pinge"), 1)
		return err
	})
}

// restart starts a node that has ended and waits until it answers.
func (n *node) restart() {
	n.c.t.Helper()
	began := time.Now()
	n.spawn()
	n.ready()
	n.c.t.Logf("%s answers after %v", n.id, time.Since(began).Round(time.Millisecond))
}

// kill is kill -9.
func (n *node) kill() {
	n.up = false
	n.proc.Kill()
}

func (n *node) signal(s syscall.Signal) {
	n.c.t.Helper()
	if err := syscall.Kill(n.proc.PID, s); err != nil {
		n.c.t.Fatal(err)
	}
}

// pause stops the process, as a machine that is too busy, or a VM that is moved, does. It is waited for.
func (n *node) pause() {
	n.c.t.Helper()
	n.signal(syscall.SIGSTOP)
	n.up = false
	eventually(n.c.t, "the process does not stop", func() error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.proc.PID))
		if err != nil {
			return err
		}
		rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
		if f := strings.Fields(rest); len(f) > 0 && f[0] != "T" {
			return errors.New("state " + f[0])
		}
		return nil
	})
}

func (n *node) resume() {
	n.c.t.Helper()
	n.up = true
	n.signal(syscall.SIGCONT)
}

// running are the nodes that should answer.
func (c *cluster) running() []*node {
	var out []*node
	for _, n := range c.nodes {
		if n.up {
			out = append(out, n)
		}
	}
	return out
}

// others are the running nodes but one.
func (c *cluster) others(than *node) []*node {
	var out []*node
	for _, n := range c.running() {
		if n != than {
			out = append(out, n)
		}
	}
	return out
}

func pick(r *rand.Rand, of []*node) *node { return of[r.IntN(len(of))] }

func (c *cluster) byMedia(a netip.Addr) *node {
	for _, n := range c.nodes {
		if n.where.media == a {
			return n
		}
	}
	return nil
}

func (c *cluster) byID(id string) *node {
	for _, n := range c.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

// stop ends a node as it should be.
func (n *node) stop() {
	n.up = false
	n.proc.Stop()
}
