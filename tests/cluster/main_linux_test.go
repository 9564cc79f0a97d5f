package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// patience is how long something that must happen may take before a test gives up.
const patience = 40 * time.Second

func TestMain(m *testing.M) {
	if err := lab.RaiseFileLimit(8192); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	code := built.Main(m)
	earlier.Remove()
	os.Exit(code)
}

var built = procs.Program{Name: "cluster", Options: "RTPJET_CLUSTER_BUILD"}

func program(t testing.TB) string {
	t.Helper()
	return built.Path(t)
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
func poll(every time.Duration, ok func() error) error { return procs.Poll(every, patience, ok) }

// eventually polls until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	if err := poll(20*time.Millisecond, ok); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
