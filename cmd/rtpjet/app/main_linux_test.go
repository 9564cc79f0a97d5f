package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/tests/procs"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == keeper.Arg { // a keeper is this very program
		os.Exit(keeper.Run(os.Stderr))
	}
	if args := os.Getenv(serving); args != "" {
		os.Exit(serveAlone(strings.Fields(args)))
	}
	// The NATS server keeps this one for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/gsl.init.0.func1"))
}

// serving is set in a process that is a node, to its options.
const serving = "RTPJET_TEST_SERVING"

func serveAlone(args []string) int {
	cmd, err := config.ParseArgs(context.Background(), args, config.Env{})
	if err == nil {
		err = Serve(context.Background(), cmd.Config, false, os.Stdout, quiet())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// patience is how long something that must happen may take before a test gives up.
const patience = 30 * time.Second

var hosts atomic.Uint32

// newHost returns a loopback address that nobody else uses, so that every port of it is free.
func newHost() netip.Addr {
	n := hosts.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(192 + os.Getpid()%60), byte(n / 250), byte(1 + n%250)})
}

// eventually polls until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	if err := procs.Poll(5*time.Millisecond, patience, ok); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// output is where a node writes to.
type output struct{ procs.Output }

// logger writes into an output.
func (o *output) logger() *slog.Logger { return slog.New(slog.NewTextHandler(o, nil)) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// configure reads the options of a node as the program does. Words in it must have no blanks.
func configure(t testing.TB, args ...string) *config.Config {
	t.Helper()
	cmd, err := config.ParseArgs(t.Context(), options(t, args...), config.Env{})
	must(t, err)
	return cmd.Config
}

// options are those of a node, with what every node here has.
func options(t testing.TB, args ...string) []string {
	t.Helper()
	args = append([]string{"serve", "--config-file", "none", "--foreground", "--log-stderr", "--node-id", "n1"}, args...)
	all := strings.Join(args, " ")
	if !strings.Contains(all, "--data-dir") {
		args = append(args, "--data-dir="+t.TempDir())
	}
	if !strings.Contains(all, "--listen-ng") {
		args = append(args, "--listen-ng="+newHost().String()+":2223")
	}
	if !strings.Contains(all, "--nats-listen") && !strings.Contains(all, "--nats=") {
		args = append(args, "--nats-listen=none")
	}
	return args
}
