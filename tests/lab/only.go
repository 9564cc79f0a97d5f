package lab

import (
	"os"
	"testing"
)

// Variable is set in the environment where laboratories run.
const Variable = "RTPJET_LAB"

// Only skips a test that is a laboratory, unless it was asked for: one that takes minutes, or that a machine which is busy with
// other things would fail. why says what it needs. It stands in the test function itself, where the command tests/lab/tests finds
// it, which CI and `go tool task lab:tests` run.
func Only(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(Variable) == "" {
		t.Skipf("a laboratory, %s: go tool task lab:tests runs it, as does %s=1 in the environment", why, Variable)
	}
}
