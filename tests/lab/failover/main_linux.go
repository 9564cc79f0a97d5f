// Command failover breaks things while calls are up, and measures at the phones how
// long each stream is silent. It builds a switch, phones and nodes in network
// namespaces, and runs rtpjet in them, and Debian's rtpengine with Redis and
// keepalived beside it.
//
//	go run ./tests/lab/failover                                 everything, ten runs each (hours)
//	go run ./tests/lab/failover --faults kill,cut --runs 1      some of it
//	go run ./tests/lab/failover --systems rtpengine:cold --calls 2000
//	go run ./tests/lab/failover --render                        table and plot anew, from the file of runs
//
// It needs root, rtpengine, redis-server and keepalived.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"rtpjet/cmd/rtpjet-bench/bench"
	"rtpjet/tests/lab"
	"rtpjet/tests/lab/plot"
	"rtpjet/tests/lab/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "failover:", err)
		if cause := context.Cause(ctx); cause != nil {
			fmt.Fprintln(os.Stderr, "failover:", cause) // which signal it was
		}
		os.Exit(1)
	}
}

// dispatch is this program, which runs itself once more for what has its place in
// one of the namespaces.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "bench": // the generator
			os.Exit(bench.Run(ctx, args[1:], os.Stdout, os.Stderr))
		case "nats":
			return serveNATS(ctx, args[1:])
		case "streams":
			return tendStreams(ctx, args[1:])
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.render {
		return o.renderAll()
	}
	return o.runAll(ctx)
}

// options are the flags.
type options struct {
	systems, faults        []string
	runs, repeats          int
	patience               time.Duration
	scene                  scene
	binary, file, docs     string
	add, keep, render, dry bool
}

func parseOptions(args []string) (o options, err error) {
	fs := flag.NewFlagSet("failover", flag.ContinueOnError)
	systems := fs.String("systems", "rtpjet,"+bestEngine, "`SYSTEMS` to run: rtpjet, and rtpengine:SHAPE, with "+strings.Join(shapeNames(), ", ")+" as shapes")
	only := fs.String("faults", "", "`FAULTS` to strike, of: "+strings.Join(faultNames(), ","))
	fs.IntVar(&o.runs, "runs", 10, "`NUMBER` of runs of each")
	fs.IntVar(&o.repeats, "repeats", 3, "how `OFTEN` a run is carried out again because others had the machine")
	fs.DurationVar(&o.patience, "patience", time.Minute, "how long to wait before each run for others to leave half of the machine free")
	fs.IntVar(&o.scene.Calls, "calls", 100, "`NUMBER` of calls; each has two legs")
	fs.IntVar(&o.scene.Fast, "fast", 100, "`NUMBER` of calls with 50 packets/s a leg")
	fs.Float64Var(&o.scene.SlowRate, "slow-rate", 1, "`PACKETS/S` of each leg of the others")
	fs.StringVar(&o.scene.Media, "media", "RTP", "`KIND` of media, of: "+strings.Join(kindNames(), ","))
	fs.StringVar(&o.binary, "rtpjet", "", "a built rtpjet (default: build ./cmd/rtpjet)")
	fs.StringVar(&o.file, "file", "docs/failover.jsonl", "`FILE` of all runs")
	fs.StringVar(&o.docs, "docs", "docs", "`FOLDER` that gets the pictures, and whose measurements.md gets the tables")
	fs.BoolVar(&o.add, "add", false, "keep the earlier runs of the same kind, instead of replacing them")
	fs.BoolVar(&o.keep, "keep", false, "keep the logs and recordings, and say where")
	fs.BoolVar(&o.render, "render", false, "run nothing, only write tables and pictures anew")
	fs.BoolVar(&o.dry, "dry", false, "write nothing")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected word %q; --help lists the flags", fs.Arg(0))
	}
	o.systems, o.faults = strings.Split(*systems, ","), faultNames()
	if *only != "" {
		o.faults = strings.Split(*only, ",")
	}
	for _, name := range o.faults {
		if _, err := faultNamed(name); err != nil {
			return o, fmt.Errorf("--faults: %w", err)
		}
	}
	for _, name := range o.systems {
		shape, engine := strings.CutPrefix(name, "rtpengine:")
		if _, known := engineShapes[shape]; name != "rtpjet" && (!engine || !known) {
			return o, fmt.Errorf("--systems: there is no %q; --help lists them", name)
		}
	}
	if _, ok := kinds[o.scene.Media]; !ok {
		return o, fmt.Errorf("--media: there is no %q; --help lists them", o.scene.Media)
	}
	o.scene.Fast = min(o.scene.Fast, o.scene.Calls)
	if o.scene.Calls < 1 || o.scene.Calls > 3000 || o.scene.Fast < 1 || o.scene.SlowRate <= 0 || o.runs < 1 {
		return o, errors.New("--calls must be between 1 and 3000, --fast, --slow-rate and --runs above 0")
	}
	return o, nil
}

func faultNames() (names []string) {
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

func shapeNames() []string { return slices.Sorted(maps.Keys(engineShapes)) }

func kindNames() []string { return slices.Sorted(maps.Keys(kinds)) }

// setup is what all runs share.
type setup struct {
	options
	self, built, dir string
	count            int // runs so far, to keep their directories apart
}

// runLimit ends a run that hangs.
const runLimit = 4 * time.Minute

// runAll carries out all runs, round by round, and writes what they showed.
func (o options) runAll(ctx context.Context) (err error) {
	if err := lab.Installed(programs(o.systems)...); err != nil {
		return fmt.Errorf("find the peers: %w; install the packages rtpengine-daemon, redis-server, keepalived and util-linux", err)
	}
	// rtpengine holds four descriptors a call, and 2,000 calls are placed.
	if err := lab.RaiseFileLimit(17000); err != nil {
		return err
	}
	undo, err := lab.GoFirst()
	if err != nil {
		return err
	}
	defer undo()
	s := &setup{options: o}
	if s.dir, err = os.MkdirTemp("", "rtpjet-failover-"); err != nil {
		return err
	}
	defer func() {
		if err != nil || o.keep {
			fmt.Fprintln(os.Stderr, "failover: the logs are in", s.dir)
			return
		}
		err = os.RemoveAll(s.dir)
	}()
	if s.self, err = os.Executable(); err != nil {
		return err
	}
	if slices.Contains(o.systems, "rtpjet") {
		if s.built, err = lab.BuiltRtpjet(ctx, o.binary, s.dir); err != nil {
			return err
		}
	}
	known, err := readRuns(o.file)
	if err != nil {
		return err
	}
	for _, name := range o.faults {
		if known, err = s.strike(ctx, name, known); err != nil {
			return err
		}
	}
	if o.dry {
		return nil
	}
	return o.renderAll()
}

// strike carries out all runs with one fault, and adds them to those that are known.
func (s *setup) strike(ctx context.Context, name string, known runs) (runs, error) {
	f, err := faultNamed(name)
	if err != nil {
		return known, err
	}
	for n := range s.runs {
		for i := range s.systems {
			// Each round begins with another one, so that none always runs first.
			system := s.systems[(i+n)%len(s.systems)]
			o, err := s.undisturbed(ctx, system, f)
			if errors.Is(err, errNoLeader) || errors.Is(err, errNoDrain) {
				continue
			}
			if err != nil {
				return known, fmt.Errorf("%s, %s, run %d: %w", system, name, n+1, err)
			}
			if n == 0 && !s.add {
				known = known.without(o.key())
			}
			known = append(known, *o)
			if !s.dry {
				if err := known.write(s.file); err != nil { // each at once: they take hours
					return known, err
				}
			}
			fmt.Fprintf(os.Stderr, "%s, run %d of %d: %s\n", name, n+1, s.runs, o)
		}
	}
	return known, nil
}

// awaitQuiet waits until the machine has been half idle for two seconds, but no
// longer than it is told.
func awaitQuiet(ctx context.Context, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		before, err := lab.IdleTime()
		if err != nil {
			return err
		}
		const look = 2 * time.Second
		if err := lab.Pause(ctx, look); err != nil {
			return err
		}
		after, err := lab.IdleTime()
		if err != nil {
			return err
		}
		if after-before > look*time.Duration(runtime.NumCPU())/2 {
			return nil
		}
	}
	return nil
}

// undisturbed repeats a run while others have the machine, but not for ever.
func (s *setup) undisturbed(ctx context.Context, system string, f fault) (o *outcome, err error) {
	for again := range 1 + s.repeats {
		if err := awaitQuiet(ctx, s.patience); err != nil {
			return nil, err
		}
		if o, err = s.one(ctx, system, f); err != nil {
			return nil, err
		}
		if o.Repeats = again; !o.disturbed() {
			break
		}
	}
	return o, nil
}

// one carries out one run in a network of its own.
func (s *setup) one(ctx context.Context, system string, f fault) (o *outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	s.count++
	dir := filepath.Join(s.dir, fmt.Sprintf("%04d-%s-%s", s.count, strings.ReplaceAll(system, ":", "-"), f.name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	shape, isEngine := strings.CutPrefix(system, "rtpengine:")
	nodes := 3
	if isEngine {
		nodes = 2 // an active and a standby one, as it is run
	}
	w, err := newWorld(nodes, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r := &run{world: w, system: newCluster(w, s.self, s.built, f.outside)}
	if isEngine {
		r.system = newEngines(w, engineShapes[shape])
	}
	if o, err = r.carryOut(ctx, s.self, f, s.scene); err != nil {
		return nil, err
	}
	o.System = system
	if !s.keep {
		err = os.RemoveAll(dir)
	}
	return o, err
}

// programs are those that the systems need.
func programs(systems []string) []string {
	need := []string{"nsenter"}
	for _, s := range systems {
		if s != "rtpjet" {
			return append(need, "rtpengine", "redis-server", "keepalived", "chrt")
		}
	}
	return need
}

// renderAll writes all tables and pictures from the file of runs.
func (o options) renderAll() error {
	known, err := readRuns(o.file)
	if err != nil {
		return err
	}
	for _, s := range known.scenes() {
		if err := plot.WriteFiles(known.figure(s, known.systems(s)), o.docs, s.name()); err != nil {
			return err
		}
		text := known.section(s)
		fmt.Println("\n" + text)
		if err := report.WriteBlock(filepath.Join(o.docs, "measurements.md"), task, s.name(), text); err != nil {
			return err
		}
	}
	text := known.shapes()
	if text == "" {
		return nil
	}
	fmt.Println("\n" + text)
	return report.WriteBlock(filepath.Join(o.docs, "measurements.md"), task, "failover-shapes", text)
}
