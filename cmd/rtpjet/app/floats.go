package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/floats"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// FloatConfig is what a node needs to hold floating addresses, and to vote on them.
type FloatConfig struct {
	Floats []config.Float
	// Start starts a keeper, and Keeper is one that runs already. A node without Floats has one started as soon as the
	// cluster has floats: it votes. nil: this node does not.
	Start  func(ctx context.Context) (*keeper.Keeper, error)
	Keeper *keeper.Keeper
}

// Times of floats.
const (
	// floatGone is how long a float may be without a holder, and without a node that could hold it, before its calls are
	// given other addresses.
	floatGone = 10 * time.Second
	// handOverTime bounds what a node that ends waits for its floats to have moved.
	handOverTime = 3 * time.Second
	// keeperAgain is the time before a keeper that has ended is followed by another one.
	keeperAgain = 200 * time.Millisecond
)

// floatState is this node's view of the floating addresses of the cluster, by the word of its keeper (package keeper), and
// what this node has to do about them: have the calls of those ready that it holds or is to hold next, and tell the bucket of
// leases. Its methods are safe for concurrent use.
type floatState struct {
	n     *Node
	c     *cluster
	cfg   FloatConfig
	log   *slog.Logger
	start time.Time // times of units count from here

	mu      sync.Mutex
	keeper  *keeper.Keeper // nil: none runs
	runs    uint64         // keepers so far
	changed chan struct{}  // closed, and made anew, when a unit has changed
	drain   bool

	units   atomic.Pointer[map[string]*unit] // by id; replaced whole under mu
	records chan struct{}                    // has something to record
	needed  chan struct{}                    // somebody has to vote
}

// unit is one float as this node has it.
type unit struct {
	id, owner string
	own       *config.Float // nil: this node cannot hold it

	// For a look without a lock.
	holding   atomic.Bool            // this node is the holder
	keep      atomic.Bool            // the calls have to be ready here
	holder    atomic.Pointer[string] // who holds it now, as far as can be seen; empty: nobody
	successor atomic.Pointer[string]
	acquired  atomic.Int64 // when this node became the holder, µs of Unix time
	vacant    atomic.Int64 // since when nobody holds it, µs since start; 0: somebody does
	settled   atomic.Pointer[chan struct{}]
	table     atomic.Pointer[plan.Interfaces]

	// Under mu of floatState.
	state  floats.State
	fresh  bool // sockets that are open are of an earlier time as the holder
	record floats.Record
	rev    uint64

	wakeCalls chan struct{}
}

func newFloatState(n *Node, c *cluster, cfg FloatConfig) *floatState {
	f := &floatState{
		n: n, c: c, cfg: cfg, log: n.log, start: time.Now(), keeper: cfg.Keeper,
		changed: make(chan struct{}), records: make(chan struct{}, 1), needed: make(chan struct{}, 1),
	}
	f.units.Store(&map[string]*unit{})
	for i := range cfg.Floats {
		u := f.unitLocked(cfg.Floats[i].ID)
		u.own = &cfg.Floats[i]
		u.table.Store(u.own.Interfaces)
	}
	return f
}

func (f *floatState) now() int64 { return time.Since(f.start).Microseconds() }

// unitLocked returns a unit, a new one if need be. Called under mu, or before f is shared.
func (f *floatState) unitLocked(id string) *unit {
	all := *f.units.Load()
	if u := all[id]; u != nil {
		return u
	}
	u := &unit{id: id, owner: events.Owner{Kind: events.OwnerFloat, Name: id}.String(), wakeCalls: make(chan struct{}, 1)}
	none, settled := "", make(chan struct{})
	u.holder.Store(&none)
	u.successor.Store(&none)
	u.settled.Store(&settled)
	u.vacant.Store(max(f.now(), 1))
	all = maps.Clone(all)
	all[id] = u
	f.units.Store(&all)
	return u
}

// unit returns a float by its id, nil if it was never heard of.
func (f *floatState) unit(id string) *unit {
	if f == nil {
		return nil
	}
	return (*f.units.Load())[id]
}

// known returns all floats that were ever heard of.
func (f *floatState) known() map[string]*unit {
	if f == nil {
		return nil
	}
	return *f.units.Load()
}

// addr is where this node's keeper hears others; invalid if there is none.
func (f *floatState) addr() netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keeper == nil {
		return netip.AddrPort{}
	}
	return f.keeper.Addr()
}

// tell has the keeper told something, if there is one. What it does not hear because it has just ended, the next one is told.
func (f *floatState) tell(what func(k *keeper.Keeper) error) {
	f.mu.Lock()
	k := f.keeper
	f.mu.Unlock()
	if k == nil {
		return
	}
	if err := what(k); err != nil && !errors.Is(err, keeper.ErrEnded) {
		f.log.Error("the keeper of floating addresses is not told", "err", err)
	}
}

// run keeps the keeper informed and does what it reports, until ctx ends. Then no float is held here any more.
func (f *floatState) run(ctx context.Context) error {
	unsubscribe, err := f.c.link.Subscribe("pulse", func(m embed.Msg) {
		f.tell(func(k *keeper.Keeper) error { return k.Heard(m.Data) })
	})
	if err != nil {
		return err
	}
	defer unsubscribe()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.keepers(ctx) })
	g.Go(func() error { return f.alive(ctx) })
	g.Go(func() error { return f.recorder(ctx) })
	for _, u := range f.known() {
		if u.own != nil {
			g.Go(func() error { return f.attendCalls(ctx, u) })
		}
	}
	return g.Wait()
}

// keepers has one keeper follow the other, should one end, which it does not.
func (f *floatState) keepers(ctx context.Context) error {
	for ctx.Err() == nil {
		f.mu.Lock()
		k := f.keeper
		f.mu.Unlock()
		if k == nil {
			if k = f.startKeeper(ctx); k == nil {
				continue
			}
		}
		stop := context.AfterFunc(ctx, func() { _ = k.Close() })
		f.attend(k)
		stop()
		f.mu.Lock()
		f.keeper = nil
		f.mu.Unlock()
		f.see(f.vacated())
		if ctx.Err() == nil {
			f.log.Error("the keeper of floating addresses has ended; another one follows", "err", k.Err())
			pause(ctx, keeperAgain)
		}
	}
	return nil
}

// startKeeper waits until a keeper is needed, starts it and has the others told where it is; nil if that cannot be.
func (f *floatState) startKeeper(ctx context.Context) *keeper.Keeper {
	if len(f.cfg.Floats) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-f.needed:
		}
	}
	if f.cfg.Start == nil {
		<-ctx.Done()
		return nil
	}
	k, err := f.cfg.Start(ctx)
	if err != nil {
		f.log.Error("a keeper of floating addresses cannot be started; trying again", "err", err)
		pause(ctx, 5*keeperAgain)
		wake(f.needed)
		return nil
	}
	f.mu.Lock()
	f.keeper = k
	f.mu.Unlock()
	uctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := f.c.update(uctx, func(l *members.Lease, _ uint64) { l.Keeper = k.Addr() }); err != nil {
		f.log.Warn("the other nodes do not know yet where the keeper of this one is", "err", err)
	}
	return k
}

// attend brings a keeper up to date, and does what it reports until it ends.
func (f *floatState) attend(k *keeper.Keeper) {
	f.mu.Lock()
	f.runs++
	run := f.c.began<<16 | f.runs
	drain := f.drain
	var records []floats.Record
	for _, u := range f.known() {
		if u.rev > 0 {
			records = append(records, u.record)
		}
	}
	f.mu.Unlock()
	f.log.Info("the keeper of floating addresses runs", "on", k.Addr(), "with", k.Runs())
	_ = k.Begin(run) // an error is its end, which Reports tells
	f.membersChanged()
	for _, r := range records {
		_ = k.Record(r)
	}
	_ = k.Drain(drain)
	if f.n.relaying.Load() {
		f.ready()
	}
	for r := range k.Reports() {
		if r.Pulse != nil && f.c.link.Connected() {
			_ = f.c.link.Publish("pulse", r.Pulse) // one of many
		}
		if r.States != nil {
			f.see(r.States)
		}
		if r.Fatal != "" {
			f.c.end(errors.New(r.Fatal))
		}
	}
}

// alive says that this node lives.
func (f *floatState) alive(ctx context.Context) error {
	tick := time.NewTicker(keeper.AliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.tell((*keeper.Keeper).Alive)
		}
	}
}

// ready says that the calls are known.
func (f *floatState) ready() {
	f.tell((*keeper.Keeper).Ready)
	for _, u := range f.known() {
		wake(u.wakeCalls)
	}
}

// membersChanged tells the keeper who the nodes are. A node that has one makes this one need one.
func (f *floatState) membersChanged() {
	voters, peers := f.c.voters()
	if len(peers) > 0 {
		wake(f.needed)
	}
	f.tell(func(k *keeper.Keeper) error { return k.Nodes(voters, peers) })
}

// voters are the nodes that have not given their lease back, and where their keepers are.
func (c *cluster) voters() (nodes []string, keepers map[string]netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes, keepers = []string{c.n.id}, make(map[string]netip.AddrPort)
	for id, l := range c.leases {
		if id == c.n.id || l.State == members.Down {
			continue
		}
		nodes = append(nodes, id)
		if l.Keeper.IsValid() {
			keepers[id] = l.Keeper
		}
	}
	return nodes, keepers
}

// vacated are the states of all floats when no keeper knows of them.
func (f *floatState) vacated() []floats.State {
	var out []floats.State
	for id := range f.known() {
		out = append(out, floats.State{Float: id})
	}
	return out
}

// see takes in how all floats stand.
func (f *floatState) see(states []floats.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := false
	for _, s := range states {
		u := f.unitLocked(s.Float)
		news = f.note(u, s) || news
		if u.own != nil {
			f.settleLocked(u, s)
		}
	}
	if news {
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

// note keeps what everybody else in this node wants to know of a float. It tells whether something has changed.
func (f *floatState) note(u *unit, s floats.State) (news bool) {
	holder := ""
	if s.Live || s.Hold {
		holder = s.Holder
	}
	if *u.holder.Load() != holder {
		u.holder.Store(&holder)
		news = true
	}
	if *u.successor.Load() != s.Successor {
		u.successor.Store(&s.Successor)
		news = true
	}
	switch {
	case holder != "":
		u.vacant.Store(0)
	case u.vacant.Load() == 0:
		u.vacant.Store(max(f.now(), 1))
	}
	news = news || s != u.state
	u.state = s
	return news
}

// settleLocked does what the state of one float demands of this node.
func (f *floatState) settleLocked(u *unit, s floats.State) {
	mine := s.Holder == f.n.id
	if s.Hold && !u.holding.Load() {
		f.acquiredLocked(u, s)
	}
	if u.holding.Load() && !mine {
		u.holding.Store(false)
		u.fresh = true
		f.log.Warn("this node no longer holds a float", "float", u.id, "holder", s.Holder, "epoch", s.Epoch, "calls", f.n.gauge(u.owner).Load())
		wake(u.wakeCalls)
	}
	if keep := s.Keep || s.Hold || mine; keep != u.keep.Load() {
		u.keep.Store(keep)
		wake(u.wakeCalls)
	}
	if s.Hold && !(floats.Record{Epoch: s.Epoch, Holder: s.Holder, Successor: s.Successor}).Same(u.record) {
		wake(f.records)
	}
}

// acquiredLocked makes this node the holder. New ports are given out only when it is known which are in use.
func (f *floatState) acquiredLocked(u *unit, s floats.State) {
	settled := make(chan struct{})
	u.settled.Store(&settled)
	u.acquired.Store(f.n.now())
	u.holding.Store(true)
	f.log.Warn("this node holds a float now", "float", u.id, "why", s.Why, "epoch", s.Epoch, "before", u.record.Holder, "ready", s.Warm,
		"calls", f.n.gauge(u.owner).Load())
	f.n.counters.FloatMoved(u.id, s.Why, time.Duration(s.Silence)*time.Microsecond)
	go f.catchUp(u, settled)
}

// catchUp waits until this node has folded all that was written before it became the holder.
func (f *floatState) catchUp(u *unit, settled chan struct{}) {
	defer close(settled)
	ctx, cancel := context.WithTimeout(context.Background(), floatGone)
	defer cancel()
	head, err := f.n.journal.Head(ctx)
	if err != nil {
		f.log.Warn("the end of the log is not known; new calls of a float may find ports in use", "float", u.id, "err", err)
		return
	}
	for f.n.followed.Load() < head && u.holding.Load() && pause(ctx, followPace/4) {
	}
}

// wait returns true when done says yes, and false when ctx ends. It is asked whenever a float has changed.
func (f *floatState) wait(ctx context.Context, done func() bool) bool {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if done() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits; false if ctx ends meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
