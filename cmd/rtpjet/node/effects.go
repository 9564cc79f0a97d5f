package node

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"time"

	"rtpjet/cmd/rtpjet/node/internal/logerror"
	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/cmd/rtpjet/node/peers"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/members"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// effects are what a command does to one call, whose lock is held. ctx carries the command's deadline.
type effects struct {
	c     *calls
	ctx   context.Context
	e     *entry
	began time.Time
	// limit bounds each operation on the log; 0: as callContext does.
	limit time.Duration
}

func (c *calls) effects(ctx context.Context, e *entry) *effects {
	return &effects{c: c, ctx: ctx, e: e, began: time.Now()}
}

var (
	_ transact.Effects = (*effects)(nil)
	_ replica.Effects  = (*effects)(nil)
)

// Slices of a command's time (docs/decisions/04-time-limits.md).
const (
	helloTime   = 150 * time.Millisecond // a sign of life of the owner
	reserveTime = 250 * time.Millisecond // the owner's reservation
	statsTime   = 250 * time.Millisecond // the owner's counters
	verdictTime = 650 * time.Millisecond // until it is known whether a silent owner is gone, from the command's start
	// logTime is how long the log may take while a leader is elected: a client that resends after 1 s gets its reply then,
	// and one that hears of an error loses its call. A log that has been away for longer than that is not waited for.
	logTime     = 2300 * time.Millisecond
	logAwayTime = 400 * time.Millisecond
	// CommandBudget is how long a command may take in a cluster, from its arrival to its reply.
	CommandBudget = logTime + 200*time.Millisecond
)

// Now implements [transact.Effects].
func (x *effects) Now() int64 { return x.c.now() }

// Call implements [transact.Effects].
func (x *effects) Call() *projection.Call { return &x.e.Call }

// Append implements [transact.Effects]. The call's owner is told of the event.
func (x *effects) Append(env events.Envelope) error {
	was := x.e.Call.Owner
	at, err := x.e.Append(x, env)
	if err == nil && at.Seq > 0 && x.c.peers != nil {
		now := x.c.owners.of(x.e.Call.Owner)
		to := peers.Carriers{Now: now.carrier(), Before: x.c.owners.carrier(was), Next: now.successor()}
		x.c.peers.Nudge(x.ctx, to, env.Call, peers.Event{Key: x.e.key, Prev: at.Last, Seq: at.Seq, Data: at.Data})
	}
	return err
}

// CatchUp implements [transact.Effects].
func (x *effects) CatchUp() error { return x.e.Refresh(x) }

// Since implements [transact.Effects].
func (x *effects) Since(after uint64) ([]transact.Entry, error) { return x.e.Since(x, after) }

// Judge implements [transact.Effects]. Heartbeats are a moment old, and an SDP with the sockets of a process that was killed
// since is of no use to anybody: a node that should be alive is asked.
func (x *effects) Judge(node string) members.Verdict {
	for {
		v := x.c.owners.judge(node)
		if v == members.Silent && time.Since(x.began) < verdictTime && !x.c.owners.of(node).cutOff() {
			v = x.Await(node)
		}
		if v != members.Alive || x.c.owners.carries(node) || time.Since(x.began) >= verdictTime {
			return v
		}
		if x.answers(node) {
			return members.Alive
		} // its last heartbeats may still be on their way
	}
}

// answers tells whether the node that carries the owner's calls gives a sign of life.
func (x *effects) answers(owner string) bool {
	carrier := x.c.owners.carrier(owner)
	return carrier != "" && x.c.peers.Hello(x.ctx, carrier, helloTime) == nil
}

// Await implements [transact.Effects].
func (x *effects) Await(node string) members.Verdict {
	if x.c.peers == nil {
		return x.c.owners.judge(node)
	}
	ctx, cancel := context.WithDeadline(x.ctx, x.began.Add(verdictTime))
	defer cancel()
	tick := time.NewTicker(peers.BeatEvery / 5)
	defer tick.Stop()
	for {
		if v := x.c.owners.judge(node); v != members.Silent {
			return v
		}
		if carrier := x.c.owners.carrier(node); carrier != "" {
			x.c.peers.Probe(carrier)
		}
		select {
		case <-ctx.Done():
			return members.Silent
		case <-tick.C:
		}
	}
}

// Fence implements [transact.Effects].
func (x *effects) Fence(node string) error {
	if x.c.peers == nil || !x.c.owners.of(node).leased() {
		return nil
	}
	ctx, cancel := x.c.journal.logContext(x.ctx)
	defer cancel()
	return x.c.journal.answered(logerror.Of(x.c.peers.Fence(ctx, node)))
}

// Place implements [transact.Effects]. Where there are floats, calls belong to them.
func (x *effects) Place(w transact.Wish) (string, bool) {
	switch {
	case len(x.c.floats.Known()) > 0:
		return x.placeOnFloat(w)
	case x.c.peers == nil:
		return x.c.node, x.c.capacity.takesNew() && !slices.Contains(w.Tried, x.c.node)
	}
	return x.c.peers.Place(w, x.c.peers.Recovering())
}

// placeOnFloat chooses a float: one of the node that would get the call if there were no floats, or else of the next one.
// While none has a holder, it waits for one.
func (x *effects) placeOnFloat(w transact.Wish) (string, bool) {
	tried := w.Tried
	was := func(owner string) bool { return slices.Contains(tried, owner) }
	w.Tried = nil // nodes that have no float for it, from here on
	for {
		node, ok := x.c.peers.Place(w, false)
		if !ok {
			break
		}
		if owner, ok := x.c.floats.Choose(node, was); ok {
			return owner, true
		}
		w.Tried = append(w.Tried, node)
	}
	for _, f := range x.c.floats.Known() {
		owner := f.Owner()
		if x.c.owners.judge(owner) == members.Silent && !was(owner) && time.Since(x.began) < verdictTime && x.Await(owner) == members.Alive {
			return owner, true
		}
	}
	return x.c.node, false
}

// Interfaces implements [transact.Effects].
func (x *effects) Interfaces(node string) *plan.Interfaces {
	return x.c.owners.of(node).interfaces()
}

// Reserve implements [transact.Effects].
func (x *effects) Reserve(node string, bind netip.Addr, num int) ([]netip.AddrPort, error) {
	for {
		carrier := x.c.owners.carrier(node)
		got, err := x.reserveAt(carrier, node, bind, num)
		// Between two holders nobody gives ports of a float, and in a moment somebody does.
		if !x.c.owners.of(node).floating() || !errors.Is(err, transact.ErrSilent) || !x.nextCarrier(node, carrier) {
			return got, err
		}
	}
}

// reserveAt asks one node for ports, as long as that carries the owner's calls.
func (x *effects) reserveAt(carrier, owner string, bind netip.Addr, num int) ([]netip.AddrPort, error) {
	switch {
	case x.c.owners.carries(owner):
		if !x.c.owners.of(owner).settle(x.ctx) {
			return nil, transact.ErrSilent
		}
		return x.c.engine.Reserve(bind, num)
	case x.c.peers == nil || carrier == "":
		return nil, transact.ErrSilent
	}
	ctx, cancel := context.WithTimeout(x.ctx, reserveTime)
	defer cancel()
	if x.c.owners.of(owner).floating() {
		go func() { // ends with ctx at the latest
			x.c.floats.Wait(ctx, func() bool { return x.c.owners.carrier(owner) != carrier })
			cancel()
		}()
	}
	return x.c.peers.Reserve(ctx, carrier, peers.Reservation{Key: x.e.key, Owner: owner, Bind: bind, Num: num, New: !x.e.Call.Live()})
}

// nextCarrier waits until a float has a holder, and another one than before unless that one may just be settling in.
func (x *effects) nextCarrier(owner, before string) bool {
	ctx, cancel := context.WithDeadline(x.ctx, x.began.Add(verdictTime))
	defer cancel()
	if now := x.c.owners.carrier(owner); now != "" && now == before {
		return pause.For(ctx, followPace/2)
	}
	return x.c.floats.Wait(ctx, func() bool { return x.c.owners.carrier(owner) != "" })
}

// Release implements [transact.Effects].
func (x *effects) Release(node string, ports []netip.AddrPort) {
	switch {
	case x.c.owners.carries(node):
		x.c.engine.Release(ports...)
	case x.c.peers != nil:
		if carrier := x.c.owners.carrier(node); carrier != "" {
			x.c.peers.Release(carrier, x.e.key, ports)
		}
	}
}

// Hold implements [transact.Effects]. A peer holds what it gave until it has asked the log, whatever we do.
func (x *effects) Hold(node string, ports []netip.AddrPort) {
	if x.c.owners.carries(node) {
		x.c.uncertain.add(x.e.key, ports, x.c.now()+ownTime.Microseconds())
	}
}

// Random implements [transact.Effects].
func (x *effects) Random(n int) []byte { return randomBytes(n) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Stats implements [transact.Effects].
func (x *effects) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	stats, _ := x.c.stats(x.ctx, &x.e.Call)
	return stats
}

// stats returns what the sockets of a call have counted, as far as its owner answers; fresh tells whether it did.
func (c *calls) stats(ctx context.Context, call *projection.Call) (stats func(netip.AddrPort) (plan.Stats, bool), fresh bool) {
	if !call.Live() || c.owners.carries(call.Owner) {
		return c.engine.Stats, true
	}
	none := func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
	carrier := c.owners.carrier(call.Owner)
	if c.peers == nil || carrier == "" || c.owners.judge(call.Owner) == members.Gone {
		return none, false
	}
	ctx, cancel := context.WithTimeout(ctx, statsTime)
	defer cancel()
	got, err := c.peers.Stats(ctx, carrier, call.Locals())
	if err != nil {
		c.log.Debug("the owner of a call does not tell what it counted", "call-id", call.ID, "owner", call.Owner, "err", err)
		return none, false
	}
	return func(a netip.AddrPort) (plan.Stats, bool) {
		st, ok := got[a]
		st.Remote, st.Confirmed = netip.AddrPort{}, false // the log has it, as of the same moment as all else
		return st, ok
	}, true
}
