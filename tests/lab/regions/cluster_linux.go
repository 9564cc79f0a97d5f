package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rtpjet/tests/lab"
)

// clusterKey is the secret of the laboratory's nodes.
const clusterKey = "a-key-of-the-regions-laboratory"

// cluster is rtpjet in all regions.
type cluster struct {
	*world
	binary string
	joined bool          // the regions know of each other
	procs  [][]*lab.Proc // by region and node
}

// startCluster starts all nodes, and returns when each of them answers.
func startCluster(ctx context.Context, w *world, binary string, joined bool) (*cluster, error) {
	c := &cluster{world: w, binary: binary, joined: joined}
	if err := os.WriteFile(c.keyFile(), []byte(clusterKey+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the cluster key: %w", err)
	}
	c.procs = make([][]*lab.Proc, len(w.regions))
	for r := range w.regions {
		c.procs[r] = make([]*lab.Proc, nodesEach)
		if err := c.startRegion(r); err != nil {
			return c, err
		}
	}
	for r := range w.regions {
		if err := c.ready(ctx, r); err != nil {
			return c, err
		}
	}
	if err := w.dial(); err != nil {
		return c, err
	}
	if !joined {
		return c, nil
	}
	return c, c.mirrored(ctx)
}

// mirrored waits until a call of each region is in the mirrors of the others: that they lack nothing says little while
// there is nothing.
func (c *cluster) mirrored(ctx context.Context) error {
	for _, r := range c.regions {
		calls, err := r.place(ctx, "first", 1)
		if err != nil {
			return err
		}
		if _, err := r.lines[0].ask(ctx, calls[0].remove()); err != nil {
			return err
		}
	}
	return c.eachUp(ctx)
}

func (c *cluster) keyFile() string { return filepath.Join(c.dir, "cluster.key") }

// startRegion starts the nodes of a region.
func (c *cluster) startRegion(r int) error {
	for n := range nodesEach {
		addr, name := c.regions[r].nodes[n].Addr, nodeName(names[r], n)
		at := func(port uint16) string { return netip.AddrPortFrom(addr, port).String() }
		args := []string{
			c.binary, "serve", "--config-file=none", "--node-id", name, "--region", names[r], "--interface", "main/" + addr.String(),
			"--listen-ng", at(ngPort), "--cluster-key-file", c.keyFile(), "--data-dir", filepath.Join(c.dir, name),
			"--log-level", "6", "--port-min", strconv.Itoa(mediaFirst), "--port-max", strconv.Itoa(mediaLast),
			"--nats-listen", at(natsPort), "--nats-cluster-listen", at(routePort), "--nats-routes", c.addresses(r, routePort),
		}
		if c.joined {
			args = append(args, "--region-listen", at(regionPort))
			for other := range names {
				if other != r {
					args = append(args, "--region-peer", names[other]+"="+c.addresses(other, regionPort))
				}
			}
		}
		p, err := lab.Start(&c.regions[r].nodes[n].Side, filepath.Join(c.dir, name+".log"), args...)
		if err != nil {
			return err
		}
		c.procs[r][n] = p
	}
	return nil
}

// addresses lists where the nodes of a region have a port.
func (c *cluster) addresses(r int, port uint16) string {
	var all []string
	for _, n := range c.regions[r].nodes {
		all = append(all, netip.AddrPortFrom(n.Addr, port).String())
	}
	return strings.Join(all, ",")
}

// ready waits until all nodes of a region answer.
func (c *cluster) ready(ctx context.Context, r int) error {
	for n, p := range c.procs[r] {
		ng := netip.AddrPortFrom(c.regions[r].nodes[n].Addr, ngPort)
		err := eventually(ctx, time.Minute, 20*time.Millisecond, func() (bool, error) {
			select {
			case <-p.Ended():
				return false, errors.New("it ended")
			default:
			}
			return c.regions[r].client.Do(func() error { return lab.PingNG(ng) }) == nil, nil
		})
		if err != nil {
			return fmt.Errorf("start %s: %w; it last said:\n%s", nodeName(names[r], n), err, p.LastLines())
		}
	}
	return nil
}

// kill ends all processes of a region as `kill -9` does.
func (c *cluster) kill(r int) {
	for _, p := range c.procs[r] {
		p.Kill()
	}
}

// stop ends everything.
func (c *cluster) stop() {
	for r := range c.procs {
		for _, p := range c.procs[r] {
			if p != nil {
				p.Kill()
			}
		}
	}
}

// cpu is what the nodes of a region have used of the processors so far.
func (c *cluster) cpu(r int) (sum time.Duration, err error) {
	for _, p := range c.procs[r] {
		used, err := p.CPU()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// toolLimit ends a command of rtpjet that hangs.
const toolLimit = time.Minute

// tool runs a command of rtpjet at the NATS of a region, and returns what it prints.
func (c *cluster) tool(ctx context.Context, r int, ofRegion string, words ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	var urls []string
	for _, n := range c.regions[r].nodes {
		urls = append(urls, "nats://"+netip.AddrPortFrom(n.Addr, natsPort).String())
	}
	args := append([]string{"--net=/run/netns/" + c.regions[r].client.Name, "--", c.binary}, words...)
	args = append(args, "--nats", strings.Join(urls, ","), "--region", ofRegion, "--cluster-key-file", c.keyFile())
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("rtpjet %s in %s: %w: %s", strings.Join(words, " "), names[r], err, strings.TrimSpace(complaints.String()))
	}
	return out.Bytes(), nil
}

// row is what a region says of another one.
type row struct {
	Region string  `json:"region"`
	State  string  `json:"state"`
	Reason string  `json:"reason"`
	AgeMS  float64 `json:"age_ms"`
	Lag    int     `json:"lag"`
	SkewMS float64 `json:"skew_ms"`
	Cuts   int     `json:"cuts"`
}

// The states of a region, as others see it.
const (
	stateUp      = "up"
	stateCut     = "cut"
	stateAdopted = "adopted"
)

// peers asks a region about the others.
func (c *cluster) peers(ctx context.Context, r int) ([]row, error) {
	out, err := c.tool(ctx, r, names[r], "region", "list", "--json")
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := json.Unmarshal(out, &rows); err != nil {
		return nil, fmt.Errorf("read rtpjet region list in %s: %w: %q", names[r], err, out)
	}
	return rows, nil
}

// rowOf finds what is said of a region.
func rowOf(rows []row, name string) (row, bool) {
	for _, w := range rows {
		if w.Region == name {
			return w, true
		}
	}
	return row{}, false
}

// complete says that a region has all that others had at a moment: it says so of a moment that is younger.
func complete(rows []row, since time.Time, of ...int) bool {
	for _, o := range of {
		w, ok := rowOf(rows, names[o])
		if !ok || w.State != stateUp || w.Lag != 0 || w.AgeMS < 0 || w.AgeMS > ms(time.Since(since)) {
			return false
		}
	}
	return true
}

// awaitAll waits until a region has all that others have now.
func (c *cluster) awaitAll(ctx context.Context, at int, of ...int) error {
	began := time.Now()
	var last []row
	var trouble error
	err := eventually(ctx, time.Minute, 100*time.Millisecond, func() (bool, error) {
		last, trouble = c.peers(ctx, at)
		return trouble == nil && complete(last, began, of...), nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("wait until %s has all of the other regions (it says %+v): %w", names[at], last, err), trouble)
	}
	return nil
}

// eachUp waits until each region has all that the others have now.
func (c *cluster) eachUp(ctx context.Context) error {
	for r := range names {
		if err := c.awaitAll(ctx, r, others(r)...); err != nil {
			return err
		}
	}
	return nil
}

func others(r int) (all []int) {
	for o := range names {
		if o != r {
			all = append(all, o)
		}
	}
	return all
}

// live lists the live calls of a region, as a region knows them: each by its call-id, as it is printed.
func (c *cluster) live(ctx context.Context, at, of int) (map[string]json.RawMessage, error) {
	out, err := c.tool(ctx, at, names[of], "call", "list", "--json")
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("read the calls of %s in %s: %w", names[of], names[at], err)
	}
	calls := map[string]json.RawMessage{}
	for _, raw := range list {
		var c struct{ ID string }
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, fmt.Errorf("read a call of %s in %s: %w", names[of], names[at], err)
		}
		calls[c.ID] = raw
	}
	return calls, nil
}
