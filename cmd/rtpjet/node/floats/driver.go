package floats

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

	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/embed"
	"rtpjet/projection/floats"
	"rtpjet/relay/plan"
)

// Host is what a driver needs of its node. Its methods are safe for concurrent use.
type Host interface {
	// Relaying tells whether the calls are in effect: not before the end of the log's backlog is reached.
	Relaying() bool
	// Calls counts the live calls of an owner, which is given by its text in events.
	Calls(owner string) int64
	// Attend opens the sockets of each call of an owner that have to be open here, and closes the others; fresh closes all first.
	Attend(ctx context.Context, owner string, fresh bool)
	// CatchUp waits until the node knows all events that are in the log now, for as long as more says so. An error says that the
	// end of the log is not known.
	CatchUp(ctx context.Context, more func() bool) error
	// Voters are the nodes that have not given their lease back, this one first, and where the keepers of the others are.
	Voters() (nodes []string, keepers map[string]netip.AddrPort)
	// Announce has the others told where this node's keeper hears them.
	Announce(ctx context.Context, keeper netip.AddrPort) error
	// Alive tells whether another node is.
	Alive(node string) bool
	// End has the node end, with an error for the operator.
	End(err error)
}

// Link is what a driver needs of NATS. *embed.Log is one.
type Link interface {
	Connected() bool
	Publish(tokens string, data []byte) error
	Subscribe(tokens string, f func(embed.Msg)) (stop func(), err error)
	GetLease(ctx context.Context, key string) (embed.Lease, error)
	PutLease(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// Keeper decides who holds what. *keeper.Keeper is one, and says what the methods do.
type Keeper interface {
	Addr() netip.AddrPort
	Runs() []string
	Reports() <-chan keeper.Report
	Err() error
	Begin(run uint64) error
	Nodes(voters []string, peers map[string]netip.AddrPort) error
	Alive() error
	Ready() error
	Warm(float string, on bool) error
	Drain(on bool) error
	Record(r floats.Record) error
	Heard(pulse []byte) error
	Move(ctx context.Context, float, to string) (target string, err error)
	Close() error
}

// Own is a floating address that this node can hold: one address of each interface and family, under one id.
type Own struct {
	ID         string
	Interfaces *plan.Interfaces
}

// Config is what makes a driver.
type Config struct {
	Node string // this node
	Own  []Own
	// Start starts a keeper, and Keeper is one that runs already. A node without Own has one started as soon as the cluster has
	// floats: it votes. nil: this node does not.
	Start  func(ctx context.Context) (Keeper, error)
	Keeper Keeper
	Host   Host
	Link   Link
	// Moved counts that this node became the holder of a float; silence is how long nobody had heard the one before, 0 if that gave
	// it up. nil: nobody counts.
	Moved  func(float, why string, silence time.Duration)
	Clock  func() time.Time
	Logger *slog.Logger
}

// Times of floats.
const (
	// goneAfter is how long a float may be without a holder, and without a node that could hold it, before its calls are given
	// other addresses.
	goneAfter = 10 * time.Second
	// handOverTime bounds what a node that ends waits for its floats to have moved.
	handOverTime = 3 * time.Second
	// keeperAgain is the time before a keeper that has ended is followed by another one.
	keeperAgain = 200 * time.Millisecond
)

// Driver is this node's view of the floating addresses of the cluster, by the word of its keeper, and what this node has to do about
// them. Its methods are safe for concurrent use; those that only look may be called on nil, which knows no float.
type Driver struct {
	cfg   Config
	host  Host
	log   *slog.Logger
	start time.Time // times of floats count from here
	began uint64    // the epoch of the lease with which this process began

	mu      sync.Mutex
	keeper  Keeper        // nil: none runs
	runs    uint64        // keepers so far
	changed chan struct{} // closed, and made anew, when a float has changed
	drain   bool

	floats  atomic.Pointer[map[string]*Float] // by id; replaced whole under mu
	records chan struct{}                     // has something to record
	needed  chan struct{}                     // somebody has to vote
}

// New makes a driver. Run starts it.
func New(cfg Config) *Driver {
	d := &Driver{
		cfg: cfg, host: cfg.Host, log: cfg.Logger, start: time.Now(), keeper: cfg.Keeper,
		changed: make(chan struct{}), records: make(chan struct{}, 1), needed: make(chan struct{}, 1),
	}
	d.floats.Store(&map[string]*Float{})
	for _, own := range cfg.Own {
		f := d.floatLocked(own.ID)
		f.own = own.Interfaces
		f.table.Store(f.own)
	}
	return d
}

func (d *Driver) now() int64 { return time.Since(d.start).Microseconds() }

// floatLocked returns a float, a new one if need be. Called under mu, or before d is shared.
func (d *Driver) floatLocked(id string) *Float {
	all := *d.floats.Load()
	if f := all[id]; f != nil {
		return f
	}
	f := newFloat(id, max(d.now(), 1))
	all = maps.Clone(all)
	all[id] = f
	d.floats.Store(&all)
	return f
}

// Float returns a float by its id, nil if it was never heard of.
func (d *Driver) Float(id string) *Float {
	if d == nil {
		return nil
	}
	return (*d.floats.Load())[id]
}

// Known returns all floats that were ever heard of, by their ids. The map must not be changed.
func (d *Driver) Known() map[string]*Float {
	if d == nil {
		return nil
	}
	return *d.floats.Load()
}

// Addr is where this node's keeper hears others; invalid if there is none.
func (d *Driver) Addr() netip.AddrPort {
	k := d.current()
	if k == nil {
		return netip.AddrPort{}
	}
	return k.Addr()
}

func (d *Driver) current() Keeper {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keeper
}

func (d *Driver) setKeeper(k Keeper) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keeper = k
}

// toKeeper has the keeper told something, if there is one. What it does not hear because it has just ended, the next one is told.
func (d *Driver) toKeeper(what func(k Keeper) error) {
	k := d.current()
	if k == nil {
		return
	}
	if err := what(k); err != nil && !errors.Is(err, keeper.ErrEnded) {
		d.log.Error("the keeper of floating addresses is not told", "err", err)
	}
}

// Run keeps the keeper informed and does what it reports, until ctx ends. Then no float is held here any more. began is the epoch of
// the lease with which the process began.
func (d *Driver) Run(ctx context.Context, began uint64) error {
	d.began = began
	unsubscribe, err := d.cfg.Link.Subscribe("pulse", func(m embed.Msg) {
		d.toKeeper(func(k Keeper) error { return k.Heard(m.Data) })
	})
	if err != nil {
		return err
	}
	defer unsubscribe()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { d.keepers(ctx); return nil })
	g.Go(func() error { d.alive(ctx); return nil })
	g.Go(func() error { d.recorder(ctx); return nil })
	for _, f := range d.Known() {
		if f.own != nil {
			g.Go(func() error { d.attendCalls(ctx, f); return nil })
		}
	}
	return g.Wait()
}

// keepers has one keeper follow the other, should one end, which it does not.
func (d *Driver) keepers(ctx context.Context) {
	for ctx.Err() == nil {
		k := d.current()
		if k == nil {
			if k = d.startKeeper(ctx); k == nil {
				continue
			}
		}
		stop := context.AfterFunc(ctx, func() { _ = k.Close() })
		d.attend(k)
		stop()
		d.setKeeper(nil)
		d.see(d.vacated())
		if ctx.Err() == nil {
			d.log.Error("the keeper of floating addresses has ended; another one follows", "err", k.Err())
			pause.For(ctx, keeperAgain)
		}
	}
}

// startKeeper waits until a keeper is needed, starts it and has the others told where it is; nil if that cannot be.
func (d *Driver) startKeeper(ctx context.Context) Keeper {
	if len(d.cfg.Own) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-d.needed:
		}
	}
	if d.cfg.Start == nil {
		<-ctx.Done()
		return nil
	}
	k, err := d.cfg.Start(ctx)
	if err != nil {
		d.log.Error("a keeper of floating addresses cannot be started; trying again", "err", err)
		pause.For(ctx, 5*keeperAgain)
		wake(d.needed)
		return nil
	}
	d.setKeeper(k)
	uctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.host.Announce(uctx, k.Addr()); err != nil {
		d.log.Warn("the other nodes do not know yet where the keeper of this one is", "err", err)
	}
	return k
}

// attend brings a keeper up to date, and does what it reports until it ends.
func (d *Driver) attend(k Keeper) {
	d.mu.Lock()
	d.runs++
	run := d.began<<16 | d.runs
	drain := d.drain
	var records []floats.Record
	for _, f := range d.Known() {
		if f.rev > 0 {
			records = append(records, f.record)
		}
	}
	d.mu.Unlock()
	d.log.Info("the keeper of floating addresses runs", "on", k.Addr(), "with", k.Runs())
	_ = k.Begin(run) // an error is its end, which Reports tells
	d.NodesChanged()
	for _, r := range records {
		_ = k.Record(r)
	}
	_ = k.Drain(drain)
	if d.host.Relaying() {
		d.Ready()
	}
	for r := range k.Reports() {
		if r.Pulse != nil && d.cfg.Link.Connected() {
			_ = d.cfg.Link.Publish("pulse", r.Pulse) // one of many
		}
		if r.States != nil {
			d.see(r.States)
		}
		if r.Fatal != "" {
			d.host.End(errors.New(r.Fatal))
		}
	}
}

// alive says that this node lives.
func (d *Driver) alive(ctx context.Context) {
	tick := time.NewTicker(keeper.AliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.toKeeper(Keeper.Alive)
		}
	}
}

// Ready says that the calls are known.
func (d *Driver) Ready() {
	d.toKeeper(Keeper.Ready)
	for _, f := range d.Known() {
		wake(f.wakeCalls)
	}
}

// NodesChanged tells the keeper who the nodes are. A node that has one makes this one need one.
func (d *Driver) NodesChanged() {
	voters, peers := d.host.Voters()
	if len(peers) > 0 {
		wake(d.needed)
	}
	d.toKeeper(func(k Keeper) error { return k.Nodes(voters, peers) })
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
