package peers

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/node/internal/tasks"
	"rtpjet/embed"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// Link is what a node needs of NATS beside the log: the bucket of leases, and messages between the nodes. *embed.Log is one.
type Link interface {
	Connected() bool
	Publish(tokens string, data []byte) error
	Subscribe(tokens string, f func(embed.Msg)) (stop func(), err error)
	Request(ctx context.Context, tokens string, data []byte) ([]byte, error)

	GetLease(ctx context.Context, key string) (embed.Lease, error)
	PutLease(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// KeepReplicas keeps the streams on as many servers as there are for them.
	KeepReplicas(ctx context.Context) error
	FollowLeases(ctx context.Context, entry func(lease embed.Lease, deleted bool), caughtUp func()) error
}

// Load is how much a node has to do, and how much more it takes.
type Load struct {
	Calls    int64 // live ones that the node carries
	Room     int64 // how many more it takes; -1: as many as its ports allow
	Draining bool  // it takes no new ones
	// Unlogged says that the log is away, and that the node serves its calls without it.
	Unlogged bool
}

// takesNew tells whether a new call may come.
func (l Load) takesNew() bool { return !l.Draining && l.Room != 0 }

// Host is what a membership needs of its node. Its methods are safe for concurrent use.
type Host interface {
	// Load tells how much the node has to do now.
	Load() Load
	// Reserve opens sockets for a call of this node, or of the floating address that it holds: one, or an even port and the next. They
	// stay open until an event names them, or Release gives them back, or at until (µs of Unix time) the log names them in no event. An
	// error that matches [ErrMoved] says that calls of that owner are not carried here.
	Reserve(r Reservation, until int64) ([]netip.AddrPort, error)
	// Release closes those of the sockets that were reserved for the call and are named in no event.
	Release(key string, ports []netip.AddrPort)
	// Stats is what a socket has counted; false if it is not open here.
	Stats(local netip.AddrPort) (plan.Stats, bool)
	// Deliver hands over an event of a call that this node carries, or may have to carry next, ahead of the log's stream. await returns
	// once the event is in effect; nil: it is. If ok is false, the event has to wait for the stream.
	Deliver(e Event) (await func(), ok bool)
	// NodesChanged says that the lease of a node, or what it says, is another one.
	NodesChanged()
	// OtherLease says that a lease has changed, or was deleted, that is not a node's: a floating address's, or a region's.
	OtherLease(lease embed.Lease, deleted bool)
}

// Config is what makes a membership. What it has of slices and tables must not change any more.
type Config struct {
	Node       string // this node
	Zone       string // where it is; may be empty
	Interfaces *plan.Interfaces
	NG         []string       // where NG commands are answered
	Keeper     netip.AddrPort // where its keeper of floating addresses hears others; invalid if there is none
	ClusterKey []byte         // proves heartbeats by UDP; may be empty
	SealKeys   [][]byte       // of secrets in the log, the first one in use; none: they are not sealed
	// Timeout is how long a node must be silent on both paths to be gone. 0: DefaultTimeout.
	Timeout time.Duration
	// OrphanTimeout is how long calls live whose owner is gone.
	OrphanTimeout time.Duration
	// CommandBudget is how long a command may take: longer than from a reservation to the event that names its sockets.
	CommandBudget time.Duration
	Host          Host
	Link          Link
	Operators     admin.Server // answers operators
	Clock         func() time.Time
	Logger        *slog.Logger
}

// Times of the cluster.
const (
	// BeatEvery is the time between two heartbeats.
	BeatEvery = 100 * time.Millisecond
	// DefaultTimeout is how long a node must be silent on both paths to be gone. A command that needs the owner waits for
	// the verdict, and its client waits for 1 s; a busy machine may hold a process up for a few hundred ms.
	DefaultTimeout = 600 * time.Millisecond
	// leaveTime bounds the goodbye of a node that ends.
	leaveTime = 300 * time.Millisecond
	// reclaimTime bounds the writing of a lease that was lost.
	reclaimTime = 10 * time.Second
	// maxSkew is how far a node's clock may be off.
	maxSkew = 5 * time.Second
	// warnEvery spaces repeated warnings.
	warnEvery = time.Minute
)

// Membership is a node's place among its peers: its lease, and what it knows of the others. Its methods are safe for concurrent use.
type Membership struct {
	cfg   Config
	id    string // of this node
	host  Host
	link  Link
	log   *slog.Logger
	start time.Time // the table's clock counts from here
	udp   beatPath

	mu     sync.Mutex
	table  *members.Table
	leases map[string]peerLease // of the others, by node
	mine   members.Lease
	rev    uint64 // of mine
	warned map[string]time.Time
	endErr error // why the node must end

	epoch      atomic.Uint64 // of mine
	reclaiming atomic.Bool   // mine is written again
	reclaims   chan struct{} // has it written again
	seen       chan struct{} // closed when the leases that were there at the start are known
	listening  chan struct{} // closed when the requests of peers are answered
	ended      chan struct{} // closed when endErr is set
	awaits     tasks.Group   // wait for events to be in effect: the next event must not
}

// peerLease is what the bucket says of a node.
type peerLease struct {
	members.Lease
	rev   uint64 // 0: somebody deleted it
	table *plan.Interfaces
}

// beatPath carries heartbeats between nodes beside NATS. Its methods are safe for concurrent use.
type beatPath interface {
	// addr is where this node hears the others.
	addr() netip.AddrPort
	// send sends a beat to peers and returns those whose machine refused the last one.
	send(data []byte, peers map[string]netip.AddrPort) (refused []string)
	// sendTo sends a beat to one peer that beats were sent to before, and tells whether its machine refused the last one.
	sendTo(id string, data []byte) (refused bool)
	// receive hands each beat of the cluster to f until ctx ends.
	receive(ctx context.Context, f func(data []byte)) error
	close()
}

// New makes a membership and opens the socket on which it hears heartbeats, on the first media address. Claim begins it, and Run keeps it.
func New(cfg Config) (*Membership, error) {
	udp, err := newBeatSockets(cfg.Interfaces.All()[0].Addr, cfg.ClusterKey)
	if err != nil {
		return nil, err
	}
	return newMembership(cfg, udp), nil
}

func newMembership(cfg Config, udp beatPath) *Membership {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	m := &Membership{
		cfg: cfg, id: cfg.Node, host: cfg.Host, link: cfg.Link, log: cfg.Logger, start: time.Now(), udp: udp,
		leases: make(map[string]peerLease), warned: make(map[string]time.Time),
		reclaims: make(chan struct{}, 1), seen: make(chan struct{}), listening: make(chan struct{}), ended: make(chan struct{}),
	}
	m.table = members.New(members.Config{
		Self: m.id, Silence: cfg.Timeout.Microseconds(), Beat: BeatEvery.Microseconds(),
	}, m.now())
	m.table.Locate(m.id, cfg.Zone, cfg.Interfaces)
	return m
}

// now is the time of the table's clock, which does not jump.
func (m *Membership) now() int64 { return time.Since(m.start).Microseconds() }

// wall is the time of day, µs of Unix time.
func (m *Membership) wall() int64 { return m.cfg.Clock().UnixMicro() }

// Run keeps the node a member until ctx ends, and says goodbye then. Beside it runs what only a member may do: meanwhile, for as long;
// epoch is that of the claim. Run returns an error if the node has lost its name to another process, or [Membership.End] was called.
func (m *Membership) Run(ctx context.Context, meanwhile func(ctx context.Context, epoch uint64) error) error {
	g, ctx := errgroup.WithContext(ctx)
	unsubscribe, err := m.link.Subscribe("beat", func(msg embed.Msg) { m.hearBeat(members.NATS, msg.Data) })
	if err != nil {
		m.udp.close()
		return fmt.Errorf("cannot listen for heartbeats: %w", err)
	}
	defer unsubscribe()
	epoch := m.epoch.Load()
	g.Go(func() error { return m.followLeases(ctx) })
	g.Go(func() error { return m.reclaimer(ctx) })
	g.Go(func() error { return m.serve(ctx) })
	g.Go(func() error { return m.beat(ctx) })
	g.Go(func() error { return m.link.KeepReplicas(ctx) })
	g.Go(func() error {
		return m.udp.receive(ctx, func(data []byte) { m.hearBeat(members.UDP, data) })
	})
	g.Go(func() error { return meanwhile(ctx, epoch) })
	defer m.awaits.End()
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-m.ended:
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.endErr
		}
	})
	return g.Wait()
}

// End has Run return an error for the operator; the first one counts.
func (m *Membership) End(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endLocked(err)
}

func (m *Membership) endLocked(err error) {
	if m.endErr == nil {
		m.endErr = err
		close(m.ended)
	}
}

// Meet returns once it is known who the peers are and that this node fits to them, and they are answered, as is another process
// that wants the name of this node: before it answers commands.
func (m *Membership) Meet(ctx context.Context) error {
	for _, ready := range []chan struct{}{m.seen, m.listening} {
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
		}
	}
	return m.checkClock(ctx)
}

// checkClock refuses a clock that is far from those of the others, at the start: the times in events would be wrong.
func (m *Membership) checkClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*BeatEvery)
	defer cancel()
	tick := time.NewTicker(BeatEvery / 2)
	defer tick.Stop()
	for m.expectsBeats() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		off, near := 0, 0
		var worst members.Peer
		for _, p := range m.Peers() {
			switch {
			case p.Heard[members.NATS] < 0:
			case time.Duration(p.Skew)*time.Microsecond > maxSkew || time.Duration(p.Skew)*time.Microsecond < -maxSkew:
				off, worst = off+1, p
			default:
				near++
			}
		}
		if off+near > 0 {
			if off > near {
				return fmt.Errorf("the clock of this machine is %v off from that of node %s: set the clocks (NTP), and start again",
					(time.Duration(worst.Skew) * time.Microsecond).Abs().Round(time.Second), worst.Node)
			}
			return nil
		}
	}
	return nil
}

// expectsBeats tells whether there is a peer that should be heard.
func (m *Membership) expectsBeats() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.leases {
		if l.State == members.Up {
			return true
		}
	}
	return false
}

// warnLocked tells whether a warning is due again.
func (m *Membership) warnLocked(key string) bool {
	if now := time.Now(); now.Sub(m.warned[key]) >= warnEvery {
		m.warned[key] = now
		return true
	}
	return false
}
