package node_test

import (
	"slices"
	"testing"

	"rtpjet/embed"
	"rtpjet/tests/rerun"
)

// byHand are tests whose logs have events that nobody has decided.
var byHand = []string{"TestUnloggedOvertaken/taken_over"}

// rerunLog makes the decisions again that are in a log, at the end of its test.
func rerunLog(t testing.TB, l *embed.Log) {
	if !t.Failed() && !slices.Contains(byHand, t.Name()) && l.Connected() {
		rerun.Log(t, l)
	}
}
