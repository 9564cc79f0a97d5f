package node_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/cmd/rtpjet/node"
	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay"
	"rtpjet/relay/plan"
)

// clock is the real time plus what a test has added.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// fault is what a disturbed log does with an append instead of its work; ok false lets the append through.
type fault func(ctx context.Context, key string, last uint64, data []byte) (seq uint64, err error, ok bool)

// journal is the log of a node with switches to disturb it.
type journal struct {
	*embed.Log
	fault   atomic.Pointer[fault]
	appends atomic.Int64
	blind   atomic.Bool // Head fails
}

func (j *journal) Append(ctx context.Context, key string, last uint64, data []byte) (uint64, error) {
	j.appends.Add(1)
	if f := j.fault.Load(); f != nil {
		if seq, err, ok := (*f)(ctx, key, last, data); ok {
			return seq, err
		}
	}
	return j.Log.Append(ctx, key, last, data)
}

func (j *journal) disturb(f fault) { j.fault.Store(&f) }
func (j *journal) heal()           { j.fault.Store(nil) }

// store is an embedded log, which outlives the nodes that use it.
type store struct {
	t      testing.TB
	dir    string
	server *server.Server
	nc     *nats.Conn
	log    *embed.Log
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

const region = "test"

func newStore(t testing.TB) *store {
	t.Helper()
	s := &store{t: t, dir: t.TempDir()}
	var err error
	if s.server, err = server.Start(t.Context(), server.Config{
		NodeID: "n1", Region: region, StoreDir: s.dir, Logger: quiet(),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.server.Shutdown)
	nc, err := s.server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	open := openStore(t, nc)
	s.nc, s.log = open.nc, open.log
	return s
}

// openStore opens the log on a connection, which it closes at the end of the test.
func openStore(t testing.TB, nc *nats.Conn) *store {
	t.Helper()
	t.Cleanup(nc.Close)
	l, err := embed.Open(t.Context(), nc, embed.Config{Region: region, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	t.Cleanup(func() { rerunLog(t, l) })
	return &store{t: t, nc: nc, log: l}
}

// natsElsewhere runs a NATS server that is no node's own.
func natsElsewhere(t testing.TB, host netip.Addr, dir string) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), server.Config{
		NodeID: "nats", Region: region, StoreDir: dir, Listen: host.String() + ":4222", Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// connectStore opens the log of a NATS elsewhere.
func connectStore(t testing.TB, s *server.Server) *store {
	t.Helper()
	nc, err := embed.Connect(t.Context(), "n1", []string{s.URL()}, embed.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	return openStore(t, nc)
}

// last is the sequence of the last entry of the stream.
func (s *store) last() uint64 {
	s.t.Helper()
	js, err := jetstream.New(s.nc)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.Stream(s.t.Context(), "CALLS_"+region)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// mark appends an event of a call that never was, and returns its sequence: what a node that has ended had sent off before it gave
// up is in the stream by then.
func (s *store) mark() uint64 {
	s.t.Helper()
	data, err := events.Encode(events.Envelope{Call: "a mark", Gen: 1, Node: "nobody", Event: events.Ended{Reason: events.ReasonDeleted}})
	if err != nil {
		s.t.Fatal(err)
	}
	seq, err := s.log.Append(s.t.Context(), events.Key("a mark"), 0, data)
	if err != nil {
		s.t.Fatal(err)
	}
	return seq
}

// events are all events of a call.
func (s *store) events(id string) []events.Envelope { return eventsOf(s.t, s.log, id) }

func eventsOf(t testing.TB, l *embed.Log, id string) []events.Envelope {
	t.Helper()
	entries, err := l.History(t.Context(), events.Key(id))
	if err != nil {
		t.Fatal(err)
	}
	var out []events.Envelope
	for _, in := range entries {
		env, err := events.Decode(in.Data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, env)
	}
	return out
}

// testNode is a node in this process.
type testNode struct {
	*ng
	*store
	node    *node.Node
	engine  relay.Engine
	journal *journal
	clock   *clock
	addr    string
	host    netip.Addr
	stop    func()
}

// settings are what tests change of a node.
type settings struct {
	node.Config
	store *store
	host  netip.Addr
	more  []plan.Interface
	rest  time.Duration
	ports plan.PortRange
	ready chan struct{}
	wrap  func(relay.Engine) relay.Engine
}

const firstPort, lastPort = 30000, 30999

// startNode runs a node until the end of the test, or until stop is called.
func startNode(t testing.TB, change ...func(*settings)) *testNode {
	t.Helper()
	n := &testNode{clock: &clock{}}
	s := &settings{rest: -1, ready: make(chan struct{}), ports: plan.PortRange{Min: firstPort, Max: lastPort}}
	s.Config = node.Config{
		ID: "n1",
		Timeouts: projection.Timeouts{
			Media: time.Minute.Microseconds(), Silent: time.Hour.Microseconds(), Offer: time.Hour.Microseconds(),
		},
		DeleteDelay: 30, MaxSessions: -1, InstanceID: "0123456789ab", KeepEnded: time.Minute,
		Logger: quiet(), Clock: n.clock.now,
	}
	for _, f := range change {
		f(s)
	}
	if s.store == nil {
		s.store = newStore(t)
	}
	if !s.host.IsValid() {
		s.host = newHost()
	}
	n.store, n.host = s.store, s.host
	interfaces := append([]plan.Interface{{Name: "main", Addr: s.host, Advertised: s.host}}, s.more...)
	var pools []relay.Pool
	for i := range interfaces {
		interfaces[i].Ports = s.ports
		pools = append(pools, relay.Pool{Addr: interfaces[i].Addr, Min: s.ports.Min, Max: s.ports.Max})
	}
	table, err := plan.NewInterfaces(interfaces, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n.engine, err = relay.New(relay.Config{Pools: pools, Loops: 2, PortRest: s.rest, Logger: quiet()}); err != nil {
		t.Fatal(err)
	}
	n.journal = &journal{Log: s.store.log}
	if s.Engine == nil {
		s.Engine = n.engine
	}
	n.engine = s.Engine
	if s.wrap != nil {
		s.Engine = s.wrap(n.engine)
	}
	if s.Journal == nil {
		s.Journal = n.journal
	}
	s.Interfaces, s.Listen = table, []string{netip.AddrPortFrom(s.host, 2223).String()}
	s.Ready = func(*node.Node) { close(s.ready) }
	if n.node, err = node.New(s.Config); err != nil {
		t.Fatal(err)
	}
	n.addr = n.node.Addrs()[0]
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.node.Run(ctx) }()
	var once sync.Once
	n.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("the node ended with an error: %v", err)
				}
			case <-time.After(patience):
				t.Error("the node does not end")
			}
			_ = n.engine.Close()
		})
	}
	t.Cleanup(n.stop)
	select {
	case <-s.ready:
	case err := <-done:
		done <- err
		t.Fatalf("the node ended at its start: %v", err)
	case <-time.After(patience):
		t.Fatal("the node does not get ready")
	}
	n.ng = dial(t, n.addr)
	return n
}

// idle expects that no port is in use.
func (n *testNode) idle() {
	n.ng.t.Helper()
	eventually(n.ng.t, "ports are not free", func() error {
		tot := n.engine.Totals()
		if tot.Calls != 0 || tot.Streams != 0 {
			return errNotYet
		}
		for _, p := range tot.Pools {
			if p.Used != 0 {
				return errNotYet
			}
		}
		return nil
	})
}

// inUse is how many ports are taken.
func (n *testNode) inUse() int {
	sum := 0
	for _, p := range n.engine.Totals().Pools {
		sum += p.Used
	}
	return sum
}

// engineAwait returns once the relay has taken in so many packets on a socket.
func (n *testNode) engineAwait(local netip.AddrPort, packets uint64) {
	n.ng.t.Helper()
	eventually(n.ng.t, "packets were not taken in", func() error {
		st, _ := n.engine.Stats(local)
		return when(st.In.Packets >= packets)
	})
}

func kindOf(env events.Envelope) events.Kind { return events.KindOf(env.Event) }
