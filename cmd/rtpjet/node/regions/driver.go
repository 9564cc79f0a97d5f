package regions

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/cmd/rtpjet/node/internal/pause"
	"rtpjet/cmd/rtpjet/node/internal/tasks"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// Host is what a driver needs of its node. Its methods are safe for concurrent use. A call is given by the key of its call-id
// ([events.Key]).
type Host interface {
	// State tells how the node is.
	State() State
	// Handle carries out a command for a call of this region.
	Handle(ctx context.Context, m *ng.Message) ng.Reply
	// Call tells what the node knows of a call, without a question to anybody.
	Call(key string) Call
	// Look is Call, and if the call does not live as far as the node knows, what the log says of it. An error says that the log does
	// not answer; the Call is then what the node knows. First is 0.
	Look(ctx context.Context, key string) (Call, error)
	// Adopt works on one call under its lock. In turns it folds what the log has of the call and asks next what it needs, and gives it an
	// owner here if that is [regions.Rehome], until next says [regions.Settled], or the log does not answer, or others have been faster
	// for some turns. why is noted with the owner. The error is that of next, or why the last turn has failed.
	Adopt(ctx context.Context, key, why string, next func(c *projection.Call) (regions.Move, error)) error
	// End ends a call if it lives, this node carries it, and which says so of it. which is called under the call's lock.
	End(ctx context.Context, key string, end events.Ended, which func(c *projection.Call) bool)
	// EndAll ends the live calls of which which says so, those that this node carries or looks after because their owner is gone. left
	// counts those that live yet: other nodes have to end them, or the log did not take the event.
	EndAll(ctx context.Context, end events.Ended, which func(c *projection.Call) bool) (left int)
}

// State is how a node is.
type State struct {
	Serving  bool   // commands are answered
	Folded   bool   // all calls are known that the log had when the node began
	Archives bool   // of the nodes of the region, this one archives
	Followed uint64 // the sequence up to which the node knows the log
	Level    int    // of events that all nodes of this region read
}

// Call is what a node knows of a call.
type Call struct {
	Known bool   // the node has heard of it; it may have ended
	Live  bool   // it lives in this region
	First uint64 // the sequence of the first event of it that has to stay in the log; 0: not known
}

// Log is what a driver needs of another region: its mirrors, which are here, and the way there. *embed.Log is one.
type Log interface {
	Since(ctx context.Context, key string, after uint64) (entries []embed.Entry, last uint64, err error)
	Follow(ctx context.Context, from uint64, f embed.Follower) error
	Append(ctx context.Context, key string, last uint64, data []byte) (uint64, error)
	Request(ctx context.Context, tokens string, data []byte) ([]byte, error)
	Hello(ctx context.Context, data []byte) ([]byte, error)
	// Trim and Retire remove entries from the mirror, which its home does not do: see [embed.Log].
	Trim(ctx context.Context, below uint64) error
	Retire(ctx context.Context, key string, upto uint64) error
	// HomeKeys asks the region which calls its stream has.
	HomeKeys(ctx context.Context) (map[string]uint64, error)
	// MirrorReplaced says why the region's streams are not those that the mirrors are of; empty: they are.
	MirrorReplaced(ctx context.Context) (why string, err error)
	// KeepMirror keeps the mirrors on as many servers as there are for them; ResetMirror makes them anew.
	KeepMirror(ctx context.Context) error
	ResetMirror(ctx context.Context) error
	Close()
}

// Region is another region of a node's configuration.
type Region struct {
	Name string
	// Open opens what there is of it here. The region need not be reachable.
	Open func(ctx context.Context) (Log, error)
	// Why says why there is no connection to it, if that is known. It may be nil.
	Why func() string
}

// Server is what a driver needs to be greeted and asked by other regions, and to adopt calls. *embed.Log is one.
type Server interface {
	SubscribeHello(f func(embed.Msg)) (stop func(), err error)
	SubscribeQueue(tokens string, f func(embed.Msg)) (stop func(), err error)
	AppendAll(ctx context.Context, key string, last uint64, list [][]byte) (uint64, error)
}

// Leases is the bucket of leases, where a region has its records of the others. *embed.Log is one.
type Leases interface {
	GetLease(ctx context.Context, key string) (embed.Lease, error)
	PutLease(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// Config is what makes a driver.
type Config struct {
	Region, Instance string // this region, and its identity
	Node             string // this node
	Peers            []Region
	Server           Server
	Leases           Leases
	Host             Host
	// Settings are those of commands that are decided here for another region; their Node and Level are not looked at.
	Settings  transact.Settings
	Templates ng.Templates
	KeepEnded time.Duration // how long the events of an ended call stay in a region's stream
	// Encode and Decode write and read events as the log has them: with their secrets sealed.
	Encode func(env events.Envelope) ([]byte, error)
	Decode func(data []byte) (events.Envelope, error)
	Clock  func() time.Time
	Logger *slog.Logger
}

// Times between regions.
const (
	// greetEvery is the time between two greetings.
	greetEvery = time.Second
	// greetTime is how long an answer to one may take.
	greetTime = 2 * time.Second
	// returnTime is how long a node that starts waits to hear whether its region was adopted meanwhile, and returnPace is how often it
	// looks.
	returnTime = 2 * time.Second
	returnPace = 20 * time.Millisecond
)

// Driver is what a node knows of the other regions, and does with them. Its methods are safe for concurrent use; those for a node that
// may have no other regions may be called on nil.
type Driver struct {
	cfg   Config
	host  Host
	self  regions.Config
	log   *slog.Logger
	start time.Time                     // the clock of the links counts from here
	peers []*peer                       // in the order of their names
	fence atomic.Pointer[regions.Fence] // what other regions have of this one's calls; nil: nothing
	tasks tasks.Group                   // the work for other regions

	mu      sync.Mutex
	records map[string]storedRecord // what this region has noted, by region
	fenced  regions.Fence           // the last one whose calls were ended
	reads   map[string]int          // what level of events each region reads that was heard, 0 if it does not say
}

// peer is one other region.
type peer struct {
	Region
	index index

	adopting sync.Mutex // held while this node adopts the region's calls; mu may be taken under it

	mu    sync.Mutex
	link  *regions.Link
	log   Log    // nil until it is open
	state string // as it was logged last
	// doubt is true if the mirror may have missed the ends of calls: it was cut off.
	doubt bool
	// mixed is true if the mirror may have entries of another region, which took this one's place.
	mixed bool
}

// New makes a driver. Run starts it.
func New(cfg Config) *Driver {
	d := &Driver{
		cfg: cfg, host: cfg.Host, log: cfg.Logger, start: time.Now(), records: make(map[string]storedRecord), reads: make(map[string]int),
		self: regions.Config{Region: cfg.Region, Instance: cfg.Instance, Format: events.Version},
	}
	for _, p := range cfg.Peers {
		d.peers = append(d.peers, &peer{Region: p, link: regions.NewLink(d.self, p.Name, ""), doubt: true})
	}
	slices.SortFunc(d.peers, func(a, b *peer) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// now is the clock of the links, µs.
func (d *Driver) now() int64 { return time.Since(d.start).Microseconds() + 1 }

// wall is the time in µs of Unix time.
func (d *Driver) wall() int64 { return d.cfg.Clock().UnixMicro() }

// qualified is how other regions name this node.
func (d *Driver) qualified() string { return regions.Qualify(d.self.Region, d.cfg.Node) }

// Run keeps up what there is with the other regions until ctx ends.
func (d *Driver) Run(ctx context.Context) error {
	defer d.tasks.End()
	undo, err := d.serve(ctx)
	defer undo()
	if err != nil {
		return fmt.Errorf("cannot listen for other regions: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range d.peers {
		g.Go(func() error { return d.runPeer(ctx, p) })
	}
	return g.Wait()
}

// runPeer opens what there is of a region, trying for ever, and follows it.
func (d *Driver) runPeer(ctx context.Context, p *peer) error {
	l, err := d.open(ctx, p)
	if err != nil {
		return nil // ctx has ended
	}
	defer l.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.greet(ctx, p, l) })
	g.Go(func() error { return d.followMirror(ctx, p, l) })
	g.Go(func() error { return d.clean(ctx, p, l) })
	g.Go(func() error { return l.KeepMirror(ctx) })
	g.Go(func() error { return d.resume(ctx, p, l) })
	return g.Wait()
}

func (d *Driver) open(ctx context.Context, p *peer) (Log, error) {
	for {
		l, err := p.Open(ctx)
		if err == nil {
			p.mu.Lock()
			p.log = l
			p.mu.Unlock()
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d.log.Warn("cannot mirror a region; trying again", "region", p.Name, "err", err)
		if !pause.For(ctx, 5*greetEvery) {
			return nil, ctx.Err()
		}
	}
}

// peer returns the peer of a name, or nil.
func (d *Driver) peer(name string) *peer {
	i := slices.IndexFunc(d.peers, func(p *peer) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return d.peers[i]
}

// reach returns the way to a region, nil if it cannot be asked now; why says so in a sentence.
func (d *Driver) reach(p *peer) (l Log, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log != nil && p.link.Reachable(d.now()) {
		return p.log, ""
	}
	return nil, p.link.Status(d.now()).Reason
}

// Status is how the other regions are, for people.
func (d *Driver) Status() []regions.Status {
	if d == nil {
		return nil
	}
	records := d.known()
	out := make([]regions.Status, 0, len(d.peers))
	for _, p := range d.peers {
		p.mu.Lock()
		s := p.link.Status(d.now())
		p.mu.Unlock()
		if s.State == regions.Connecting && p.Why != nil {
			if why := p.Why(); why != "" {
				s.Reason = why
			}
		}
		if s.Instance == "" {
			s.Instance = d.noted(p.Name).Instance
		}
		s.AdoptedBy = regions.AdopterOf(p.Name, records)
		s.Calls = p.index.live()
		out = append(out, s)
	}
	return out
}

// Level is what level of events may be written when this region reads own; who is the region that reads less, empty if none does.
func (d *Driver) Level(own int) (level int, who string) {
	if d == nil {
		return own, ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, len(d.peers))
	for i, p := range d.peers {
		names[i] = p.Name
	}
	records := make([]regions.Record, 0, len(d.records))
	for _, rec := range d.records {
		records = append(records, rec.Record)
	}
	return regions.Level(own, names, d.reads, records)
}

// noteLevel notes what level of events a region says that it reads.
func (d *Driver) noteLevel(region string, level int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads[region] = level
}
