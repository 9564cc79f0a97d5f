// Package procs has what tests with real processes of rtpjet share: the program itself, built once, and ways to wait.
package procs

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
)

// Program is rtpjet, built when a test of a package first needs it.
type Program struct {
	// Name is the package's.
	Name string
	// Options is an environment variable with options for the build; may be empty.
	Options string
	// Commit is the build of an earlier time; empty: this one.
	Commit string

	once sync.Once
	dir  string
	path string
	err  error
}

// Path returns where the program is.
func (p *Program) Path(t testing.TB) string {
	t.Helper()
	p.once.Do(p.build)
	if errors.Is(p.err, errNoHistory) && !historyExpected() {
		t.Skip(p.err)
	}
	if p.err != nil {
		t.Fatalf("build rtpjet: %v", p.err)
	}
	return p.path
}

func (p *Program) build() {
	if p.dir, p.err = os.MkdirTemp("", "rtpjet-"+p.Name); p.err != nil {
		return
	}
	if p.err = os.Chmod(p.dir, 0o755); p.err != nil { // for tests that run it as another user
		return
	}
	p.path = filepath.Join(p.dir, "rtpjet")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	args := append([]string{"build"}, strings.Fields(os.Getenv(p.Options))...)
	build := exec.CommandContext(ctx, "go", append(args, "-o", p.path, "rtpjet/cmd/rtpjet")...)
	if p.Commit != "" {
		build.Dir = filepath.Join(p.dir, "source")
		if p.err = checkOut(ctx, p.Commit, build.Dir); p.err != nil {
			return
		}
	}
	if out, err := build.CombinedOutput(); err != nil {
		p.err = fmt.Errorf("%w\n%s", err, out)
	}
}

// Remove removes the program, if it was built.
func (p *Program) Remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// Main runs the tests of a package, removes the program, and looks for goroutines that are left. It returns the exit code.
func (p *Program) Main(m *testing.M, known ...goleak.Option) int {
	code := m.Run()
	p.Remove()
	if code == 0 {
		if err := goleak.Find(known...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Poll calls ok until it returns nil, and gives up with its error.
func Poll(every, patience time.Duration, ok func() error) error {
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

// Each runs f for 0 to n-1 on a few goroutines and fails the test with the first errors.
func Each(t testing.TB, n, workers int, f func(i int) error) {
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
