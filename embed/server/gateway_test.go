package server

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/server/natsinternal"
	"rtpjet/tests/lab"
)

// gatewayDelay is the way between two regions, one way: that of an ocean.
const gatewayDelay = 40 * time.Millisecond

// gatewayPatience is how long a server that was started gets for its first append.
const gatewayPatience = 15 * time.Second

// gatewayServer is the only server of a region, in one form or the other.
type gatewayServer struct {
	region string
	opts   *server.Options // gateways; nil: ours
	cfg    Config          // leaf nodes
	ns     *server.Server
	ours   *Server
}

func (g *gatewayServer) start(t *testing.T) {
	t.Helper()
	if g.opts == nil {
		s, err := Start(t.Context(), g.cfg)
		if err != nil {
			t.Fatal(err)
		}
		g.ours = s
		return
	}
	ns, err := server.NewServer(g.opts.Clone())
	if err != nil {
		t.Fatal(err)
	}
	g.ns = ns
	ns.Start()
	eventually(t, g.region+" is ready", func() bool { return ns.ReadyForConnections(time.Millisecond) })
}

func (g *gatewayServer) stop() {
	if g.ours != nil {
		g.ours.Shutdown()
	}
	if g.ns != nil {
		g.ns.Shutdown()
		g.ns.WaitForShutdown()
	}
}

func (g *gatewayServer) connect(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	var nc *nats.Conn
	var err error
	if g.ours != nil {
		nc, err = g.ours.Connect()
	} else {
		nc, err = nats.Connect("", nats.InProcessServer(g.ns))
	}
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// gatewayRegions are three regions of one server each, and the wires of each.
func gatewayRegions(t *testing.T, gateways bool) ([]*gatewayServer, map[string][]*wire) {
	t.Helper()
	regions := []string{"eu", "us", "ap"}
	cfgs := regionConfigs(t, 1, regions...)
	wires := map[string][]*wire{}
	var list []*gatewayServer
	for _, name := range regions {
		cfg := cfgs[name][0]
		cfg.NodeID = name + "1"
		host, _, _ := strings.Cut(cfg.RegionListen, ":")
		g := &gatewayServer{region: name}
		opts := &server.Options{
			ServerName: cfg.NodeID, JetStream: true, StoreDir: cfg.StoreDir, NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
			Host: host, Port: 4222, Routes: []*url.URL{{Scheme: "nats", Host: host + ":6222"}}, Cluster: server.ClusterOpts{Name: name, Host: host, Port: 6222},
			// The others are told of an address where nobody is, or they would pass the wires by.
			Gateway: server.GatewayOpts{Name: name, Host: host, Port: 7422, Advertise: testHost() + ":7422"},
		}
		for i, p := range cfg.Peers {
			w := newWire(t, testHost()+":7422", p.URLs[0], gatewayDelay)
			wires[name], wires[p.Name] = append(wires[name], w), append(wires[p.Name], w)
			cfg.Peers[i].URLs = []string{w.addr}
			opts.Gateway.Gateways = append(opts.Gateway.Gateways, &server.RemoteGatewayOpts{
				Name: p.Name, URLs: []*url.URL{{Scheme: "nats", Host: w.addr}},
			})
		}
		if g.cfg = cfg; gateways {
			g.opts = opts
		}
		list = append(list, g)
	}
	natsinternal.ShortRaftTimers()
	done := make(chan bool)
	for _, g := range list {
		go func() { g.start(t); done <- true }()
	}
	for range list {
		<-done
	}
	t.Cleanup(func() {
		for _, g := range list {
			go func() { g.stop(); done <- true }()
		}
		for range list {
			<-done
		}
	})
	return list, wires
}

// tried is how long something took, or that it did not happen.
func tried(t *testing.T, n int, f func(ctx context.Context, i int) error) string {
	var took []time.Duration
	for i := range n {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		start := time.Now()
		err := f(ctx, i)
		cancel()
		if err != nil {
			return "no: " + err.Error()
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	round := time.Microsecond
	if took[n/2] > 10*time.Millisecond {
		round = time.Millisecond
	}
	if n < 5 {
		return took[n-1].Round(round).String()
	}
	return fmt.Sprintf("p50 %v, p99 %v", took[n/2].Round(round), took[n*99/100].Round(round))
}

// gatewayTable does what a region does, and says how long it takes.
type gatewayTable struct {
	rows []string
	got  map[string][]string
}

func (g *gatewayTable) add(row, value string) {
	if !slices.Contains(g.rows, row) {
		g.rows = append(g.rows, row)
	}
	g.got[row] = append(g.got[row], value)
}

func (g *gatewayTable) fill(t *testing.T, gateways bool) {
	list, wires := gatewayRegions(t, gateways)
	home := list[0]
	if gateways { // the region whose server does not lead the list of streams
		leader := ""
		eventually(t, "a list of streams for all", func() bool {
			for _, s := range list {
				meta := metaOf(s.ns)
				if meta == nil || meta.Leader == "" || meta.Size < 3 {
					return false
				}
				leader = meta.Leader
			}
			return true
		})
		home = list[slices.IndexFunc(list, func(s *gatewayServer) bool { return s.cfg.NodeID != leader })]
	} else {
		eventually(t, "connected", func() bool { up, _ := home.ours.RegionLink("us"); return up })
	}
	nc, js := home.connect(t)
	defer func() { nc.Close() }() // the one that is there then
	sc := jetstream.StreamConfig{Name: "CALLS", Subjects: []string{"calls.>"}}
	kc := jetstream.KeyValueConfig{Bucket: "LEASES"}
	if gateways {
		sc.Placement, kc.Placement = &jetstream.Placement{Cluster: home.region}, &jetstream.Placement{Cluster: home.region}
	}
	eventually(t, "streams", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := js.CreateOrUpdateStream(ctx, sc)
		if err == nil {
			_, err = js.CreateOrUpdateKeyValue(ctx, kc)
		}
		return err == nil
	})
	seen := 0
	all := func(when string, n int) {
		g.add("append, "+when, tried(t, 20*n, func(ctx context.Context, i int) error {
			_, err := js.Publish(ctx, "calls.k", []byte("x"))
			return err
		}))
		g.add("write of a lease, "+when, tried(t, 20*n, func(ctx context.Context, i int) error {
			_, err := js.Publish(ctx, "$KV.LEASES.node.n1", []byte("x"))
			return err
		}))
		g.add("read of an entry, "+when, tried(t, n, func(ctx context.Context, i int) error {
			s, err := js.Stream(ctx, "CALLS")
			if err == nil {
				_, err = s.GetMsg(ctx, 1)
			}
			return err
		}))
		g.add("a new consumer, "+when, tried(t, n, func(ctx context.Context, i int) error {
			_, err := js.CreateConsumer(ctx, "CALLS", jetstream.ConsumerConfig{MemoryStorage: true, InactiveThreshold: time.Minute})
			return err
		}))
		g.add("a new stream, "+when, tried(t, n, func(ctx context.Context, i int) error {
			seen++
			more := sc
			more.Name, more.Subjects = fmt.Sprint("MORE", seen), []string{fmt.Sprint("more", seen)}
			_, err := js.CreateStream(ctx, more)
			return err
		}))
	}
	all("all connected", 20)
	for _, w := range wires[home.region] {
		w.cut()
	}
	// A list of streams without quorum is noticed as such a second later; a new consumer then fails.
	if gateways {
		eventually(t, "the loss of the others", func() bool { meta := metaOf(home.ns); return meta == nil || meta.Leader == "" })
	} else {
		eventually(t, "the loss of the others", func() bool { up, _ := home.ours.RegionLink("us"); return !up })
	}
	all("cut off", 5)
	nc.Close()
	home.stop()
	start := time.Now()
	home.start(t)
	g.add("start of the server, cut off", time.Since(start).Round(time.Millisecond).String())
	nc, js = home.connect(t)
	for end := time.Now().Add(gatewayPatience); time.Now().Before(end); { // what does not go at once may go later
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := js.Publish(ctx, "calls.k", []byte("x"))
		cancel()
		if err == nil {
			break
		}
	}
	all("cut off, after that start", 5)
}

// TestGateways prints, with -v, what a region can do, and how fast, if regions are joined by leaf nodes, as they are, and what it would
// be with gateways: see docs/regions.md. Only what is said there of a region that is cut off is asserted.
func TestGateways(t *testing.T) {
	lab.Only(t, "half a minute")
	g := &gatewayTable{got: map[string][]string{}}
	g.fill(t, false)
	if testing.Verbose() { // it takes half a minute, and is no news
		g.fill(t, true)
	}
	t.Logf("%v one way between regions", gatewayDelay)
	for _, row := range g.rows {
		t.Logf("| %s | %s |", row, strings.Join(g.got[row], " | "))
		if leaf := g.got[row][0]; strings.HasPrefix(leaf, "no: ") {
			t.Errorf("%s: %s", row, leaf)
		}
	}
}
