package regions

import (
	"fmt"
	"os"
	"testing"
	"time"

	"rtpjet/tests/lab"
	"rtpjet/tests/procs"
)

// patience is how long something that must happen may take before a test gives up.
const patience = 90 * time.Second

func TestMain(m *testing.M) {
	if err := lab.RaiseFileLimit(8192); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	code := built.Main(m)
	earlier.Remove()
	os.Exit(code)
}

var built = procs.Program{Name: "regions", Options: "RTPJET_REGIONS_BUILD"}

func program(t testing.TB) string {
	t.Helper()
	return built.Path(t)
}

// eventually polls until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	if err := procs.Poll(50*time.Millisecond, patience, ok); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
