package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if dir := binary.dir; dir != "" {
		_ = os.RemoveAll(dir)
	}
	if code == 0 {
		if err := goleak.Find(
			// The NATS server keeps this one for the life of the process.
			goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/gsl.init.0.func1"),
		); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience is how long something that must happen may take before a test gives up.
const patience = 20 * time.Second

// binary is the program, built when a test first needs it.
var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func program(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "rtpjet-node"); binary.err != nil { //nolint:usetesting // outlives the test that asks first
			return
		}
		if binary.err = os.Chmod(binary.dir, 0o755); binary.err != nil { // for tests that run it as another user
			return
		}
		binary.path = filepath.Join(binary.dir, "rtpjet")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "go", "build", "-o", binary.path, "rtpjet/cmd/rtpjet").CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatalf("build rtpjet: %v", binary.err)
	}
	return binary.path
}

var hosts atomic.Uint32

// newHost returns a loopback address that nobody else uses, so that every port of it is free.
func newHost() netip.Addr {
	n := hosts.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(64 + os.Getpid()%128), byte(n / 250), byte(1 + n%250)})
}

// eventually polls until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
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

var errNotYet = errors.New("not yet")

// when makes a condition of eventually from a bool.
func when(ok bool) error {
	if ok {
		return nil
	}
	return errNotYet
}
