// Command failover breaks things while calls are up, and measures at the phones how
// long each stream is silent. It builds a switch, phones and nodes in network
// namespaces, and runs rtpjet in them, and Debian's rtpengine with Redis and
// keepalived beside it.
//
//	go run ./tests/lab/failover                                 everything, ten runs each (hours)
//	go run ./tests/lab/failover --faults kill,cut --runs 1      some of it
//	go run ./tests/lab/failover --systems rtpengine:hot --calls 2000 --fast 100
//	go run ./tests/lab/failover --render                        table and plot anew, from the file of runs
//
// It needs root, rtpengine, redis-server and keepalived.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rtpjet/cmd/rtpjet/bench"
	"rtpjet/tests/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The generator runs in the phones' namespace, as this program once more.
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		os.Exit(bench.Run(ctx, os.Args[2:], os.Stdout, os.Stderr))
	}
	if err := runAll(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

// runLimit ends a run that hangs.
const runLimit = 4 * time.Minute

// setup is what all runs share.
type setup struct {
	self, rtpjet, dir string
	count             int
}

func runAll(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("failover", flag.ContinueOnError)
	systems := fs.String("systems", "rtpjet,rtpengine", "`SYSTEMS` to run: rtpjet, rtpengine, or rtpengine:SHAPE")
	only := fs.String("faults", "", "`FAULTS` to strike, of: "+strings.Join(faultNames(), ","))
	runs := fs.Int("runs", 10, "`NUMBER` of runs of each")
	calls := fs.Int("calls", 100, "`NUMBER` of calls; each has two legs")
	fast := fs.Int("fast", 100, "`NUMBER` of calls with 50 packets/s a leg")
	slow := fs.Float64("slow-rate", 2, "`PACKETS/S` of each leg of the others")
	binary := fs.String("rtpjet", "", "a built rtpjet (default: build ./cmd/rtpjet)")
	keep := fs.Bool("keep", false, "keep the logs and recordings, and say where")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected word %q; --help lists the flags", fs.Arg(0))
	}
	if err := lab.RaiseFileLimit(17000); err != nil {
		return err
	}
	s := &setup{}
	if s.dir, err = os.MkdirTemp("", "rtpjet-failover-"); err != nil {
		return err
	}
	defer func() {
		if err != nil || *keep {
			fmt.Fprintln(os.Stderr, "failover: the logs are in", s.dir)
			return
		}
		err = os.RemoveAll(s.dir)
	}()
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	_ = binary
	l := load{Calls: *calls, Fast: min(*fast, *calls), SlowRate: *slow}
	names := faultNames()
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	for _, name := range names {
		f, err := faultNamed(name)
		if err != nil {
			return err
		}
		for n := range *runs {
			for _, sys := range strings.Split(*systems, ",") {
				o, err := s.one(ctx, sys, f, l)
				if err != nil {
					return fmt.Errorf("%s, %s, run %d: %w", sys, name, n+1, err)
				}
				fmt.Printf("%s %s: longest %.1f median %.1f lost %v/%d dead %.2fs/%d oneway %d | before %.1f lag %.1f | handovers %d gap %.1f overlap %.2f/%d dbl %d dup %d late %d | unknown %d failed %d (%s) ng %.0f new %q holders %d\n", sys, name, o.LongestMS, o.MedianLongestMS, o.LostMedian, o.LostWorst, o.DeadSeconds, o.Dead, o.OneWay, o.BeforeMS, o.WorstLagMS, o.Handovers, o.GapMS, o.OverlapMS, o.OverlapFrames, o.DoubleStreams, o.Duplicates, o.Late, o.Unknown, o.Failed, o.FailedWhy, o.LongestNG, o.NewCall, o.Holders)
			}
		}
	}
	return nil
}

func faultNames() (names []string) {
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// one carries out one run in a network of its own.
func (s *setup) one(ctx context.Context, name string, f fault, l load) (o *outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	s.count++
	dir := filepath.Join(s.dir, fmt.Sprintf("%04d-%s-%s", s.count, strings.ReplaceAll(name, ":", "-"), f.name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	kind, shape, _ := strings.Cut(name, ":")
	nodes := 3
	if kind == "rtpengine" {
		nodes = 2
	}
	w, err := newWorld(nodes, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r := &run{world: w}
	switch kind {
	case "rtpengine":
		sh, ok := engineShapes[shape]
		if !ok {
			return nil, fmt.Errorf("there is no shape %q", shape)
		}
		r.system = newEngines(w, sh)
	default:
		return nil, fmt.Errorf("there is no system %q", name)
	}
	return r.carryOut(ctx, s.self, f, l)
}
