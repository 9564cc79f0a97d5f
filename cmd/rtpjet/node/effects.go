package node

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"time"

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
	n     *Node
	ctx   context.Context
	e     *entry
	began time.Time
	// limit bounds each operation on the log; 0: as callContext does.
	limit time.Duration
}

func (n *Node) effects(ctx context.Context, e *entry) *effects {
	return &effects{n: n, ctx: ctx, e: e, began: time.Now()}
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
func (x *effects) Now() int64 { return x.n.now() }

// Call implements [transact.Effects].
func (x *effects) Call() *projection.Call { return &x.e.Call }

// Append implements [transact.Effects]. The call's owner is told of the event.
func (x *effects) Append(env events.Envelope) error {
	was := x.e.Call.Owner
	at, err := x.e.Append(x, env)
	if err == nil && at.Seq > 0 && x.n.peers != nil {
		now := x.n.owners.of(x.e.Call.Owner)
		to := peers.Carriers{Now: now.carrier(), Before: x.n.owners.carrier(was), Next: now.successor()}
		x.n.peers.Nudge(x.ctx, to, env.Call, peers.Event{Key: x.e.key, Prev: at.Last, Seq: at.Seq, Data: at.Data})
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
		v := x.n.owners.judge(node)
		if v == members.Silent && time.Since(x.began) < verdictTime && !x.n.owners.of(node).cutOff() {
			v = x.Await(node)
		}
		if v != members.Alive || x.n.owners.carries(node) || time.Since(x.began) >= verdictTime {
			return v
		}
		if x.answers(node) {
			return members.Alive
		} // its last heartbeats may still be on their way
	}
}

// answers tells whether the node that carries the owner's calls gives a sign of life.
func (x *effects) answers(owner string) bool {
	carrier := x.n.owners.carrier(owner)
	return carrier != "" && x.n.peers.Hello(x.ctx, carrier, helloTime) == nil
}

// Await implements [transact.Effects].
func (x *effects) Await(node string) members.Verdict {
	if x.n.peers == nil {
		return x.n.owners.judge(node)
	}
	ctx, cancel := context.WithDeadline(x.ctx, x.began.Add(verdictTime))
	defer cancel()
	tick := time.NewTicker(peers.BeatEvery / 5)
	defer tick.Stop()
	for {
		if v := x.n.owners.judge(node); v != members.Silent {
			return v
		}
		if carrier := x.n.owners.carrier(node); carrier != "" {
			x.n.peers.Probe(carrier)
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
	if x.n.peers == nil || !x.n.owners.of(node).leased() {
		return nil
	}
	ctx, cancel := x.n.journal.logContext(x.ctx)
	defer cancel()
	return x.n.journal.answered(appendError(x.n.peers.Fence(ctx, node)))
}

// Place implements [transact.Effects]. Where there are floats, calls belong to them.
func (x *effects) Place(w transact.Wish) (string, bool) {
	switch {
	case len(x.n.floats.Known()) > 0:
		return x.placeOnFloat(w)
	case x.n.peers == nil:
		return x.n.id, x.n.takesNew() && !slices.Contains(w.Tried, x.n.id)
	}
	return x.n.peers.Place(w, x.n.peers.Recovering())
}

// placeOnFloat chooses a float: one of the node that would get the call if there were no floats, or else of the next one.
// While none has a holder, it waits for one.
func (x *effects) placeOnFloat(w transact.Wish) (string, bool) {
	tried := w.Tried
	was := func(owner string) bool { return slices.Contains(tried, owner) }
	w.Tried = nil // nodes that have no float for it, from here on
	for {
		node, ok := x.n.peers.Place(w, false)
		if !ok {
			break
		}
		if owner, ok := x.n.floats.Choose(node, was); ok {
			return owner, true
		}
		w.Tried = append(w.Tried, node)
	}
	for _, f := range x.n.floats.Known() {
		owner := f.Owner()
		if x.n.owners.judge(owner) == members.Silent && !was(owner) && time.Since(x.began) < verdictTime && x.Await(owner) == members.Alive {
			return owner, true
		}
	}
	return x.n.id, false
}

// Interfaces implements [transact.Effects].
func (x *effects) Interfaces(node string) *plan.Interfaces {
	return x.n.owners.of(node).interfaces()
}

// Reserve implements [transact.Effects].
func (x *effects) Reserve(node string, bind netip.Addr, num int) ([]netip.AddrPort, error) {
	for {
		carrier := x.n.owners.carrier(node)
		got, err := x.reserveAt(carrier, node, bind, num)
		// Between two holders nobody gives ports of a float, and in a moment somebody does.
		if !x.n.owners.of(node).floating() || !errors.Is(err, transact.ErrSilent) || !x.nextCarrier(node, carrier) {
			return got, err
		}
	}
}

// reserveAt asks one node for ports, as long as that carries the owner's calls.
func (x *effects) reserveAt(carrier, owner string, bind netip.Addr, num int) ([]netip.AddrPort, error) {
	switch {
	case x.n.owners.carries(owner):
		if !x.n.owners.of(owner).settle(x.ctx) {
			return nil, transact.ErrSilent
		}
		return x.n.engine.Reserve(bind, num)
	case x.n.peers == nil || carrier == "":
		return nil, transact.ErrSilent
	}
	ctx, cancel := context.WithTimeout(x.ctx, reserveTime)
	defer cancel()
	if x.n.owners.of(owner).floating() {
		go func() { // ends with ctx at the latest
			x.n.floats.Wait(ctx, func() bool { return x.n.owners.carrier(owner) != carrier })
			cancel()
		}()
	}
	return x.n.peers.Reserve(ctx, carrier, peers.Reservation{Key: x.e.key, Owner: owner, Bind: bind, Num: num, New: !x.e.Call.Live()})
}

// nextCarrier waits until a float has a holder, and another one than before unless that one may just be settling in.
func (x *effects) nextCarrier(owner, before string) bool {
	ctx, cancel := context.WithDeadline(x.ctx, x.began.Add(verdictTime))
	defer cancel()
	if now := x.n.owners.carrier(owner); now != "" && now == before {
		return pause(ctx, followPace/2)
	}
	return x.n.floats.Wait(ctx, func() bool { return x.n.owners.carrier(owner) != "" })
}

// Release implements [transact.Effects].
func (x *effects) Release(node string, ports []netip.AddrPort) {
	switch {
	case x.n.owners.carries(node):
		x.n.engine.Release(ports...)
	case x.n.peers != nil:
		if carrier := x.n.owners.carrier(node); carrier != "" {
			x.n.peers.Release(carrier, x.e.key, ports)
		}
	}
}

// Hold implements [transact.Effects]. A peer holds what it gave until it has asked the log, whatever we do.
func (x *effects) Hold(node string, ports []netip.AddrPort) {
	if x.n.owners.carries(node) {
		x.n.uncertain.add(x.e.key, ports, x.n.now()+ownTime.Microseconds())
	}
}

// Random implements [transact.Effects].
func (x *effects) Random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Stats implements [transact.Effects].
func (x *effects) Stats() func(netip.AddrPort) (plan.Stats, bool) {
	stats, _ := x.n.stats(x.ctx, &x.e.Call)
	return stats
}

// stats returns what the sockets of a call have counted, as far as its owner answers; fresh tells whether it did.
func (n *Node) stats(ctx context.Context, c *projection.Call) (stats func(netip.AddrPort) (plan.Stats, bool), fresh bool) {
	if !c.Live() || n.owners.carries(c.Owner) {
		return n.engine.Stats, true
	}
	none := func(netip.AddrPort) (plan.Stats, bool) { return plan.Stats{}, false }
	carrier := n.owners.carrier(c.Owner)
	if n.peers == nil || carrier == "" || n.owners.judge(c.Owner) == members.Gone {
		return none, false
	}
	ctx, cancel := context.WithTimeout(ctx, statsTime)
	defer cancel()
	got, err := n.peers.Stats(ctx, carrier, c.Locals())
	if err != nil {
		n.log.Debug("the owner of a call does not tell what it counted", "call-id", c.ID, "owner", c.Owner, "err", err)
		return none, false
	}
	return func(a netip.AddrPort) (plan.Stats, bool) {
		st, ok := got[a]
		st.Remote, st.Confirmed = netip.AddrPort{}, false // the log has it, as of the same moment as all else
		return st, ok
	}, true
}
