// Package rerun puts what a test has left in its log through rtpjet replay --rerun: this build has just made all of those
// decisions, so they have to come out again, by what the log alone has.
package rerun

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/cli"
	"rtpjet/embed"
)

// patience bounds one check.
const patience = time.Minute

// Wanted tells whether logs of other processes are to be checked as well, which takes a process each: RTPJET_RERUN=1.
func Wanted() bool { return os.Getenv("RTPJET_RERUN") != "" }

// Log checks a log.
func Log(t testing.TB, l *embed.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // t's own has ended when a test cleans up
	defer cancel()
	var out bytes.Buffer
	tally, err := cli.ReplayAll(ctx, l, 0, false, &out)
	switch {
	case err != nil:
		t.Errorf("run again: %v\n%s", err, &out)
	case tally.Rerun > 0:
		t.Logf("%d decisions of %d calls were made again", tally.Rerun, tally.Calls)
	}
}

// Server checks the log at the NATS address of a process that runs, if that is wanted; more are options.
func Server(t testing.TB, program, nats string, more ...string) {
	t.Helper()
	if !Wanted() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, append([]string{"replay", "--all", "--nats", "nats://" + nats}, more...)...).CombinedOutput()
	Result(t, string(out), err)
}

// Result reports what rtpjet replay --all has said.
func Result(t testing.TB, out string, err error) {
	t.Helper()
	switch {
	case err != nil && strings.Contains(out+err.Error(), "come out otherwise"):
		t.Errorf("run again: %v\n%s", err, out)
	case err != nil: // the log is away, as the test wanted it
		t.Logf("not run again: %v %s", err, out)
	default:
		t.Logf("run again: %s", out)
	}
}
