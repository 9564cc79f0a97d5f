// Command regions measures what regions notice of each other: three of them, with two
// nodes each, in network namespaces, with delay, loss and cuts in between.
//
//	go run ./tests/lab/regions                           everything, five runs of what is timed (half an hour)
//	go run ./tests/lab/regions --scenes cuts --runs 1    some of it
//	go run ./tests/lab/regions --delay 100ms --loss 0.01
//	go run ./tests/lab/regions --render                  tables and figure anew, from the file of runs
//
// It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rtpjet/tests/lab"
	"rtpjet/tests/lab/plot"
	"rtpjet/tests/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "regions:", err)
		if cause := context.Cause(ctx); cause != nil {
			fmt.Fprintln(os.Stderr, "regions:", cause) // which signal it was
		}
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	setting
	scenes                        []string
	runs, repeats                 int
	seed                          uint64
	binary, file, docs            string
	add, keep, render, dry, apart bool
}

// scene is one kind of measurement.
type scene struct {
	name string
	once bool // one run says all
	run  func(*setup, context.Context, int) (*outcome, error)
}

var scenes = []scene{
	{"home", false, (*setup).home},
	{"foreign", false, (*setup).foreign},
	{"cuts", true, (*setup).cuts},
	{"adopt", true, (*setup).adopt},
	{"history", true, (*setup).history},
}

func sceneNames() (all []string) {
	for _, s := range scenes {
		all = append(all, s.name)
	}
	return all
}

func parseOptions(args []string) (o options, err error) {
	fs := flag.NewFlagSet("regions", flag.ContinueOnError)
	only := fs.String("scenes", strings.Join(sceneNames(), ","), "`SCENES` to run")
	delay := fs.Duration("delay", 40*time.Millisecond, "`TIME` that a frame takes from one region to another one")
	fs.Float64Var(&o.Loss, "loss", 0, "`SHARE` of frames between regions that vanish")
	fs.IntVar(&o.runs, "runs", 5, "`NUMBER` of runs of home and foreign; the others have one")
	fs.IntVar(&o.repeats, "repeats", 3, "how `OFTEN` a round at home is carried out again because others had the machine")
	fs.Float64Var(&o.Rate, "rate", 100, "`CALLS/S` at home")
	fs.IntVar(&o.Calls, "calls", 2000, "`NUMBER` of calls of the region that is adopted")
	fs.Uint64Var(&o.seed, "seed", 1, "`NUMBER` that decides which frames are lost")
	fs.StringVar(&o.binary, "rtpjet", "", "a built rtpjet (default: build ./cmd/rtpjet)")
	fs.StringVar(&o.file, "file", "docs/regions.jsonl", "`FILE` of all runs")
	fs.StringVar(&o.docs, "docs", "docs", "`FOLDER` that gets the figure, and whose measurements.md gets the tables")
	fs.BoolVar(&o.add, "add", false, "keep the earlier runs of the same kind, instead of replacing them")
	fs.BoolVar(&o.keep, "keep", false, "keep the logs, and say where")
	fs.BoolVar(&o.render, "render", false, "run nothing, only write tables and figure anew")
	fs.BoolVar(&o.dry, "dry", false, "write nothing")
	fs.BoolVar(&o.apart, "apart", false, "tell no region of another one, which leaves half of the scene home")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected word %q; --help lists the flags", fs.Arg(0))
	}
	o.DelayMS = ms(*delay)
	o.scenes = strings.Split(*only, ",")
	for _, name := range o.scenes {
		if !slices.Contains(sceneNames(), name) {
			return o, fmt.Errorf("--scenes: there is no %q; there are %s", name, strings.Join(sceneNames(), ", "))
		}
		if o.apart && name != "home" {
			return o, fmt.Errorf("--apart: the scene %s needs regions that know of each other; add --scenes home", name)
		}
	}
	if *delay < 0 || o.Loss < 0 || o.Loss >= 1 || o.runs < 1 || o.Rate <= 0 || o.Calls < 1 {
		return o, errors.New("--delay must not be below 0, --loss between 0 and 1, and --runs, --rate and --calls above 0")
	}
	return o, nil
}

// setup is what all runs share.
type setup struct {
	options
	built, dir string
	stderr     io.Writer
	count      int       // clusters so far, to keep their directories apart
	starts     []float64 // how long the regions of this run took to start, in seconds
}

// runLimit ends a run that hangs.
const runLimit = 20 * time.Minute

func run(ctx context.Context, args []string) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.render {
		return o.renderAll()
	}
	if err := lab.Installed("nsenter"); err != nil {
		return err
	}
	// A node has four sockets a call.
	if err := lab.RaiseFileLimit(uint64(4*o.Calls + 9000)); err != nil {
		return err
	}
	undo, err := lab.GoFirst()
	if err != nil {
		return err
	}
	defer undo()
	s := &setup{options: o, stderr: os.Stderr}
	if s.dir, err = os.MkdirTemp("", "rtpjet-regions-"); err != nil {
		return err
	}
	defer func() {
		if err != nil || o.keep {
			fmt.Fprintln(os.Stderr, "regions: the logs are in", s.dir)
			return
		}
		err = os.RemoveAll(s.dir)
	}()
	if s.built, err = lab.BuiltRtpjet(ctx, o.binary, s.dir); err != nil {
		return err
	}
	if err := s.runAll(ctx); err != nil {
		return err
	}
	if o.dry {
		return nil
	}
	return o.renderAll()
}

// runAll carries out all runs, and keeps each of them at once.
func (s *setup) runAll(ctx context.Context) error {
	known, err := readRuns(s.file)
	if err != nil {
		return err
	}
	for _, one := range scenes {
		if !slices.Contains(s.scenes, one.name) {
			continue
		}
		times := s.runs
		if one.once {
			times = 1
		}
		for n := range times {
			s.starts = nil
			limited, cancel := context.WithTimeout(ctx, runLimit)
			o, err := one.run(s, limited, n)
			cancel()
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", one.name, n+1, err)
			}
			o.Scene, o.setting, o.Starts = one.name, s.setting, s.starts
			if n == 0 && !s.add {
				known = known.without(o.key())
			}
			known = append(known, *o)
			if !s.dry {
				if err := known.write(s.file); err != nil {
					return err
				}
			}
			s.say("run %d of %d of %s", n+1, times, o)
		}
	}
	return nil
}

// inCluster does something with a cluster in a network of its own.
func (s *setup) inCluster(ctx context.Context, name string, joined bool, do func(*cluster) error) (err error) {
	s.count++
	dir := filepath.Join(s.dir, fmt.Sprintf("%03d-%s", s.count, name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	w, err := newWorld(dir, s.seed+uint64(s.count), lab.Way{Delay: time.Duration(s.DelayMS * float64(time.Millisecond)), Loss: s.Loss})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	began := time.Now()
	c, err := startCluster(ctx, w, s.built, joined)
	if c != nil {
		defer c.stop()
	}
	if err != nil {
		return err
	}
	if joined {
		s.starts = append(s.starts, round(time.Since(began).Seconds()))
	}
	if err := do(c); err != nil || s.keep {
		return err
	}
	c.stop()
	return os.RemoveAll(dir)
}

// renderAll writes tables and figure from the file of runs.
func (o options) renderAll() error {
	known, err := readRuns(o.file)
	if err != nil {
		return err
	}
	if err := plot.WriteFiles(known.figure(), o.docs, "regions"); err != nil {
		return err
	}
	text := known.section()
	fmt.Println("\n" + text)
	return report.WriteBlock(filepath.Join(o.docs, "measurements.md"), task, "regions", text)
}
