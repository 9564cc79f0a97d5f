package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const (
	// storyTime bounds everything up to the summary: a demonstration that hangs shows nothing.
	storyTime = time.Minute
	// maxCalls keeps the packets of the phones, which run in this process, far below what a small machine can do.
	maxCalls = 200
)

const usage = `rtpjet demo: three nodes on this machine take calls, one of them is killed, and you
see what becomes of the calls. Takes about ten seconds and cleans up behind itself.

  rtpjet demo [--calls N] [--keep]

`

// Run carries out `rtpjet demo ARGS` and returns the exit code: 0, 1 if anything failed or was interrupted, 2 for a mistake in
// args.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return run(ctx, args, self(), stdout, stderr)
}

// run is Run with the program that the nodes are processes of.
func run(ctx context.Context, args []string, exe string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("rtpjet demo", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	calls := fs.Int("calls", 30, "`NUMBER` of calls to place")
	keep := fs.Bool("keep", false, "leave the cluster running until Ctrl-C")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return exitOK
	case err != nil:
		return wrongUsage(stderr, err.Error())
	case fs.NArg() > 0:
		return wrongUsage(stderr, fmt.Sprintf("%q is no option", fs.Arg(0)))
	case *calls < 1 || *calls > maxCalls:
		return wrongUsage(stderr, fmt.Sprintf("--calls must be from 1 to %d", maxCalls))
	}
	// A terminal that is closed must not leave three nodes behind.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	// On Linux a child is told to die with the thread that started it (procAttr): this one stays as long as this function.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	d := &demo{out: teller{w: stdout, began: time.Now()}, exe: exe, wanted: *calls}
	err := d.carryOut(ctx, *keep)
	return d.end(ctx, err, stderr)
}

func wrongUsage(stderr io.Writer, what string) int {
	fmt.Fprintf(stderr, "rtpjet demo: %s; 'rtpjet demo --help' lists the options\n", what)
	return exitUsage
}

// self is this program's file. On Linux the link still leads to it when the file was replaced, by an update for example.
func self() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	exe, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return exe
}

// carryOut tells the story, and then waits for Ctrl-C if that is wanted.
func (d *demo) carryOut(ctx context.Context, keep bool) error {
	var err error
	if d.dir, err = os.MkdirTemp("", "rtpjet-demo-"); err != nil {
		return fmt.Errorf("make a directory for the nodes: %w", err)
	}
	sctx, cancel := context.WithTimeoutCause(ctx, storyTime, fmt.Errorf("not done after %v", storyTime))
	defer cancel()
	if err := d.story(sctx); err != nil {
		if cause := context.Cause(sctx); cause != nil && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", cause, err)
		}
		return err
	}
	if keep {
		d.stay(ctx)
	}
	return nil
}

// end ends the nodes, removes what they wrote unless somebody will want to read it, and returns the exit code.
func (d *demo) end(ctx context.Context, err error, stderr io.Writer) int {
	for _, c := range d.calls {
		c.hangUp()
	}
	for _, n := range d.nodes {
		n.terminate()
	}
	for _, n := range d.nodes {
		n.await(endTime)
	}
	interrupted := ctx.Err() != nil
	if err != nil && !interrupted {
		fmt.Fprintf(stderr, "\nrtpjet demo: %v\n", err)
		for _, n := range d.nodes {
			n.writeTail(stderr)
		}
		if d.dir != "" {
			fmt.Fprintf(stderr, "\nThe nodes have been ended. All they wrote is in %s\n", d.dir)
		}
		return exitFailed
	}
	if rmErr := os.RemoveAll(d.dir); rmErr != nil {
		fmt.Fprintf(stderr, "rtpjet demo: remove the nodes' directory: %v\n", rmErr)
		return exitFailed
	}
	if err != nil {
		fmt.Fprintln(stderr, "\nrtpjet demo: interrupted; the nodes have been ended and their files removed")
		return exitFailed
	}
	d.out.say("the nodes have been ended and their files removed")
	return exitOK
}
