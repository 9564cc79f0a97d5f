package regions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"rtpjet/tests/lab"
)

// patience is how long something that must happen may take before a test gives up.
const patience = 90 * time.Second

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
		if built.dir, built.err = os.MkdirTemp("", "rtpjet-regions"); built.err != nil { //nolint:usetesting // outlives the test that asks first
			return
		}
		built.path = filepath.Join(built.dir, "rtpjet")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		args := append([]string{"build"}, strings.Fields(os.Getenv("RTPJET_REGIONS_BUILD"))...)
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

// eventually polls until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-tick.C
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
