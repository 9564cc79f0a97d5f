package netaddr

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// holderArg makes the test's program a holder, see holder_linux_test.go.
const holderArg = "holder"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case GuardArg:
			os.Exit(RunGuard(os.Args[2:]))
		case holderArg:
			os.Exit(runHolder(os.Args[2:]))
		}
	}
	goleak.VerifyTestMain(m)
}
