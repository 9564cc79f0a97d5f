package node_test

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtpjet/tests/procs"
)

func TestMain(m *testing.M) {
	// The NATS server keeps this one for the life of the process.
	os.Exit(binary.Main(m, goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/gsl.init.0.func1")))
}

// patience is how long something that must happen may take before a test gives up.
const patience = 20 * time.Second

var binary = procs.Program{Name: "node"}

func program(t testing.TB) string {
	t.Helper()
	return binary.Path(t)
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
	if err := procs.Poll(5*time.Millisecond, patience, ok); err != nil {
		t.Fatalf("%s: %v", what, err)
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
