package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
)

// RegionLog is what a node needs of another region: its mirrors, which are here, and the way there. *embed.Log is one.
type RegionLog interface {
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
	Open func(ctx context.Context) (RegionLog, error)
	// Why says why there is no connection to it, if that is known.
	Why func() string
}

// RegionServer is what a node needs to be greeted and asked by other regions. *embed.Log is one.
type RegionServer interface {
	SubscribeHello(f func(embed.Msg)) (stop func(), err error)
	SubscribeQueue(tokens string, f func(embed.Msg)) (stop func(), err error)
	AppendAll(ctx context.Context, key string, last uint64, list [][]byte) (uint64, error)
}

// Times between regions.
const (
	// greetEvery is the time between two greetings.
	greetEvery = time.Second
	// greetTime is how long an answer to one may take.
	greetTime = 2 * time.Second
	// returnTime is how long a node that starts waits to hear whether its region was adopted meanwhile.
	returnTime = 2 * time.Second
)

// regionState is what a node knows of the other regions. It is nil if there are none. Its methods are safe for concurrent use.
type regionState struct {
	n     *Node
	cfg   regions.Config
	log   *slog.Logger
	start time.Time
	peers []*regionPeer                 // in the order of their names
	fence atomic.Pointer[regions.Fence] // what other regions have of this one's calls; nil: nothing

	mu      sync.Mutex
	records map[string]storedRecord // what this region has noted, by region
	fenced  regions.Fence           // the last one that was obeyed
	greeted map[string]int          // what level of events each region reads that was heard, 0 if it does not say
}

// storedRecord is a record as the bucket has it.
type storedRecord struct {
	regions.Record
	rev uint64
}

// regionPeer is one other region.
type regionPeer struct {
	Region
	index regionIndex

	adopting sync.Mutex // held while this node adopts the region's calls; mu may be taken under it

	mu    sync.Mutex
	link  *regions.Link
	log   RegionLog // nil until it is open
	state string    // as it was logged last
	// doubt is true if the mirror may have missed the ends of calls: it was cut off.
	doubt bool
	// mixed is true if the mirror may have entries of another region, which took this one's place.
	mixed bool
}

func newRegionState(n *Node, cfg Config) *regionState {
	if len(cfg.Regions) == 0 && cfg.RegionServer == nil {
		return nil
	}
	r := &regionState{
		n: n, log: n.log, start: time.Now(), records: make(map[string]storedRecord), greeted: make(map[string]int),
		cfg: regions.Config{Region: cfg.Region, Instance: cfg.InstanceID, Format: events.Version},
	}
	for _, p := range cfg.Regions {
		r.peers = append(r.peers, &regionPeer{Region: p, link: regions.NewLink(r.cfg, p.Name, ""), doubt: true})
	}
	slices.SortFunc(r.peers, func(a, b *regionPeer) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// now is the clock of the links, µs.
func (r *regionState) now() int64 { return time.Since(r.start).Microseconds() + 1 }

// qualified is how other regions name this node.
func (r *regionState) qualified() string { return regions.Qualify(r.cfg.Region, r.n.id) }

// run keeps up what there is with the other regions until ctx ends.
func (r *regionState) run(ctx context.Context) error {
	undo, err := r.serve(ctx)
	defer undo()
	if err != nil {
		return fmt.Errorf("cannot listen for other regions: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range r.peers {
		g.Go(func() error { return r.runPeer(ctx, p) })
	}
	return g.Wait()
}

// runPeer opens what there is of a region, trying for ever, and follows it.
func (r *regionState) runPeer(ctx context.Context, p *regionPeer) error {
	l, err := r.open(ctx, p)
	if err != nil {
		return nil // ctx has ended
	}
	defer l.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.greet(ctx, p, l) })
	g.Go(func() error { return r.followMirror(ctx, p, l) })
	g.Go(func() error { return r.clean(ctx, p, l) })
	g.Go(func() error { return l.KeepMirror(ctx) })
	g.Go(func() error { return r.resume(ctx, p, l) })
	return g.Wait()
}

func (r *regionState) open(ctx context.Context, p *regionPeer) (RegionLog, error) {
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
		r.log.Warn("cannot mirror a region; trying again", "region", p.Name, "err", err)
		if !pause(ctx, 5*greetEvery) {
			return nil, ctx.Err()
		}
	}
}

// peer returns the peer of a name, or nil.
func (r *regionState) peer(name string) *regionPeer {
	if r == nil {
		return nil
	}
	i := slices.IndexFunc(r.peers, func(p *regionPeer) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return r.peers[i]
}

// reach returns the way to a region, nil if it cannot be asked now; why says so in a sentence.
func (r *regionState) reach(p *regionPeer) (l RegionLog, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log != nil && p.link.Reachable(r.now()) {
		return p.log, ""
	}
	return nil, p.link.Status(r.now()).Reason
}

// known are all records, of this region and of what the others have said, the own ones first.
func (r *regionState) known() []regions.Record {
	r.mu.Lock()
	var out []regions.Record
	for _, rec := range r.records {
		out = append(out, rec.Record)
	}
	r.mu.Unlock()
	for _, p := range r.peers {
		p.mu.Lock()
		for _, rec := range p.link.Last().Records {
			if rec.By == p.Name { // only the adopter knows that it has adopted
				out = append(out, rec)
			}
		}
		p.mu.Unlock()
	}
	return out
}

// status is how the other regions are, for people.
func (r *regionState) status() []regions.Status {
	if r == nil {
		return nil
	}
	records := r.known()
	out := make([]regions.Status, 0, len(r.peers))
	for _, p := range r.peers {
		p.mu.Lock()
		s := p.link.Status(r.now())
		p.mu.Unlock()
		if s.State == regions.Connecting && p.Why != nil {
			if why := p.Why(); why != "" {
				s.Reason = why
			}
		}
		if s.Instance == "" {
			r.mu.Lock()
			s.Instance = r.records[p.Name].Instance
			r.mu.Unlock()
		}
		s.AdoptedBy = regions.AdopterOf(p.Name, records)
		s.Calls = p.index.live()
		out = append(out, s)
	}
	return out
}

// noteLease takes a record of a region from the bucket of leases.
func (r *regionState) noteLease(name string, value []byte, rev uint64) {
	if r == nil {
		return
	}
	var rec regions.Record
	if len(value) > 0 {
		if err := json.Unmarshal(value, &rec); err != nil {
			r.log.Error("what this region has noted of another one cannot be read; it is left alone", "region", name, "err", err)
			return
		}
	}
	r.mu.Lock()
	if have := r.records[name]; rev >= have.rev {
		r.records[name] = storedRecord{rec, rev}
	}
	r.mu.Unlock()
	if p := r.peer(name); p != nil {
		p.mu.Lock()
		p.link.Know(rec.Instance)
		p.mu.Unlock()
	}
}

// record changes what this region has noted of another one, compare-and-set. change says what is wanted, or an error.
func (r *regionState) record(ctx context.Context, name string, change func(regions.Record) (regions.Record, error)) (regions.Record, error) {
	link := r.n.cfg.Link
	for {
		have, err := link.GetLease(ctx, regions.RecordKey(name))
		if err != nil {
			return regions.Record{}, fmt.Errorf("read what is noted of region %s: %w", name, err)
		}
		rec := regions.Record{Region: name}
		if have.Revision > 0 {
			if err := json.Unmarshal(have.Value, &rec); err != nil {
				return regions.Record{}, fmt.Errorf("read what is noted of region %s: %w", name, err)
			}
		}
		want, err := change(rec)
		if err != nil || want == rec && have.Revision > 0 {
			r.noteLease(name, have.Value, have.Revision)
			return rec, err
		}
		data, err := json.Marshal(want)
		if err != nil {
			return rec, fmt.Errorf("note of region %s: %w", name, err)
		}
		rev, err := link.PutLease(ctx, regions.RecordKey(name), data, have.Revision)
		if isConflict(err) {
			continue
		}
		if err != nil {
			return rec, fmt.Errorf("note of region %s: %w", name, err)
		}
		r.noteLease(name, data, rev)
		return want, nil
	}
}
