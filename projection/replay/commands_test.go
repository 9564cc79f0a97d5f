package replay_test

import (
	"bytes"
	"strings"
	"testing"

	"rtpjet/ngserver/ng"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/replay"
)

// TestRerunEveryCommand: each command of the table that may change a call is run again, and comes out as it did.
func TestRerunEveryCommand(t *testing.T) {
	s, did := historytest.New(), map[string]bool{}
	do := func(command string, keysAndValues ...any) {
		did[command] = true
		s.Do(command, keysAndValues...)
	}
	do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
	do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SDP("198.51.100.2", 6000))
	do("block media", "from-tag", "a")
	do("unblock media", "from-tag", "a")
	do("block DTMF")
	do("unblock DTMF")
	do("delete", "from-tag", "a", "delete-delay", 0)
	for _, c := range ng.Commands {
		if c.Action.Changes() != did[c.Name] {
			t.Errorf("%s may change a call: %v, and it is in the history: %v", c.Name, c.Action.Changes(), did[c.Name])
		}
	}
	entries := s.History()
	if len(entries) != len(did) {
		t.Fatalf("%d events of %d commands", len(entries), len(did))
	}
	same(t, "every command", entries)
}

// TestRerunOtherCommands: what a log says of a command that changes nothing here is told, and not passed over.
func TestRerunOtherCommands(t *testing.T) {
	for _, c := range ng.Commands {
		if c.Action.Changes() {
			continue
		}
		s := historytest.New()
		s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
		entries := s.History()
		cause := *entries[0].Cause
		cause.Request = bytes.Replace(cause.Request, []byte(`"command":"offer"`), []byte(`"command":"`+c.Name+`"`), 1)
		entries[0].Cause = &cause
		r := replay.Rerun("call", entries)
		if len(r.Steps) != 1 || r.Steps[0].Command != c.Name || !strings.Contains(r.Steps[0].Error, "no event for the command") {
			t.Errorf("%s: %+v", c.Name, r.Steps)
		}
	}
}
