package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/cmd/rtpjet/node/peers"
	"rtpjet/cmd/rtpjet/node/regions"
	"rtpjet/cmd/rtpjet/node/unlogged"
	"rtpjet/embed"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/projection/replica"
	"rtpjet/projection/transact"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// Journal is what a node needs of the event log. *embed.Log is one.
type Journal interface {
	Append(ctx context.Context, key string, last uint64, data []byte) (uint64, error)
	Since(ctx context.Context, key string, after uint64) (entries []embed.Entry, last uint64, err error)
	Follow(ctx context.Context, from uint64, f embed.Follower) error
	Archive(ctx context.Context) error
	Archiving() bool // this process is the one that archives
	History(ctx context.Context, key string) ([]embed.Entry, error)
	Keys(ctx context.Context) (map[string]uint64, error)
	Head(ctx context.Context) (uint64, error)
	Next(ctx context.Context, seq uint64) (e embed.Entry, found bool, err error)
	Retire(ctx context.Context, key string, upto uint64) error
	Trim(ctx context.Context, below uint64) error
}

// Config is what makes a node.
type Config struct {
	ID         string
	Interfaces *plan.Interfaces
	Zone       string   // where the node is; may be empty
	Listen     []string // NG over UDP, [ADDR:]PORT
	ControlTOS int
	Templates  ng.Templates // the same on all nodes

	Defaults    projection.RouteDefaults
	Timeouts    projection.Timeouts
	DeleteDelay int // seconds
	MaxSessions int // calls; negative: no limit
	SIPSource   bool
	InstanceID  string        // 12 hex digits
	LegSilence  time.Duration // an event tells of a party that has sent nothing for so long; 0: none does
	KeepEnded   time.Duration // how long the events of an ended call stay in the stream of live calls
	Journal     Journal
	Link        peers.Link    // to the other nodes; nil: the node is alone
	ClusterKey  []byte        // proves heartbeats; may be empty
	SealKeys    [][]byte      // seal secrets in the log, the first one in use; none: they are not sealed
	NodeTimeout time.Duration // how long a silent node is not gone yet; 0: [peers.DefaultTimeout]
	// OrphanTimeout is how long calls live whose owner is gone while nobody asks for them. 0: a minute.
	OrphanTimeout time.Duration
	// ServeUnlogged has commands for the calls of this node served from memory while the log does not answer, and the events
	// published when it does. UnloggedDir is where they outlive the process meanwhile; empty: nowhere.
	ServeUnlogged bool
	UnloggedDir   string
	Floats        FloatConfig
	// Region is the name of the node's region, Regions are the others, and RegionServer is where they ask this one; nil: nobody does.
	Region       string
	Regions      []regions.Region
	RegionServer regions.Server
	ListenFloat  []string // NG over UDP on floating addresses, ADDR:PORT
	Engine       relay.Engine
	Counters     *metrics.Counters // nil: the node's own
	Logger       *slog.Logger
	Clock        func() time.Time // nil: time.Now
	Ready        func(*Node)      // called once commands are answered; may be nil
	// TakenOver is called each time a live call got another owner, of this node or not, with the reason by the event. It must be quick:
	// the call is held meanwhile. nil: nobody wants to know.
	TakenOver func(call, from, to, why string)
}

// Node is one running relay: it answers NG commands, folds the log, and keeps the engine in line with it. Its methods are
// safe for concurrent use.
type Node struct {
	id       string
	cfg      Config
	log      *slog.Logger
	clock    func() time.Time
	journal  *eventLog
	engine   relay.Engine
	commands *commands
	started  time.Time

	calls    *calls
	peers    *peers.Membership // nil: the node is alone
	floats   *floats.Driver    // nil likewise
	regions  *regions.Driver   // nil: the node has to do with no other region
	owners   *owners
	capacity capacity

	unlogged *unlogged.Events
	tally    tally
	rate     rates // of what comes in
	rateOut  rates
	counters *metrics.Counters

	swept  atomic.Int64 // when the timers of calls were looked at last, s of Unix time; 0: not yet
	writes atomic.Int32 // the level of events as it was logged last; 0: not yet
	stage  atomic.Int32 // see the constants
	server *ngserver.Server
}

// warnEvery spaces repeated warnings.
const warnEvery = time.Minute

// followPace lets the events of other writers gather for a moment while there are many. The owner of a call gets those that
// concern it at once from their writer.
const followPace = 20 * time.Millisecond

// New makes a node and opens its NG sockets. Run starts it.
func New(cfg Config) (*Node, error) {
	n := &Node{
		id: cfg.ID, cfg: cfg, log: cfg.Logger, clock: cfg.Clock, engine: cfg.Engine,
		counters: cfg.Counters,
	}
	if n.log == nil {
		n.log = slog.Default()
	}
	if n.clock == nil {
		n.clock = time.Now
	}
	if n.counters == nil {
		n.counters = metrics.NewCounters()
	}
	n.started = n.clock()
	codec, err := newCodec(n.log, cfg.SealKeys)
	if err != nil {
		return nil, err
	}
	n.unlogged = unlogged.New(n.log)
	n.journal = &eventLog{
		Journal: cfg.Journal, codec: codec, clock: n.clock, counters: n.counters, unlogged: n.unlogged, serveUnlogged: cfg.ServeUnlogged,
	}
	n.commands = &commands{counters: n.counters, settings: transact.Settings{
		Node: cfg.ID, InstanceID: cfg.InstanceID, SIPSource: cfg.SIPSource, DeleteDelay: cfg.DeleteDelay, MaxReply: ngserver.MaxReply,
	}, level: n.levelNow, statistics: Inspect(n).snapshot}
	budget := time.Duration(0) // ngserver's own
	if cfg.Link != nil {
		budget = CommandBudget
	}
	server, err := ngserver.Listen(ngserver.Config{
		Listen: cfg.Listen, Floating: cfg.ListenFloat, ControlTOS: cfg.ControlTOS, Handler: n.commands, Logger: n.log, Clock: n.clock, Budget: budget,
		Observe: n.counters.Command, Trace: n.tracer(), Templates: cfg.Templates,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for NG commands: %w", err)
	}
	n.server = server
	if n.cfg.OrphanTimeout <= 0 {
		n.cfg.OrphanTimeout = time.Minute
	}
	n.owners = &owners{self: cfg.ID, interfaces: cfg.Interfaces, orphanTimeout: n.cfg.OrphanTimeout}
	n.capacity.most, n.capacity.tally = cfg.MaxSessions, &n.tally
	n.calls = newCalls(n)
	n.commands.calls = n.calls
	n.tally = tally{node: n.id, log: n.log, owners: n.owners, counters: n.counters, relaying: &n.calls.relaying, takenOver: cfg.TakenOver}
	if cfg.Link != nil {
		n.floats = newFloatDriver(n, cfg.Floats)
		if n.peers, err = newMembership(n, cfg); err != nil {
			server.Close()
			return nil, err
		}
		n.owners.peers, n.owners.floats = n.peers, n.floats
		n.calls.peers, n.calls.floats = n.peers, n.floats
		n.regions = newRegionDriver(n, cfg)
		n.commands.regions = n.regions
	}
	return n, nil
}

// Run folds the log, takes the node's calls up again, and then answers commands until ctx ends. It closes the NG sockets;
// journal and engine stay the caller's.
func (n *Node) Run(ctx context.Context) error {
	defer n.server.Close()
	ctx, end := n.handingOver(ctx)
	defer end()
	n.unlogged.Open(n.cfg.UnloggedDir, n.cfg.ServeUnlogged)
	defer n.unlogged.Close()
	g, ctx := errgroup.WithContext(ctx)
	if n.peers != nil {
		if err := n.peers.Claim(ctx); err != nil {
			return err
		}
		g.Go(func() error { return n.peers.Run(ctx, n.floats.Run) })
		if n.regions != nil {
			g.Go(func() error { return n.regions.Run(ctx) })
		}
	}
	g.Go(func() error {
		return n.journal.Follow(ctx, 1, embed.Follower{
			Entry: func(in embed.Entry) {
				if n.calls.backlog.Load() {
					n.calls.collect(in.Key, replica.Entry{Seq: in.Seq, Data: in.Data})
				} else {
					n.calls.deliver(in.Key, replica.Entry{Seq: in.Seq, Data: in.Data})
				}
				n.journal.followed.Store(in.Seq)
				if n.journal.away.Load() != 0 {
					n.unlogged.Rouse()
				}
			},
			Gap: func(from, to uint64) {
				g.Go(func() error { n.calls.compare(ctx, from, to); return nil })
			},
			GapAfter: n.cfg.KeepEnded / 2, // what ended since may have been retired
			Pace:     followPace,
			CaughtUp: func(uint64) {
				n.calls.resume()
				g.Go(func() error { return n.serve(ctx) })
				g.Go(func() error { return n.sweep(ctx) })
				g.Go(func() error { return publisher{n.calls}.publish(ctx) })
			},
		})
	})
	g.Go(func() error { return n.journal.Archive(ctx) })
	g.Go(func() error { return reports{n.calls}.learn(ctx) })
	g.Go(func() error { return reports{n.calls}.rollOver(ctx) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

// serve answers commands until ctx ends. Before it meets the other nodes, and hears whether its region was adopted meanwhile.
func (n *Node) serve(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	if n.peers != nil {
		n.stage.Store(stageMeeting)
		if err := n.peers.Meet(ctx); err != nil {
			return err
		}
		if !n.peers.Accompanied() { // else the others have heard what there is to hear
			n.regions.AwaitReturn(ctx)
		}
	}
	if n.cfg.Ready != nil {
		n.cfg.Ready(n)
	}
	n.stage.Store(stageServing)
	stop, err := n.regions.TakeCommands(ctx)
	if err != nil {
		return fmt.Errorf("cannot listen for the commands of other regions: %w", err)
	}
	defer n.stage.Store(stageEnding)
	defer stop()
	return n.server.Serve(ctx)
}

// errEnded ends a node that has nothing more to do.
var errEnded = errors.New("the node has ended")

// ID is the name of the node.
func (n *Node) ID() string { return n.id }

// OwnCalls counts the live calls that this node carries.
func (n *Node) OwnCalls() int64 { return n.tally.own() }

// Addrs are the addresses on which NG commands are answered.
func (n *Node) Addrs() []string {
	var out []string
	for _, a := range n.server.Addrs() {
		out = append(out, a.String())
	}
	return out
}
