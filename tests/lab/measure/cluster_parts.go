//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet-bench/bench"
	"rtpjet/tests/lab"
)

var allThree = []int{0, 1, 2}

// noStatistics is the warning in the reply to a query for a call whose owner was not in time with its counters.
const noStatistics = "The owner of the call does not answer: no statistics"

// clusterIdle measures a cluster without calls, and a fourth node that joins it.
func (r *oneRun) clusterIdle(ctx context.Context) error {
	began := time.Now()
	return r.withCluster(ctx, func(c *nodes) error {
		r.results["start"] = time.Since(began).Seconds() - 2 // without the pause
		var before, after time.Duration
		for _, p := range c.procs {
			before += cpuOf(p.PID)
		}
		from := time.Now()
		if err := lab.Pause(ctx, r.seconds(10, 3)); err != nil {
			return err
		}
		for _, p := range c.procs {
			after += cpuOf(p.PID)
		}
		r.results["idle"] = 100 * float64(after-before) / float64(time.Since(from)) / 3

		took, err := c.join(ctx, joiner)
		if err != nil {
			return err
		}
		r.results["join empty"] = took.Seconds()
		r.fresh, err = c.memory(ctx, nil)
		return err
	})
}

// join starts a node and returns how long it takes to answer.
func (c *nodes) join(ctx context.Context, i int) (time.Duration, error) {
	began := time.Now()
	if err := c.start(i); err != nil {
		return 0, err
	}
	err := c.ready(ctx, i)
	return time.Since(began), err
}

// memory returns what the node that has joined has resident after a while, and what the one has that joins after it. The
// first is done with then, after ask: five nodes would have five copies of the events.
func (c *nodes) memory(ctx context.Context, ask func() error) (rss [2]float64, err error) {
	for k, i := range []int{joiner, collected} {
		if k > 0 {
			if _, err := c.join(ctx, i); err != nil {
				return rss, err
			}
		}
		if err := lab.Pause(ctx, c.r.seconds(5, 2)); err != nil {
			return rss, err
		}
		if rss[k], err = rssOf(c.procs[i].PID); err != nil {
			return rss, err
		}
		if k > 0 {
			break
		}
		if ask != nil {
			if err := ask(); err != nil {
				return rss, err
			}
		}
		c.procs[i].Stop()
	}
	return rss, nil
}

// clusterCalls measures commands at all nodes.
func (r *oneRun) clusterCalls(ctx context.Context) error {
	return r.withCluster(ctx, func(c *nodes) error {
		var control bench.ControlResult
		pids := fmt.Sprintf("%d,%d,%d", c.procs[0].PID, c.procs[1].PID, c.procs[2].PID)
		if err := c.bench(&control, "control", []int{0}, "--pid", pids, "--callers", "8", "--duration", r.either("10s", "2s")); err != nil {
			return err
		}
		r.results["cps"], r.results["cpu"] = control.CallsPS, control.CPUPerCall

		var b bench.ClusterResult
		if err := c.bench(&b, "cluster", allThree, "--calls", r.either("2000", "200")); err != nil {
			return err
		}
		trouble("calls", b.Calls.CommandTally)
		r.results["call failures"] = float64(b.Calls.Failures)
		r.results["alternates"] = 100 * float64(b.Calls.Alternates) / float64(b.Calls.Commands)
		r.results["offer50"] = b.Calls.Latency["offer"].P50 / 1000
		for _, command := range []string{"offer", "answer", "re-offer", "re-answer", "query", "delete"} {
			r.results[command+"99"] = b.Calls.Latency[command].P99 / 1000
		}

		b = bench.ClusterResult{}
		if err := c.bench(&b, "cluster", allThree, "--at-once", r.either("1000", "100")); err != nil {
			return err
		}
		for _, o := range b.AtOnce {
			trouble("at once, "+o.Cookies+" cookies", o.CommandTally)
			r.results["sdps "+o.Cookies] = float64(o.SDPs)
			r.results["divided"] += float64(o.Divided)
			r.results["once failures"] += float64(o.Failures)
			r.results["leaked"] += float64(o.PortsLeft)
		}

		b = bench.ClusterResult{}
		if err := c.bench(&b, "cluster", allThree, "--update-latency", r.either("1000", "100")); err != nil {
			return err
		}
		for _, u := range b.Update {
			r.results["silent"] += float64(u.Silent)
			if u.Failures > 0 {
				fmt.Fprintf(os.Stderr, "note: updates, %s ports: %d failures: %v\n", u.Ports, u.Failures, u.Reasons)
			}
			if u.Ports == "kept" {
				r.results["latched99"] = u.Latency.P99 / 1000
				continue
			}
			r.results["update50"], r.results["update99"], r.results["updatemax"] = u.Latency.P50/1000, u.Latency.P99/1000, u.Latency.Max/1000
		}
		return nil
	})
}

// clusterJoin has a fourth node join a cluster with calls.
func (r *oneRun) clusterJoin(ctx context.Context) error {
	return r.withCluster(ctx, func(c *nodes) error {
		calls := r.either("10000", "1000")
		var b bench.ClusterResult
		if err := c.bench(&b, "cluster", allThree, "--hold", calls, "--name", "held"); err != nil {
			return err
		}
		if t := b.Held[0].CommandTally; t.Failures > 0 {
			return fmt.Errorf("place %s calls: %d failures, the first: %s", calls, t.Failures, t.First)
		}
		took, err := c.join(ctx, joiner)
		if err != nil {
			return err
		}
		r.results["join"] = took.Seconds()
		full, err := c.memory(ctx, func() error {
			b = bench.ClusterResult{}
			if err := c.bench(&b, "cluster", []int{joiner}, "--ask", calls, "--name", "held"); err != nil {
				return err
			}
			trouble("queries at the fourth node", b.Held[0].CommandTally)
			uncounted := b.Held[0].Reasons["query: "+noStatistics]
			r.results["unknown"] = float64(b.Held[0].Failures - uncounted)
			r.results["uncounted"] = float64(uncounted)
			return nil
		})
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(calls)
		r.results["foreign rss"] = (full[0] - r.fresh[0]) / float64(n)
		r.results["foreign"] = (full[1] - r.fresh[1]) / float64(n)
		return nil
	})
}

// clusterKill kills the leader of the calls' stream while calls run at the two other nodes.
func (r *oneRun) clusterKill(ctx context.Context) error {
	return r.withCluster(ctx, func(c *nodes) error {
		leader, err := c.leader(ctx, 0)
		if err != nil {
			return err
		}
		var others []int
		for _, i := range allThree {
			if i != leader {
				others = append(others, i)
			}
		}
		var b bench.ClusterResult
		done := make(chan error, 1)
		go func() {
			done <- c.bench(&b, "cluster", others, "--rate", r.either("200", "50"), "--duration", r.either("30s", "8s"))
		}()
		err = lab.Pause(ctx, r.seconds(5, 3))
		if err == nil {
			// Without anything led by it there is nothing to see.
			leads, lerr := c.leader(ctx, others[0])
			if err = lerr; err == nil && leads != leader {
				err = errors.New("the stream of the calls has another leader by now")
			}
			c.procs[leader].Kill()
		}
		if berr := <-done; berr != nil || err != nil {
			return errors.Join(err, berr)
		}
		trouble("kill", b.Load.CommandTally)
		r.commands = append(r.commands, "kill -9 PID OF THE STREAM'S LEADER     # 5 s after that began")
		r.results["kill calls"] = float64(b.Load.Calls)
		r.results["kill failures"] = float64(b.Load.Failures)
		r.results["kill within"] = 100 * float64(b.Load.WithinS) / float64(b.Load.Commands)
		r.results["kill longest"] = b.Load.LongestUS / 1000
		r.results["kill resends"] = float64(b.Load.Resends)
		return nil
	})
}

// foldRate runs the benchmark of the fold, on one core.
func (r *oneRun) foldRate(ctx context.Context) error {
	args := []string{"test", "-run", "^$", "-bench", "BenchmarkFold", "-benchtime", r.either("1s", "100ms"), "./projection"}
	r.commands = append(r.commands, "go "+strings.Join(args, " "))
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmark of the fold: %w\n%s", err, out)
	}
	rate, err := slowestFold(out)
	if err != nil {
		return err
	}
	r.results["fold"] = rate
	return nil
}

// slowestFold returns the least events/s in the output of the benchmark.
func slowestFold(out []byte) (rate float64, err error) {
	for line := range bytes.Lines(out) {
		fields := bytes.Fields(line)
		for i, f := range fields {
			if string(f) != "events/s" || i == 0 {
				continue
			}
			v, err := strconv.ParseFloat(string(fields[i-1]), 64)
			if err != nil {
				return 0, fmt.Errorf("read the benchmark of the fold: %w", err)
			}
			if rate == 0 || v < rate {
				rate = v
			}
		}
	}
	if rate == 0 {
		return 0, fmt.Errorf("read the benchmark of the fold: no events/s in\n%s", out)
	}
	return rate, nil
}

// seconds returns a time of the full or of the quick mode.
func (r *oneRun) seconds(full, quick int) time.Duration {
	if r.quick {
		full = quick
	}
	return time.Duration(full) * time.Second
}

// cpuOf returns the CPU time of a process so far, 0 if it is gone. The kernel tells it in steps of 10 ms.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rssOf returns the bytes that a process has resident.
func rssOf(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("read the memory of process %d: no VmRSS", pid)
	}
	kb, err := strconv.Atoi(string(fields[0]))
	return float64(kb) * 1024, err
}
