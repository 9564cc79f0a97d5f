package node

import (
	"context"
	"fmt"
	"time"
)

// Stages of a node's life, in their order.
const (
	stageReading int32 = iota // the backlog of the log
	stageMeeting              // the other nodes
	stageServing
	stageEnding
)

var stageReasons = [...]string{
	stageReading: "the event log is being read",
	stageMeeting: "the other nodes are not known yet",
	stageEnding:  "the node ends",
}

const (
	// aliveTime is how long the threads that move packets may take for a sign of life. They take microseconds.
	aliveTime = 3 * time.Second
	// stuckAfter is how long the timers of calls may not have been looked at: they are each second, and a log that is away holds
	// that up by a few.
	stuckAfter = time.Minute
)

// Alive returns nil if the node's loops go round. NATS has no part in it: a node without it relays, and killing it would
// end what still works.
func (i Inspector) Alive(ctx context.Context) error {
	n := i.n
	ctx, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	if err := n.engine.Answers(ctx); err != nil {
		return err
	}
	if at := n.swept.Load(); at != 0 && n.stage.Load() != stageEnding {
		if stuck := time.Since(time.Unix(at, 0)); stuck > stuckAfter {
			return fmt.Errorf("the timers of calls have stood still for %v", stuck.Round(time.Second))
		}
	}
	return nil
}

// Unready says why the node does not answer commands as it should, or nothing.
func (i Inspector) Unready(ctx context.Context) []string {
	reasons, _ := i.unready(ctx)
	return reasons
}

// unready is Unready, and how the log is.
func (i Inspector) unready(ctx context.Context) (reasons []string, log logState) {
	n := i.n
	if why := stageReasons[n.stage.Load()]; why != "" {
		reasons = append(reasons, why)
	}
	if n.capacity.draining.Load() {
		reasons = append(reasons, "the node is draining")
	}
	if n.peers != nil && !n.cfg.Link.Connected() {
		reasons = append(reasons, "there is no connection to NATS")
	}
	if log = n.journal.probe(ctx); log.err != nil {
		reasons = append(reasons, "the event log does not answer: "+log.err.Error())
	}
	return reasons, log
}
