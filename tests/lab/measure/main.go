//go:build linux

// Command measure compares rtpjet with Debian's rtpengine: both relay, are called,
// are killed and started again in turn, in two network namespaces over a veth pair,
// and the medians of several rounds go as tables into docs/measurements.md.
//
//	go run ./tests/lab/measure                        everything, three rounds
//	go run ./tests/lab/measure --only relay,control   some of it
//	go run ./tests/lab/measure --quick                one short round, nothing written
//
// It needs root, rtpengine and redis-server.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"rtpjet/cmd/rtpjet-bench/bench"
	"rtpjet/tests/lab"
	"rtpjet/tests/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The generator runs in the client's namespace, as this program once more.
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		os.Exit(bench.Run(ctx, os.Args[2:], os.Stdout, os.Stderr))
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "measure:", err)
			os.Exit(1)
		}
	}
}

// setup is what all sections need.
type setup struct {
	net    *lab.Net
	self   string // this program
	rtpjet string // the built rtpjet
	dir    string // for logs and data
	quick  bool
	peers  []string
	runs   int // servers started so far, to keep their directories apart
}

func run(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("measure", flag.ContinueOnError)
	only := fs.String("only", "", "`SECTIONS` to measure, of: "+strings.Join(sectionNames(), ","))
	quick := fs.Bool("quick", false, "one short round, to see that all works; writes nothing")
	rounds := fs.Int("rounds", 3, "`NUMBER` of rounds; the tables show medians")
	peers := fs.String("peers", "rtpjet,rtpengine", "`SERVERS` to compare")
	binary := fs.String("rtpjet", "", "a built rtpjet (default: build ./cmd/rtpjet)")
	out := fs.String("out", "docs/measurements.md", "`FILE` that gets the tables; empty: none")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected word %q; --help lists the flags", fs.Arg(0))
	}
	chosen, err := chooseSections(*only)
	if err != nil {
		return err
	}
	s := &setup{quick: *quick, peers: strings.Split(*peers, ",")}
	for _, p := range s.peers {
		if p != "rtpjet" && p != "rtpengine" {
			return fmt.Errorf("--peers: %q is neither rtpjet nor rtpengine", p)
		}
	}
	if s.quick {
		*rounds, *out = 1, ""
	}
	if err := lab.Installed(programs(chosen, s.peers)...); err != nil {
		return fmt.Errorf("find the peers: %w; install the packages rtpengine-daemon, redis-server and util-linux", err)
	}
	// rtpengine holds four descriptors a call, and 4,000 calls are placed.
	if err := lab.RaiseFileLimit(17000); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "rtpjet-measure-"); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(s.dir)
		} else {
			fmt.Fprintln(os.Stderr, "measure: the servers' logs are in", s.dir)
		}
	}()
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	if slices.Contains(s.peers, "rtpjet") {
		if s.rtpjet, err = lab.BuiltRtpjet(ctx, *binary, s.dir); err != nil {
			return err
		}
	}
	if s.net, err = lab.NewNet(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.net.Close()) }()

	for _, sec := range chosen {
		text, err := s.measure(ctx, sec, *rounds)
		if err != nil {
			return fmt.Errorf("measure %s: %w", sec.name, err)
		}
		fmt.Println("\n" + text)
		if *out == "" {
			continue
		}
		if err := report.WriteBlock(*out, "bench", sec.name, text); err != nil {
			return err
		}
	}
	return nil
}

// programs are those that the sections need.
func programs(chosen []section, peers []string) []string {
	need := []string{"nsenter"}
	for _, sec := range chosen {
		for _, v := range sec.variants {
			if v.peer == "rtpengine" && slices.Contains(peers, v.peer) && !slices.Contains(need, "rtpengine") {
				need = append(need, "rtpengine")
			}
			if v.redis && slices.Contains(peers, v.peer) && !slices.Contains(need, "redis-server") {
				need = append(need, "redis-server")
			}
		}
	}
	return need
}

// measure runs a section for all its peers in turn, round by round, and returns its
// text.
func (s *setup) measure(ctx context.Context, sec section, rounds int) (string, error) {
	var variants []variant
	var names []string
	for _, v := range sec.variants {
		if slices.Contains(s.peers, v.peer) {
			variants = append(variants, v)
			names = append(names, v.name)
		}
	}
	if len(variants) == 0 {
		return "", fmt.Errorf("--peers leaves nothing to measure")
	}
	runs := map[string][]results{}
	commands := map[string][]string{}
	for round := range rounds {
		for i := range variants {
			// Each round begins with another one, so that none always runs first.
			v := variants[(i+round)%len(variants)]
			fmt.Fprintf(os.Stderr, "%s, round %d of %d: %s\n", sec.name, round+1, rounds, v.name)
			r := &oneRun{setup: s, variant: v, results: results{}}
			if err := sec.run(ctx, r); err != nil {
				return "", fmt.Errorf("%s: %w", v.name, err)
			}
			runs[v.name] = append(runs[v.name], r.results)
			commands[v.name] = r.commands
		}
	}

	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n\n", sec.title, sec.about)
	b.WriteString(table(names, sec.metrics, runs))
	fmt.Fprintf(&b, "\nMedians of %d round(s); %s.\nThe table: `go tool task bench -- --only %s`. By hand, %s:\n\n```\n", rounds, report.Machine(), sec.name,
		cmp.Or(sec.where, "in the client's namespace"))
	b.WriteString(strings.Join(commands[names[0]], "\n"))
	b.WriteString("\n```\n")
	return b.String(), nil
}
