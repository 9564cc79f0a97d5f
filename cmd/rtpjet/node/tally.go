package node

import (
	"cmp"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
)

type counter = atomic.Uint64

// tally counts what the folded events say about calls. It is fed from one place (account), with each event once.
type tally struct {
	node     string
	log      *slog.Logger
	owners   *owners
	counters *metrics.Counters
	relaying *atomic.Bool // before, what is folded is history and not counted
	// takenOver is that of [Config].
	takenOver func(call, from, to, why string)

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
func (t *tally) account(was replica.State, c *projection.Call, env events.Envelope) {
	now := replica.StateOf(c)
	if was.Live && (!now.Live || now.Owner != was.Owner) {
		t.gauge(was.Owner).Add(-1)
	}
	if now.Live && (!was.Live || now.Owner != was.Owner) {
		t.gauge(now.Owner).Add(1)
	}
	if taken, ok := env.Event.(events.TakenOver); ok && was.Live && now.Live && now.Owner != was.Owner && t.relaying.Load() {
		t.countTakeover(was.Owner, now.Owner, taken.Why)
		if t.takenOver != nil {
			t.takenOver(c.ID, was.Owner, now.Owner, taken.Why)
		}
	}
	end, ok := env.Event.(events.Ended)
	if !ok || !was.Live || now.Live || !t.relaying.Load() || !t.sums(was.Owner, env) {
		return
	}
	d := float64(cmp.Or(end.Until, was.Until, env.At)-was.Created) / 1e6
	t.tellEnd(c.ID, was, end, d)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended == nil {
		t.ended = make(map[events.Reason]uint64)
	}
	t.managed++
	t.ended[end.Reason]++
	t.seconds += d
	t.squares += d * d
	t.zeroWay += uint64(end.ZeroWay)
	t.oneWay += uint64(end.OneWay)
}

// sums tells whether the end of an owner's call is for this node to count: it has carried the call, or it wrote the end since
// the owner is gone.
func (t *tally) sums(owner string, env events.Envelope) bool {
	return t.owners.carries(owner) || env.Node == t.node && t.owners.judge(owner) == members.Gone
}

// tellEnd writes the line of the log about the end of a call, which lasted for some seconds.
func (t *tally) tellEnd(callID string, was replica.State, end events.Ended, seconds float64) {
	var lost any = end.Lost
	if end.RTP.Packets == 0 {
		lost = "unknown" // nobody has counted any
	}
	t.log.Info("call ended", "call-id", callID, "reason", end.Reason, "seconds", math.Round(seconds*1000)/1000, "parties", was.Parties,
		"packets", end.RTP.Packets, "lost", lost, "rtcp packets", end.RTCP.Packets, "refused", end.RTP.Errors+end.RTCP.Errors,
		"sections that nobody sent in", end.ZeroWay, "that one side sent in", end.OneWay)
}

// gauge counts the live calls of an owner.
func (t *tally) gauge(owner string) *atomic.Int64 {
	g, ok := t.live.Load(owner)
	if !ok {
		g, _ = t.live.LoadOrStore(owner, new(atomic.Int64))
	}
	return g.(*atomic.Int64)
}

// calls counts the live calls that this node carries, and those of others. Who carries a float changes without an event.
func (t *tally) calls() (own, foreign int64) {
	t.live.Range(func(owner, g any) bool {
		if t.owners.carries(owner.(string)) {
			own += g.(*atomic.Int64).Load()
		} else {
			foreign += g.(*atomic.Int64).Load()
		}
		return true
	})
	return own, foreign
}

// own counts the live calls that this node carries.
func (t *tally) own() int64 {
	own, _ := t.calls()
	return own
}

// countTakeover counts a call that has another owner now.
func (t *tally) countTakeover(before, now, why string) {
	direction := metrics.TakenElsewhere
	switch {
	case t.owners.carries(now):
		direction = metrics.TakenIn
	case t.owners.carries(before):
		direction = metrics.TakenOut
	}
	if why != transact.WhyGone && why != transact.WhyAsked {
		why = "other" // the word of another release
	}
	t.counters.TakenOver(direction, why)
	if direction != metrics.TakenIn || why != transact.WhyGone || t.owners.peers == nil {
		return
	}
	if silence, ok := t.owners.peers.Unheard(before); ok {
		t.counters.TakeoverSilence(silence)
	}
}
