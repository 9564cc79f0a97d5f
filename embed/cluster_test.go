package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// testHosts numbers loopback addresses, so that every cluster of a test run has ports of its own.
var testHosts atomic.Uint32

// testHost is an address of this machine that no other test has; other processes have others.
func testHost() string {
	pid, n := os.Getpid(), int(testHosts.Add(1))-1
	second := 16 + pid>>8&0x7f
	if n >= 254 { // more than one number has
		second, n = 144+pid>>8%112, n-254
	}
	return fmt.Sprintf("127.%d.%d.%d", second, pid&0xff, n%254+1)
}

// member is a server of a cluster in this process, and a log on it.
type member struct {
	cfg    ServerConfig
	server *Server
	nc     *nats.Conn
	log    *Log
}

// clusterConfigs are the configurations of n servers that know each other.
func clusterConfigs(t testing.TB, n int) []ServerConfig {
	t.Helper()
	var list []ServerConfig
	var routes []string
	for i := range n {
		host := testHost()
		routes = append(routes, host+":6222")
		list = append(list, ServerConfig{
			NodeID: fmt.Sprint("n", i+1), Region: "r", StoreDir: t.TempDir(), Listen: host + ":4222", ClusterListen: host + ":6222",
			Logger: testLogger(t),
		})
	}
	for i := range list {
		list[i].Routes = routes
	}
	return list
}

// startMembers starts servers at the same time and opens the log of each.
func startMembers(t testing.TB, list []ServerConfig) []*member {
	t.Helper()
	members := make([]*member, len(list))
	errs := make(chan error, len(list))
	for i, cfg := range list {
		m := &member{cfg: cfg}
		members[i] = m
		go func() {
			var err error
			m.server, err = StartServer(t.Context(), cfg)
			errs <- err
		}()
	}
	for range list {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { // all at once: each waits for the others to take over what it leads
		ends := make(chan bool, len(members))
		for _, m := range members {
			go func() {
				if m.server != nil {
					m.server.Shutdown()
				}
				ends <- true
			}()
		}
		for range members {
			<-ends
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	for _, m := range members {
		m.open(t)
	}
	return members
}

// open connects and opens the log, and keeps the replicas until the test ends.
func (m *member) open(t testing.TB) {
	t.Helper()
	m.nc = connect(t, m.server)
	l, err := Open(t.Context(), m.nc, Config{Region: "r", Servers: m.server.Servers, Health: m.server.Healthy, Logger: m.cfg.Logger})
	if err != nil {
		t.Fatal(err)
	}
	m.log = l
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.KeepReplicas(ctx) }()
	t.Cleanup(func() { cancel(); <-done; l.Close() })
}

// eventually waits for a condition that comes by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 60 s: %s", what)
		}
	}
}

// streamInfo asks for a stream.
func streamInfo(t testing.TB, l *Log, name string) *streamReply {
	t.Helper()
	var info streamReply
	if err := l.ask(t.Context(), "look at", name, "STREAM.INFO."+name, nil, &info); err != nil {
		t.Fatal(err)
	}
	return &info
}

// awaitReplicas waits until all that the region has is on n servers.
func awaitReplicas(t testing.TB, l *Log, n int) {
	t.Helper()
	for _, name := range []string{callsStream("r"), archiveStream("r"), indexStream("r"), leasesStream("r")} {
		eventually(t, fmt.Sprintf("%s on %d servers", name, n), func() bool {
			s, err := l.js.Stream(t.Context(), name)
			if err != nil {
				return false
			}
			info := s.CachedInfo()
			if info.Config.Replicas != n || info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != n-1 {
				return false
			}
			for _, r := range info.Cluster.Replicas {
				if !r.Current {
					return false
				}
			}
			return true
		})
	}
}

// TestCluster: what one node appends, all nodes follow, and all agree.
func TestCluster(t *testing.T) {
	members := startMembers(t, clusterConfigs(t, 3))
	awaitReplicas(t, members[0].log, 3)
	var followers []*recorder
	for _, m := range members {
		followers = append(followers, startFollow(t, m.log, 1))
	}
	var last uint64
	const n = 60
	for i := range n {
		last = mustAppend(t, members[i%3].log, "k", last, fmt.Sprint(i))
	}
	for i, f := range followers {
		got := f.until(t, n)
		if len(got) != n || got[n-1].Seq != last {
			t.Errorf("follower %d: %s", i, show(got))
		}
	}
	for i, m := range members {
		if got, end, err := m.log.Since(t.Context(), "k", 0); err != nil || len(got) != n || end != last {
			t.Errorf("node %d has %d entries up to %d, %v", i, len(got), end, err)
		}
		if keys, err := m.log.Keys(t.Context()); err != nil || len(keys) != 1 || keys["k"] != n {
			t.Errorf("node %d has the keys %v, %v", i, keys, err)
		}
		if got := m.server.Servers(); got != 3 {
			t.Errorf("node %d knows of %d servers", i, got)
		}
	}
}

// TestReplicasFollow: streams begin on as many servers as there are, and get more as these join.
func TestReplicasFollow(t *testing.T) {
	list := clusterConfigs(t, 3)
	routes := list[0].Routes
	for i := range list { // the first two do not know of the third, which knows of one of them
		list[i].Routes = routes[:2]
	}
	list[2].Routes = routes[:1]
	members := startMembers(t, list[:2])
	if got := streamInfo(t, members[0].log, callsStream("r")); len(got.Cluster.Replicas) != 0 {
		t.Errorf("with two servers: %+v", got.Cluster)
	}
	mustAppend(t, members[1].log, "k", 0, "early")
	members = append(members, startMembers(t, list[2:])...)
	awaitReplicas(t, members[2].log, 3)
	if got, _, err := members[2].log.Since(t.Context(), "k", 0); err != nil || show(got) != "1:k=early" {
		t.Errorf("%s, %v", show(got), err)
	}
}

// TestReplicasFor is the table of the documentation.
func TestReplicasFor(t *testing.T) {
	var got []int
	for n := range 8 {
		got = append(got, replicasFor(n))
	}
	if want := []int{1, 1, 1, 3, 3, 5, 5, 5}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestFollowAtHome: a follower's consumer is on the server that it is connected to, if that has the stream.
func TestFollowAtHome(t *testing.T) {
	members := startMembers(t, clusterConfigs(t, 3))
	awaitReplicas(t, members[0].log, 3)
	for _, m := range members {
		r := &follow{l: m.log, stream: m.log.callsStream(), next: 1, caughtUp: true}
		if err := r.look(t.Context()); err != nil || !r.local {
			t.Fatalf("%s: local %v, %v", m.cfg.NodeID, r.local, err)
		}
		// The server picks at random, and passes over those that it takes for slow.
		eventually(t, "a consumer at home", func() bool {
			c := &consumer{follow: r}
			if err := c.place(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.log.dropConsumer(r.stream, c.name)
			return c.atHome
		})
	}
}

// TestTimers: the server's own variables have our values once there was a cluster.
func TestTimers(t *testing.T) {
	shortTimers()
	if minElectionTimeout != 400*time.Millisecond || maxElectionTimeout != 900*time.Millisecond || hbInterval != 100*time.Millisecond ||
		lostQuorumInterval != time.Second || lostQuorumCheck != 250*time.Millisecond {
		t.Error("the timers of raft are not set")
	}
}

// lineLog is a logger whose lines a test waits for.
type lineLog struct{ lines chan string }

func newLineLog() (*lineLog, *slog.Logger) {
	l := &lineLog{lines: make(chan string, 1000)}
	return l, slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func (l *lineLog) Write(b []byte) (int, error) {
	select {
	case l.lines <- string(b):
	default:
	}
	return len(b), nil
}

// TestClusterWaits: a node that is alone says what is missing and goes on when it comes; the end of its context ends it.
func TestClusterWaits(t *testing.T) {
	list := clusterConfigs(t, 2)
	lines, logger := newLineLog()
	list[0].Logger = logger
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		s, err := StartServer(ctx, list[0])
		if err == nil {
			s.Shutdown()
		}
		done <- err
	}()
	lines.await(t, "missing=1")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	startMembers(t, list)
}

// await waits for a line with text.
func (l *lineLog) await(t testing.TB, text string) string {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case line := <-l.lines:
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("no line says %q", text)
		}
	}
}

// TestWrongKey: a node with another cluster key, or none, ends with a sentence about it; who refuses it says so, too.
func TestWrongKey(t *testing.T) {
	list := clusterConfigs(t, 3)
	lines, logger := newLineLog()
	for i := range 2 {
		list[i].Routes = list[i].Routes[:2]
		list[i].ClusterKey, list[i].Logger = []byte("the key of this cluster"), logger
	}
	members := startMembers(t, list[:2])
	for _, key := range [][]byte{[]byte("the key of another cluster"), nil} {
		stranger := list[2]
		stranger.ClusterKey, stranger.StoreDir = key, t.TempDir()
		s, err := StartServer(t.Context(), stranger)
		if err == nil {
			s.Shutdown()
			t.Fatalf("a stranger with the key %q was let in", key)
		}
		if text := err.Error(); !strings.Contains(text, "cluster key") || !strings.Contains(text, "--cluster-key-file") || strings.Contains(text, "\n") {
			t.Errorf("with the key %q: %v", key, err)
		}
	}
	lines.await(t, "refused a server at")
	if got := members[0].server.Servers(); got != 2 {
		t.Errorf("%d servers", got)
	}

	url := []string{members[0].server.URL()}
	if _, err := Connect(t.Context(), "x", url, Credentials{}); err == nil || !strings.Contains(err.Error(), "refuses our credentials") {
		t.Errorf("a client without a key: %v", err)
	}
	nc, err := Connect(t.Context(), "x", url, Credentials{ClusterKey: list[0].ClusterKey})
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// TestKeyOnOneSide: of two servers that have routes to each other and only one of which has a key, none lets the other in.
func TestKeyOnOneSide(t *testing.T) {
	list := clusterConfigs(t, 2)
	list[0].ClusterKey = []byte("the key of this cluster")
	errs := make(chan error, 2)
	for _, cfg := range list {
		go func() {
			s, err := StartServer(t.Context(), cfg)
			if err == nil {
				s.Shutdown()
			}
			errs <- err
		}()
	}
	for range list {
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "--cluster-key-file") {
			t.Errorf("%v", err)
		}
	}
}

// TestModes: a store is not used by the other kind of server, which would delete it, or write to it behind its peers.
func TestModes(t *testing.T) {
	list := clusterConfigs(t, 2)
	alone := list[0]
	alone.Routes, alone.ClusterListen = nil, ""
	s, err := StartServer(t.Context(), alone)
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, connect(t, s))
	mustAppend(t, l, "k", 0, "x")
	s.Shutdown()
	if _, err := StartServer(t.Context(), list[0]); err == nil || !strings.Contains(err.Error(), "stood alone") {
		t.Errorf("a member with the store of a server alone: %v", err)
	}
	list[0].StoreDir = t.TempDir()
	members := startMembers(t, list)
	members[0].server.Shutdown()
	alone.StoreDir = list[0].StoreDir
	if _, err := StartServer(t.Context(), alone); err == nil || !strings.Contains(err.Error(), "belongs to a server of a cluster") {
		t.Errorf("alone with the store of a member: %v", err)
	}
}
