package node

import (
	"testing"

	"rtpjet/embed"
	"rtpjet/tests/rerun"
)

// rerunLog makes the decisions again that are in a log, at the end of its test.
func rerunLog(t testing.TB, l *embed.Log) {
	if !t.Failed() && l.Connected() {
		rerun.Log(t, l)
	}
}
