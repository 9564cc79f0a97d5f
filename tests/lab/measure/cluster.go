//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/cmd/rtpjet-bench/bench"
	"rtpjet/tests/lab"
)

// clusterSection measures several nodes of rtpjet as one. rtpengine has nothing to compare it with.
var clusterSection = section{
	name:  "cluster",
	title: "Cluster",
	about: "Three nodes with embedded NATS and three copies of each event, on the loopback of one machine, which also runs the " +
		"generator; a fourth one where the table says so. Each command goes to any node, with Kamailio's timing: the same bytes " +
		"again after 1 s, five times. Updates: a phone moves by way of a node that does not own the call; from the arrival of " +
		"the reply to that of the first packet at the new address. Kill: `kill -9` of the node that leads the stream of the " +
		"calls, under 200 calls/s (offer, answer, delete) at the two others.",
	where:    "in the namespace of the nodes",
	variants: []variant{jet},
	metrics: []metric{
		{"three nodes started at once answer NG, s", "start", "%.2f", "", false},
		{"CPU of an idle node, % of a core", "idle", "%.1f", "", false},
		{"calls/s (offer, answer, delete) at one node, 8 callers", "cps", "%.0f", "", false},
		{"CPU of the three nodes for such a call, µs", "cpu", "%.0f", "", false},

		{"calls: failures of 2,000 (offer, answer, re-offer, answer, query, delete, RTP both ways)", "call failures", "%.0f", "none", false},
		{"calls: commands answered by other nodes than the owner", "alternates", "%.1f %%", "", false},
		{"calls: offer p50 / ms", "offer50", "%.1f", "", false},
		{"calls: offer p99 / ms", "offer99", "%.1f", "", false},
		{"calls: answer p99 / ms", "answer99", "%.1f", "", false},
		{"calls: re-offer p99 / ms", "re-offer99", "%.1f", "", false},
		{"calls: re-answer p99 / ms", "re-answer99", "%.1f", "", false},
		{"calls: query p99 / ms", "query99", "%.1f", "", false},
		{"calls: delete p99 / ms", "delete99", "%.1f", "", false},

		{"1,000 offers to all nodes at once, one cookie: different SDPs", "sdps same", "%.0f", "1,000", false},
		{"the same with a cookie a node", "sdps own", "%.0f", "1,000", false},
		{"of both: calls with more than one SDP", "divided", "%.0f", "none", false},
		{"of both: commands refused or unanswered", "once failures", "%.0f", "none", false},
		{"of both: ports in use after the deletes", "leaked", "%.0f", "none", false},

		{"update p50, ms", "update50", "%.2f", "", false},
		{"update p99, ms", "update99", "%.2f", "below 5", false},
		{"update, longest, ms", "updatemax", "%.2f", "", false},
		{"update with port-latching p99, ms", "latched99", "%.2f", "below 5", false},
		{"updates without media", "silent", "%.0f", "none", false},

		{"a fourth node joins an empty cluster and answers NG, s", "join empty", "%.2f", "", false},
		{"the same with 10,000 live calls of others, s", "join", "%.2f", "", false},
		{"of them unknown to it", "unknown", "%.0f", "none", false},
		{"of them answered without packet counts, the owner being late", "uncounted", "%.0f", "", false},
		{"memory a call of others, collected, bytes", "foreign", "%.0f", "at most 4,000", false},
		{"the same, resident 5 s after the start, bytes", "foreign rss", "%.0f", "", false},
		{"fold of a call's events, events/s of a core (the slowest of `BenchmarkFold`)", "fold", "%.0f", "at least 100,000", false},

		{"kill: calls", "kill calls", "%.0f", "", false},
		{"kill: commands refused or unanswered", "kill failures", "%.0f", "none", false},
		{"kill: commands answered within 1 s", "kill within", "%.3f %%", "at least 99 %", false},
		{"kill: longest, ms", "kill longest", "%.0f", "", false},
		{"kill: commands sent a second time", "kill resends", "%.0f", "", false},
	},
	run: func(ctx context.Context, r *oneRun) error {
		for _, part := range []func(context.Context) error{r.clusterIdle, r.clusterCalls, r.clusterJoin, r.clusterKill, r.foldRate} {
			if err := part(ctx); err != nil {
				return err
			}
		}
		return nil
	},
}

// The nodes that join: one as it is, and one that keeps its memory free of garbage.
const (
	joiner    = 3
	collected = 4
)

// clusterReady is how long nodes may take until they answer.
const clusterReady = 60 * time.Second

// nodes is a cluster in the server's namespace.
type nodes struct {
	r     *oneRun
	dir   string
	procs []*lab.Proc
}

// withCluster starts a cluster, calls f, and ends it.
func (r *oneRun) withCluster(ctx context.Context, f func(c *nodes) error) error {
	r.runs++
	c := &nodes{r: r, dir: filepath.Join(r.dir, fmt.Sprintf("%03d-cluster", r.runs))}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	defer c.stop()
	for i := range 3 {
		if err := c.start(i); err != nil {
			return err
		}
	}
	for i := range 3 {
		if err := c.ready(ctx, i); err != nil {
			return err
		}
	}
	// The log's copies and their leaders settle.
	if err := lab.Pause(ctx, 2*time.Second); err != nil {
		return err
	}
	return f(c)
}

func nodeAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, byte(11 + i)}) }

// at is an address of node i.
func at(i int, port uint16) string { return netip.AddrPortFrom(nodeAddr(i), port).String() }

// start starts node i. The first three name each other, the others the first one.
func (c *nodes) start(i int) error {
	routes := at(0, 6222)
	if i < 3 {
		routes = strings.Join([]string{at(0, 6222), at(1, 6222), at(2, 6222)}, ",")
	}
	name := fmt.Sprintf("n%d", i+1)
	limit := "off"
	if i == collected {
		limit = "1MiB"
	}
	p, err := lab.Start(&c.r.net.Server, filepath.Join(c.dir, name+".log"), "env", "GOMEMLIMIT="+limit, c.r.rtpjet, "serve", "--config-file=none", "--node-id="+name,
		"--interface="+nodeAddr(i).String(), "--listen-ng="+at(i, 2223), "--nats-listen="+at(i, 4222), "--nats-cluster-listen="+at(i, 6222),
		"--nats-routes="+routes, "--data-dir="+filepath.Join(c.dir, name), "--delete-delay=0", "--timeout=3600", "--log-level=4",
		"--port-min=10000", "--port-max=59999")
	if err != nil {
		return err
	}
	c.procs = append(c.procs, p)
	return nil
}

// ready waits until node i answers a ping.
func (c *nodes) ready(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, clusterReady)
	defer cancel()
	for {
		err := c.r.net.Server.Do(func() error { return ping(at(i, 2223)) })
		if err == nil {
			return nil
		}
		if err := lab.Pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("node %d does not answer; the end of its log:\n%s", i+1, c.procs[i].LastLines())
		}
		select {
		case <-c.procs[i].Ended():
			return fmt.Errorf("node %d ended; the end of its log:\n%s", i+1, c.procs[i].LastLines())
		default:
		}
	}
}

func (c *nodes) stop() {
	for _, p := range c.procs {
		p.Stop()
	}
}

// ping asks an NG server once whether it is there.
func ping(addr string) error {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("measure d7:command4:pinge")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 2048))
	return err
}

// bench runs `rtpjet-bench` against some of the nodes.
func (c *nodes) bench(result any, mode string, which []int, args ...string) error {
	var list []string
	for _, i := range which {
		list = append(list, at(i, 2223))
	}
	full := append([]string{"bench", mode, "--ng", strings.Join(list, ",")}, args...)
	shown := strings.Join(full[1:], " ")
	for i, p := range c.procs {
		shown = strings.Replace(shown, fmt.Sprint(p.PID), fmt.Sprintf("PID%d", i+1), 1)
	}
	c.r.commands = append(c.r.commands, "rtpjet-bench "+shown)
	out, err := lab.Output(&c.r.net.Server, append([]string{c.r.self}, append(full, "--json")...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, result)
}

// trouble says on the console what a run's commands met.
func trouble(what string, t bench.CommandTally) {
	if t.Failures > 0 {
		fmt.Fprintf(os.Stderr, "note: %s: %d failures, the first: %s; %v\n", what, t.Failures, t.First, t.Reasons)
	}
}

// leader asks node i which node leads the stream of the calls.
func (c *nodes) leader(ctx context.Context, i int) (leader int, err error) {
	var name string
	err = c.r.net.Server.Do(func() error {
		nc, err := nats.Connect("nats://"+at(i, 4222), nats.NoReconnect())
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, "CALLS_default")
		if err != nil {
			return err
		}
		if s.CachedInfo().Cluster == nil {
			return errors.New("the stream of the calls has one copy")
		}
		name = s.CachedInfo().Cluster.Leader
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("find the leader of the calls' stream: %w", err)
	}
	if _, err := fmt.Sscanf(name, "n%d", &leader); err != nil || leader < 1 || leader > len(c.procs) {
		return 0, fmt.Errorf("find the leader of the calls' stream: it is %q", name)
	}
	return leader - 1, nil
}
