package natsinternal

import (
	"testing"
	"time"
)

// TestTimers: the server's own variables have our values once there was a cluster.
func TestTimers(t *testing.T) {
	ShortRaftTimers()
	if minElectionTimeout != 400*time.Millisecond || maxElectionTimeout != 900*time.Millisecond || hbInterval != 100*time.Millisecond ||
		lostQuorumInterval != time.Second || lostQuorumCheck != 250*time.Millisecond {
		t.Error("the timers of raft are not set")
	}
}
