package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"rtpjet/tests/lab"
)

// patience is how long something that must happen may take before a test gives up.
const patience = 40 * time.Second

func TestMain(m *testing.M) {
	if err := lab.RaiseFileLimit(8192); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// built is the program, built when a test first needs it.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func program(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "rtpjet-cluster"); built.err != nil { //nolint:usetesting // outlives the test that asks first
			return
		}
		built.path = filepath.Join(built.dir, "rtpjet")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		args := append([]string{"build"}, strings.Fields(os.Getenv("RTPJET_CLUSTER_BUILD"))...)
		out, err := exec.CommandContext(ctx, "go", append(args, "-o", built.path, "rtpjet/cmd/rtpjet")...).CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("build rtpjet: %v", built.err)
	}
	return built.path
}

// calls is how many calls a test has: few of them on each change, many if the environment says so.
func calls(few int) int {
	if n, err := strconv.Atoi(os.Getenv("RTPJET_CLUSTER_CALLS")); err == nil && n > 0 {
		return n
	}
	return few
}

// dice makes the choices of one test. It is not safe for concurrent use: each goroutine gets its own.
func dice(t testing.TB) func() *rand.Rand {
	seed, err := strconv.ParseUint(os.Getenv("RTPJET_CLUSTER_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("RTPJET_CLUSTER_SEED=%d", seed)
	var mu sync.Mutex
	n := uint64(0)
	return func() *rand.Rand {
		mu.Lock()
		defer mu.Unlock()
		n++
		return rand.New(rand.NewPCG(seed, n))
	}
}

// poll calls ok until it returns nil, and gives up with its error.
func poll(every time.Duration, ok func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

// eventually polls until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	if err := poll(20*time.Millisecond, ok); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// each runs f for 0 to n-1 on a few goroutines and fails the test with the first errors.
func each(t testing.TB, n, workers int, f func(i int) error) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(workers)
	var mu sync.Mutex
	var errs []error
	for i := range n {
		g.Go(func() error {
			if err := f(i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%d: %w", i, err))
			}
			return nil
		})
	}
	_ = g.Wait()
	if len(errs) > 0 {
		t.Fatalf("%d of %d failed:\n%v", len(errs), n, errors.Join(errs[:min(len(errs), 8)]...))
	}
}
