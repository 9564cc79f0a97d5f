package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rtpjet/tests/lab"
)

// clusterKey is the secret of the laboratory's nodes.
const clusterKey = "a-key-of-the-failover-laboratory"

// stores is how many NATS servers there are if they are outside of the nodes.
const stores = 3

// cluster is rtpjet.
type cluster struct {
	*world
	self, binary string
	outside      bool // NATS runs elsewhere, three servers on the store's port
	procs        []*lab.Proc
	nats         []*lab.Proc
}

func newCluster(w *world, self, binary string, outside bool) *cluster {
	return &cluster{world: w, self: self, binary: binary, outside: outside, procs: make([]*lab.Proc, len(w.nodes)), nats: make([]*lab.Proc, stores)}
}

func (c *cluster) keyFile() string { return filepath.Join(c.dir, "cluster.key") }

func (c *cluster) start(ctx context.Context) error {
	if err := os.WriteFile(c.keyFile(), []byte(clusterKey+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the cluster key: %w", err)
	}
	if c.outside {
		if err := c.storeUp(ctx); err != nil {
			return err
		}
	}
	for i := range c.nodes {
		if err := c.startNode(i); err != nil {
			return err
		}
	}
	for i := range c.nodes {
		if err := c.ready(ctx, i); err != nil {
			return err
		}
	}
	ng := netip.AddrPortFrom(c.float, ngPort)
	err := eventually(ctx, 20*time.Second, func() (bool, error) {
		return c.client.Do(func() error { return lab.PingNG(ng) }) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for NG on the floating address: %w; n1 last said:\n%s", err, c.procs[0].LastLines())
	}
	return c.settled()
}

// settled waits until each stream has a leader and all its copies are current.
func (c *cluster) settled() error { return c.ofStreams("settled") }

// ofStreams runs this program's command for streams in the phones' namespace.
func (c *cluster) ofStreams(words ...string) error {
	_, err := lab.Output(&c.client.Side, append([]string{c.self, "streams", c.urls()}, words...)...)
	return err
}

// urls are where the nodes' tools find NATS.
func (c *cluster) urls() string {
	if c.outside {
		return "nats://" + c.storeAt(0, 4222) + ",nats://" + c.storeAt(1, 4222) + ",nats://" + c.storeAt(2, 4222)
	}
	var all []string
	for _, n := range c.nodes {
		all = append(all, "nats://"+netip.AddrPortFrom(n.Addr, 4222).String())
	}
	return strings.Join(all, ",")
}

// storeAt is an address of server i of those outside: they share an IP address.
func (c *cluster) storeAt(i int, port uint16) string {
	return netip.AddrPortFrom(c.store.Addr, port+uint16(i)).String()
}

// startNode starts node i.
func (c *cluster) startNode(i int) error {
	addr := c.nodes[i].Addr
	name := fmt.Sprintf("n%d", i+1)
	args := []string{
		c.binary, "serve", "--config-file=none", "--node-id", name, "--interface", "main/" + addr.String(),
		"--float", "main/" + c.float.String() + "/24@eth0", "--listen-ng", fmt.Sprintf("float:main:%d", ngPort),
		"--listen-ng", netip.AddrPortFrom(addr, ngPort).String(), "--cluster-key-file", c.keyFile(),
		"--data-dir", filepath.Join(c.dir, name), "--log-level", "6", "--port-min", "10000", "--port-max", "59999",
	}
	if c.outside {
		// As rtpengine does, they take calls while the store is away.
		args = append(args, "--nats", c.urls(), "--log-loss=serve")
	} else {
		var routes []string
		for _, n := range c.nodes {
			routes = append(routes, netip.AddrPortFrom(n.Addr, 6222).String())
		}
		args = append(args, "--nats-listen", netip.AddrPortFrom(addr, 4222).String(),
			"--nats-cluster-listen", netip.AddrPortFrom(addr, 6222).String(), "--nats-routes", strings.Join(routes, ","))
	}
	p, err := lab.Start(&c.nodes[i].Side, filepath.Join(c.dir, name+".log"), args...)
	c.procs[i] = p
	return err
}

// ready waits until node i answers on its own address.
func (c *cluster) ready(ctx context.Context, i int) error {
	own := netip.AddrPortFrom(c.nodes[i].Addr, ngPort)
	err := eventually(ctx, time.Minute, func() (bool, error) {
		select {
		case <-c.procs[i].Ended():
			return false, errors.New("it ended")
		default:
		}
		return c.client.Do(func() error { return lab.PingNG(own) }) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("start n%d: %w; it last said:\n%s", i+1, err, c.procs[i].LastLines())
	}
	return nil
}

func (c *cluster) kill(node int) error {
	c.procs[node].Kill()
	return nil
}

// tool runs a command of rtpjet from the phones' namespace.
func (c *cluster) tool(args ...string) error {
	args = append(append([]string{c.binary}, args...), "--nats", c.urls(), "--cluster-key-file", c.keyFile())
	_, err := lab.Output(&c.client.Side, args...)
	return err
}

// move moves the address to the next node.
func (c *cluster) move(_ context.Context, node int) error {
	return c.tool("float", "move", "main", fmt.Sprintf("n%d", (node+1)%len(c.nodes)+1))
}

// restart drains a node with its address moved away, and starts it again.
func (c *cluster) restart(ctx context.Context, node int) error {
	name := fmt.Sprintf("n%d", node+1)
	if err := c.tool("node", "drain", name, "--move"); err != nil {
		return err
	}
	c.procs[node].Stop()
	if err := c.startNode(node); err != nil {
		return err
	}
	if err := c.ready(ctx, node); err != nil {
		return err
	}
	if err := c.tool("node", "undrain", name); err != nil {
		return err
	}
	return c.settled()
}

// drain takes the address from a node by draining it.
func (c *cluster) drain(_ context.Context, node int) error {
	return c.tool("node", "drain", fmt.Sprintf("n%d", node+1), "--move")
}

func (c *cluster) storeDown() error {
	if !c.outside {
		return errors.New("stop NATS: it runs within the nodes")
	}
	for _, p := range c.nats {
		p.Kill()
	}
	return nil
}

func (c *cluster) storeUp(context.Context) error {
	var routes []string
	for i := range stores {
		routes = append(routes, c.storeAt(i, 6222))
	}
	for i := range stores {
		name := fmt.Sprintf("s%d", i+1)
		p, err := lab.Start(&c.store.Side, filepath.Join(c.dir, name+".log"), c.self, "nats", name, c.storeAt(i, 4222), c.storeAt(i, 6222),
			strings.Join(routes, ","), filepath.Join(c.dir, name))
		if err != nil {
			return err
		}
		c.nats[i] = p
	}
	return c.ofStreams("there")
}

// leader has a node lead all streams.
func (c *cluster) leader(_ context.Context, node int) error {
	if c.outside {
		return errNoLeader
	}
	return c.ofStreams("lead", fmt.Sprintf("n%d", node+1))
}

func (c *cluster) stop() {
	for _, p := range append(c.procs, c.nats...) {
		if p != nil {
			p.Kill()
		}
	}
}
