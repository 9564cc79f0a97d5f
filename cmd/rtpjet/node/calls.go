package node

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/cmd/rtpjet/node/peers"
	"rtpjet/cmd/rtpjet/node/unlogged"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay"
)

// calls are the calls as this node knows them: what it has folded of each, what of that is in effect in its relay, and how events of
// its own get into the log. It is safe for concurrent use; a method that takes an entry wants it locked.
type calls struct {
	*registry
	node     string
	log      *slog.Logger
	clock    func() time.Time
	engine   relay.Engine
	defaults projection.RouteDefaults
	journal  *eventLog
	unlogged *unlogged.Events
	owners   *owners
	tally    *tally
	capacity *capacity
	peers    *peers.Membership // nil: the node is alone
	floats   *floats.Driver    // nil likewise
	began    int64             // when the node began to count, µs of Unix time

	uncertain  uncertain
	retry      retries
	backlog    atomic.Bool // events are collected, to be folded when the present end of the log is reached
	relaying   atomic.Bool // the calls are in effect, and events take effect one by one
	unreadable atomic.Uint64
}

// newCalls makes the calls of a node, of which all but peers and floats is there.
func newCalls(n *Node) *calls {
	c := &calls{
		node: n.id, log: n.log, clock: n.clock, engine: n.engine, defaults: n.cfg.Defaults, journal: n.journal, unlogged: n.unlogged,
		owners: n.owners, tally: &n.tally, capacity: &n.capacity, began: n.started.UnixMicro(),
	}
	c.backlog.Store(true)
	c.registry = newRegistry(&replica.Node{
		Carries: c.owners.carries, ServeUnlogged: n.cfg.ServeUnlogged, Timeouts: n.cfg.Timeouts, LegSilence: n.cfg.LegSilence.Microseconds(),
		KeepEnded: n.cfg.KeepEnded.Microseconds(), OrphanTimeout: n.cfg.OrphanTimeout.Microseconds(),
	}, c.fold, c.bring)
	return c
}

// took notes what became of a locked call, by an event unless that is the zero Envelope. The relay is brought in line when all
// has been folded.
func (c *calls) took(e *entry, env events.Envelope, ch replica.Change) {
	e.mark()
	c.tally.account(ch.Was, &e.Call, env)
	if ch.Lost {
		c.log.Warn("a call has ended while this node did not hear of it", "call-id", e.Call.ID)
	}
	if len(ch.Published) > 0 {
		c.unlogged.Published(e.key, ch.Published)
	}
	if len(ch.Dropped) > 0 {
		c.unlogged.Dropped(e.key, ch.Dropped)
		c.log.Error("events that the log did not get are dropped: another writer has changed the call meanwhile",
			"call-id", ch.Dropped[0].Envelope.Call, "events", len(ch.Dropped), "owner", e.Logged().Owner, "live", e.Logged().Live())
	}
	if !c.relaying.Load() || !c.owners.carries(ch.Was.Owner) {
		return
	}
	if len(ch.Free) > 0 {
		c.uncertain.adopted(e.key, ch.Free)
		c.engine.Release(ch.Free...)
	}
	if ch.Was.Live && e.Call.Live() && e.Call.Owner != ch.Was.Owner && len(ch.Dropped) == 0 {
		c.log.Warn("a call of this node has another owner now", "call-id", e.Call.ID, "owner", e.Call.Owner)
	}
}

// bring makes the relay's sockets and routes of a locked call those that the projection wants, if something was folded since
// this was done last: once for several events, and after start-up only. Before, it waits for the end of the backlog.
func (c *calls) bring(e *entry) {
	if e.Unrouted() && c.relaying.Load() {
		c.route(e, e.Fresh())
		e.Routed()
	}
}

// route is bring whether something was folded or not; fresh says that some of it happened a moment ago.
func (c *calls) route(e *entry, fresh bool) {
	if !e.Call.Live() || !c.owners.opensFor(e.Call.Owner) {
		c.engine.Drop(e.key)
		return
	}
	streams := e.Routes(c.defaults, c.now(), fresh)
	if err := c.engine.Set(e.key, streams); err != nil {
		c.log.Error("cannot relay all streams of a call; trying again", "call-id", e.Call.ID, "err", err)
		c.retry.add(e.key)
	}
	if c.uncertain.num.Load() > 0 {
		c.uncertain.adopted(e.key, e.Call.Locals())
	}
}

// fold decodes a log entry and applies it to a locked call, unless it is there already. What cannot be read is left alone,
// counted and reported (docs/decisions/06-failed-reads.md).
func (c *calls) fold(e *entry, in replica.Entry) {
	if !e.Takes(in) {
		return
	}
	env, err := c.journal.decode(in.Data)
	if err != nil {
		c.unreadable.Add(1)
		c.log.Error("cannot read an event of a call; leaving it alone", "call-id", e.Call.ID, "key", e.key, "seq", in.Seq, "err", err)
		c.took(e, events.Envelope{}, e.Unreadable(in.Seq))
		return
	}
	c.took(e, env, e.Fold(in.Seq, env, in.Data, c.relaying.Load()))
}

// catchUp folds what the log has of a locked call beyond what we have seen.
func (c *calls) catchUp(ctx context.Context, e *entry) error { return e.CatchUp(c.effects(ctx, e)) }

// refresh is catchUp for a command. One on a call that can be served without the log goes on without its answer.
func (c *calls) refresh(ctx context.Context, e *entry) error { return e.Refresh(c.effects(ctx, e)) }

// now is the time in µs of Unix time.
func (c *calls) now() int64 { return c.clock().UnixMicro() }

// own appends an event that no command caused to a locked call. If it cannot be written now, the caller tries again later.
func (c *calls) own(ctx context.Context, e *entry, ev events.Event) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	var err error
	if end, ok := ev.(events.Ended); ok {
		err = transact.End(c.effects(ctx, e), c.node, end)
	} else {
		err = c.effects(ctx, e).Append(events.Envelope{Call: e.Call.ID, Gen: e.Call.Gen, Node: c.node, At: c.now(), Event: ev})
	}
	switch {
	case err == nil:
	case errors.Is(err, transact.ErrConflict):
		if err := c.catchUp(ctx, e); err != nil {
			c.log.Warn("cannot read the event log", "call-id", e.Call.ID, "err", err)
		}
	case parent.Err() == nil:
		c.log.Warn("the event log does not take an event; trying again", "call-id", e.Call.ID,
			"event", events.KindOf(ev), "err", err)
	}
	c.bring(e)
	return err
}

// look returns the locked entry of a key. A call that is not known may have been created elsewhere a moment ago: the log says; err if it
// does not answer. The caller releases the entry.
func (c *calls) look(ctx context.Context, key string) (e *entry, err error) {
	e = c.acquire(key, true)
	if !e.Call.Live() {
		err = c.catchUp(ctx, e)
	}
	return e, err
}

// acquireLive returns the locked entry of a call that exists, also if only the log knows it yet, or nil. The caller releases the entry.
func (c *calls) acquireLive(ctx context.Context, callID string) *entry {
	e, err := c.look(ctx, events.Key(callID))
	if err != nil {
		c.log.Error("cannot read the event log", "call-id", callID, "err", err)
	}
	if !e.Call.Live() {
		c.release(e)
		return nil
	}
	return e
}
