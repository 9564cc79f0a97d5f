package floats_test

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/keeper"
	driver "rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/cmd/rtpjet/node/notetest"
	"rtpjet/embed"
	"rtpjet/projection/floats"
	"rtpjet/relay/plan"
)

// one and two are floating addresses.
const (
	one = "192.0.2.100"
	two = "192.0.2.101"
)

func ownerOf(id string) string { return "float." + id }

func table(addr string) *plan.Interfaces {
	a := netip.MustParseAddr(addr)
	t, err := plan.NewInterfaces([]plan.Interface{{Name: "pub", Addr: a, Advertised: a, Ports: plan.PortRange{Min: 30000, Max: 39999}}}, nil)
	if err != nil {
		panic(err)
	}
	return t
}

// fakeKeeper notes what it is told and reports what a test says.
type fakeKeeper struct {
	notetest.Journal
	name    string
	reports chan keeper.Report
	moved   func(float, to string) (string, error)
	once    sync.Once
}

func newKeeper(name string) *fakeKeeper {
	return &fakeKeeper{name: name, reports: make(chan keeper.Report)}
}

var keeperAddr = netip.MustParseAddrPort("192.0.2.1:4000")

func (k *fakeKeeper) Addr() netip.AddrPort          { return keeperAddr }
func (k *fakeKeeper) Runs() []string                { return []string{k.name} }
func (k *fakeKeeper) Reports() <-chan keeper.Report { return k.reports }
func (k *fakeKeeper) Err() error                    { return keeper.ErrEnded }
func (k *fakeKeeper) Begin(run uint64) error        { k.Note("begin %x", run); return nil }
func (k *fakeKeeper) Alive() error                  { return nil }
func (k *fakeKeeper) Ready() error                  { k.Note("ready"); return nil }
func (k *fakeKeeper) Drain(on bool) error           { k.Note("drain %v", on); return nil }
func (k *fakeKeeper) Heard(pulse []byte) error      { k.Note("heard %s", pulse); return nil }
func (k *fakeKeeper) Close() error                  { k.once.Do(func() { close(k.reports) }); return nil }

func (k *fakeKeeper) Nodes(voters []string, peers map[string]netip.AddrPort) error {
	k.Note("nodes %v, keepers of %v", voters, slices.Sorted(maps.Keys(peers)))
	return nil
}

func (k *fakeKeeper) Warm(float string, on bool) error {
	k.Note("warm %s %v", float, on)
	return nil
}

func (k *fakeKeeper) Record(r floats.Record) error {
	k.Note("record %s %d %s", r.Float, r.Epoch, r.Holder)
	return nil
}

func (k *fakeKeeper) Move(_ context.Context, float, to string) (string, error) {
	k.Note("move %s %q", float, to)
	return k.moved(float, to)
}

// fakeHost is a node whose calls are in effect, and whose log has nothing that it does not know.
type fakeHost struct {
	notetest.Journal
	mu       sync.Mutex
	notReady bool
	calls    map[string]int64
	behind   chan struct{} // CatchUp waits until it is closed; nil: there is nothing to wait for
	headless error         // of CatchUp
	peers    map[string]netip.AddrPort
	silent   map[string]bool
}

func (h *fakeHost) Relaying() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.notReady
}

func (h *fakeHost) Calls(owner string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[owner]
}

func (h *fakeHost) Attend(_ context.Context, owner string, fresh bool) {
	h.Note("attend %s %v", owner, fresh)
}

func (h *fakeHost) CatchUp(ctx context.Context, more func() bool) error {
	if h.headless != nil || h.behind == nil {
		return h.headless
	}
	for more() {
		select {
		case <-h.behind:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (h *fakeHost) Voters() ([]string, map[string]netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{"n1"}, slices.Sorted(maps.Keys(h.peers))...), maps.Clone(h.peers)
}

func (h *fakeHost) Announce(_ context.Context, keeper netip.AddrPort) error {
	h.Note("announce %v", keeper)
	return nil
}

func (h *fakeHost) Alive(node string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.silent[node]
}

func (h *fakeHost) End(err error) { h.Note("end: %v", err) }

// fakeLink is a bucket of leases, and a bus to which nobody else listens.
type fakeLink struct {
	notetest.Journal
	mu     sync.Mutex
	leases map[string]embed.Lease
	rev    uint64
	cut    bool
	listen func(embed.Msg)
}

func (l *fakeLink) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.cut
}

func (l *fakeLink) Publish(tokens string, data []byte) error {
	l.Note("%s %s", tokens, data)
	return nil
}

func (l *fakeLink) Subscribe(_ string, f func(embed.Msg)) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listen = f
	return func() { l.Note("unsubscribed") }, nil
}

func (l *fakeLink) GetLease(_ context.Context, key string) (embed.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases[key], nil
}

func (l *fakeLink) PutLease(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return 0, embed.ErrUnavailable
	}
	if l.leases[key].Revision != revision {
		return 0, embed.ErrConflict
	}
	l.rev++
	l.leases[key] = embed.Lease{Key: key, Value: value, Revision: l.rev}
	return l.rev, nil
}

// put is another node's write.
func (l *fakeLink) put(r floats.Record) embed.Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rev++
	lease := embed.Lease{Key: floats.RecordPrefix + r.Float, Value: r.Encode(), Revision: l.rev}
	l.leases[lease.Key] = lease
	return lease
}

func (l *fakeLink) record(t *testing.T, id string) floats.Record {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.leases[floats.RecordPrefix+id]
	if lease.Revision == 0 {
		return floats.Record{}
	}
	r, err := floats.DecodeRecord(lease.Value)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// world is a driver of node n1 that can hold one and two, with all that is around it.
type world struct {
	t *testing.T
	*driver.Driver
	k     *fakeKeeper // the one that runs; nil: none did
	host  *fakeHost
	link  *fakeLink
	moves notetest.Journal
	log   strings.Builder
}

// start runs a driver in a bubble, in which time passes as soon as nobody has anything to do, until f returns.
func start(t *testing.T, change func(*driver.Config, *world), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, host: &fakeHost{calls: map[string]int64{}, silent: map[string]bool{}}, link: &fakeLink{leases: map[string]embed.Lease{}}}
		w.k = newKeeper("first")
		cfg := driver.Config{
			Node: "n1", Own: []driver.Own{{ID: one, Interfaces: table(one)}, {ID: two, Interfaces: table(two)}},
			Host: w.host, Link: w.link, Keeper: w.k, Clock: time.Now, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
			Moved: func(float, why string, silence time.Duration) { w.moves.Note("%s %s %v", float, why, silence) },
		}
		if change != nil {
			change(&cfg, w)
		}
		w.Driver = driver.New(cfg)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx, 7) }()
		synctest.Wait()
		f(w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the driver ended with %v", err)
		}
		if held := w.Held(); len(held) > 0 {
			t.Errorf("the driver has ended and holds %d floats", len(held))
		}
		if got := w.link.Take(); !slices.Contains(got, "unsubscribed") {
			t.Errorf("the driver listens yet: %q", got)
		}
	})
}

// says has the keeper report states, and waits until all is done that follows at once.
func (w *world) says(states ...floats.State) {
	w.k.reports <- keeper.Report{States: states}
	synctest.Wait()
}

// holds is the state of a float that this node holds.
func holds(id string, epoch uint64) floats.State {
	return floats.State{Float: id, Epoch: epoch, Holder: "n1", Live: true, Hold: true, Keep: true, Why: "free", Silence: 41_000}
}

// elsewhere is the state of a float that another node holds.
func elsewhere(id, holder string, epoch uint64) floats.State {
	return floats.State{Float: id, Epoch: epoch, Holder: holder, Live: true}
}

func (w *world) want(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}
