package natsinternal

import (
	"sync"
	"time"
	_ "unsafe" // for go:linkname
)

// The timers of raft. With the server's own values (an election after 4 to 9 s of silence, a heartbeat each second) a stream whose
// leader was killed takes no writes for 4.2 to 7.7 s; with an election after 400 to 900 ms and a heartbeat each 100 ms, it was 0.49
// to 0.81 s (three processes on one machine, four kills each; TestLeaderKilled prints its own figure). A proxy resends after 1 s
// and a phone rings for longer, so the difference is whether a call is set up. What it costs is 10 heartbeats a second and group
// while nothing is written, and an election that nobody needed when a server does not run for 400 ms.

// minElectionTimeout and maxElectionTimeout are how long a follower hears nothing before it wants to lead.
//
//go:linkname minElectionTimeout github.com/nats-io/nats-server/v2/server.minElectionTimeout
var minElectionTimeout time.Duration

//go:linkname maxElectionTimeout github.com/nats-io/nats-server/v2/server.maxElectionTimeout
var maxElectionTimeout time.Duration

// hbInterval is how often a leader that writes nothing is heard. It has to be much shorter than an election.
//
//go:linkname hbInterval github.com/nats-io/nats-server/v2/server.hbInterval
var hbInterval time.Duration

// lostQuorumInterval and lostQuorumCheck are when a leader that hears nobody finds that the quorum is lost, and until then goes on
// answering reads: 10 to 20 s by the server's values, 1 to 1.25 s by ours.
//
//go:linkname lostQuorumInterval github.com/nats-io/nats-server/v2/server.lostQuorumInterval
var lostQuorumInterval time.Duration

//go:linkname lostQuorumCheck github.com/nats-io/nats-server/v2/server.lostQuorumCheck
var lostQuorumCheck time.Duration

// ShortRaftTimers sets the timers of raft for all servers of the process. It has to be called before the first clustered one starts:
// they read the variables without a lock from then on. Further calls do nothing.
var ShortRaftTimers = sync.OnceFunc(func() {
	minElectionTimeout, maxElectionTimeout = 400*time.Millisecond, 900*time.Millisecond
	hbInterval = 100 * time.Millisecond
	lostQuorumInterval, lostQuorumCheck = time.Second, 250*time.Millisecond
})

// srcConsumerWaitTime is how long a mirror waits for an answer of its feed before it asks again: 30 s by the server's own
// value. A server that starts may ask before its feeds listen, and a mirror that waits for its answer does not ask again
// when they do.
//
//go:linkname srcConsumerWaitTime github.com/nats-io/nats-server/v2/server.srcConsumerWaitTime
var srcConsumerWaitTime time.Duration

// mirrorAnswer is long for a feed, which answers at once if it is there.
const mirrorAnswer = 2 * time.Second

// ShortMirrorTimers sets the time that mirrors wait for an answer, for all servers of the process. It has to be called before the
// first one that has mirrors starts. Further calls do nothing.
var ShortMirrorTimers = sync.OnceFunc(func() { srcConsumerWaitTime = mirrorAnswer })
