package node

import (
	"cmp"
	"math"
	"sync"
	"sync/atomic"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/replica"
)

type counter = atomic.Uint64

// tally counts what the folded events say about calls. It is fed from one place (account), with each event once.
type tally struct {
	live     sync.Map // of *atomic.Int64, live calls by owner
	rejected counter  // new calls refused for a limit

	mu      sync.Mutex
	managed uint64                   // calls of this node that have ended since the start
	ended   map[events.Reason]uint64 // the same by reason
	zeroWay uint64                   // sections of ended calls in which nobody has sent
	oneWay  uint64                   // and those in which one side only has
	seconds float64                  // summed durations of ended calls
	squares float64                  // summed squares of the same
}

// account notes what an event did to a call that was live before or not.
func (n *Node) account(was replica.State, c *projection.Call, env events.Envelope) {
	now := replica.StateOf(c)
	if was.Live && (!now.Live || now.Owner != was.Owner) {
		n.gauge(was.Owner).Add(-1)
	}
	if now.Live && (!was.Live || now.Owner != was.Owner) {
		n.gauge(now.Owner).Add(1)
	}
	if taken, ok := env.Event.(events.TakenOver); ok && was.Live && now.Live && now.Owner != was.Owner && n.relaying.Load() {
		n.countTakeover(was.Owner, now.Owner, taken.Why)
		n.news.taken(c.ID, was.Owner, now.Owner, taken.Why)
	}
	end, ok := env.Event.(events.Ended)
	if !ok || !was.Live || now.Live || !n.relaying.Load() || !n.sums(was.Owner, env) {
		return
	}
	d := float64(cmp.Or(end.Until, was.Until, env.At)-was.Created) / 1e6
	n.tellEnd(c.ID, was, end, d)
	n.tally.mu.Lock()
	defer n.tally.mu.Unlock()
	if n.tally.ended == nil {
		n.tally.ended = make(map[events.Reason]uint64)
	}
	n.tally.managed++
	n.tally.ended[end.Reason]++
	n.tally.seconds += d
	n.tally.squares += d * d
	n.tally.zeroWay += uint64(end.ZeroWay)
	n.tally.oneWay += uint64(end.OneWay)
}

// sums tells whether the end of an owner's call is for this node to count: it has carried the call, or it wrote the end since
// the owner is gone.
func (n *Node) sums(owner string, env events.Envelope) bool {
	return n.carries(owner) || env.Node == n.id && n.judge(owner) == members.Gone
}

// tellEnd writes the line of the log about the end of a call, which lasted for some seconds.
func (n *Node) tellEnd(callID string, was replica.State, end events.Ended, seconds float64) {
	var lost any = end.Lost
	if end.RTP.Packets == 0 {
		lost = "unknown" // nobody has counted any
	}
	n.log.Info("call ended", "call-id", callID, "reason", end.Reason, "seconds", math.Round(seconds*1000)/1000, "parties", was.Parties,
		"packets", end.RTP.Packets, "lost", lost, "rtcp packets", end.RTCP.Packets, "refused", end.RTP.Errors+end.RTCP.Errors,
		"sections that nobody sent in", end.ZeroWay, "that one side sent in", end.OneWay)
}

// gauge counts the live calls of an owner.
func (n *Node) gauge(owner string) *atomic.Int64 {
	g, ok := n.tally.live.Load(owner)
	if !ok {
		g, _ = n.tally.live.LoadOrStore(owner, new(atomic.Int64))
	}
	return g.(*atomic.Int64)
}

// callsNow counts the live calls that this node carries, and those of others. Who carries a float changes without an event.
func (n *Node) callsNow() (own, foreign int64) {
	n.tally.live.Range(func(owner, g any) bool {
		if n.carries(owner.(string)) {
			own += g.(*atomic.Int64).Load()
		} else {
			foreign += g.(*atomic.Int64).Load()
		}
		return true
	})
	return own, foreign
}

// OwnCalls counts the live calls that this node carries.
func (n *Node) OwnCalls() int64 {
	own, _ := n.callsNow()
	return own
}
