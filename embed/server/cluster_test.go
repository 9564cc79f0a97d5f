package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
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
	cfg    Config
	server *Server
	nc     *nats.Conn
	log    *testLog
}

// clusterConfigs are the configurations of n servers that know each other.
func clusterConfigs(t testing.TB, n int) []Config {
	t.Helper()
	var list []Config
	var routes []string
	for i := range n {
		host := testHost()
		routes = append(routes, host+":6222")
		list = append(list, Config{
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
func startMembers(t testing.TB, list []Config) []*member {
	t.Helper()
	members := make([]*member, len(list))
	errs := make(chan error, len(list))
	for i, cfg := range list {
		m := &member{cfg: cfg}
		members[i] = m
		go func() {
			var err error
			m.server, err = Start(t.Context(), cfg)
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
	l, err := embed.Open(t.Context(), m.nc, embed.Config{Region: "r", Servers: m.server.Servers, Health: m.server.Healthy, Logger: m.cfg.Logger})
	if err != nil {
		t.Fatal(err)
	}
	m.log = newTestLog(t, m.nc, l, "r")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.KeepReplicas(ctx) }()
	t.Cleanup(func() { cancel(); <-done; l.Close() })
}

// awaitReplicas waits until all that the region has is on n servers.
func awaitReplicas(t testing.TB, l *testLog, n int) {
	t.Helper()
	for _, name := range []string{names.Calls("r"), names.Archive("r"), names.Index("r"), names.LeasesStream("r")} {
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
	t.Parallel()
	members := startMembers(t, clusterConfigs(t, 3))
	awaitReplicas(t, members[0].log, 3)
	var followers []*recorder
	for _, m := range members {
		followers = append(followers, startFollow(t, m.log))
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
	t.Parallel()
	list := clusterConfigs(t, 3)
	routes := list[0].Routes
	for i := range list { // the first two do not know of the third, which knows of one of them
		list[i].Routes = routes[:2]
	}
	list[2].Routes = routes[:1]
	members := startMembers(t, list[:2])
	if got := members[0].log.info(t, names.Calls("r")); len(got.Cluster.Replicas) != 0 {
		t.Errorf("with two servers: %+v", got.Cluster)
	}
	mustAppend(t, members[1].log, "k", 0, "early")
	members = append(members, startMembers(t, list[2:])...)
	awaitReplicas(t, members[2].log, 3)
	if got, _, err := members[2].log.Since(t.Context(), "k", 0); err != nil || show(got) != "1:k=early" {
		t.Errorf("%s, %v", show(got), err)
	}
}

// TestArchiveOfMany: of three nodes that would archive one does, another takes over when it stops, and nothing is missing.
func TestArchiveOfMany(t *testing.T) {
	t.Parallel()
	members := startMembers(t, clusterConfigs(t, 3))
	stops := make(map[*testLog]func())
	for _, m := range members {
		stops[m.log] = startArchive(t, m.log)
	}
	who := func() (active []*testLog) {
		for _, m := range members {
			if m.log.Archiving() {
				active = append(active, m.log)
			}
		}
		return active
	}
	eventually(t, "somebody archives", func() bool { return len(who()) == 1 })
	first := who()[0]
	a := appendMany(t, members[0].log, "a", "offer", "answer", "delete")
	if err := members[1].log.Retire(t.Context(), "a", a); err != nil {
		t.Fatal(err)
	}
	stops[first]()
	eventually(t, "another one archives", func() bool { return slices.ContainsFunc(who(), func(l *testLog) bool { return l != first }) })
	if n := len(who()); n != 1 {
		t.Errorf("%d archive", n)
	}
	b := appendMany(t, members[1].log, "b", "offer", "delete")
	if err := first.Trim(t.Context(), b+1); err != nil { // the old one waits for the new one's position
		t.Fatal(err)
	}
	for i, m := range members {
		if got := history(t, m.log, "a") + history(t, m.log, "b"); got != "[offer answer delete][offer delete]" {
			t.Errorf("node %d: %s", i, got)
		}
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
	t.Parallel()
	list := clusterConfigs(t, 2)
	lines, logger := newLineLog()
	list[0].Logger = logger
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		s, err := Start(ctx, list[0])
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
	t.Parallel()
	list := clusterConfigs(t, 4)
	lines, logger := newLineLog()
	for i := range 2 {
		list[i].Routes = list[i].Routes[:2]
		list[i].ClusterKey, list[i].Logger = []byte("the key of this cluster"), logger
	}
	members := startMembers(t, list[:2])
	var strangers sync.WaitGroup
	for i, key := range [][]byte{[]byte("the key of another cluster"), nil} {
		stranger := list[2+i]
		stranger.ClusterKey, stranger.Routes = key, append(slices.Clone(list[0].Routes), stranger.ClusterListen)
		strangers.Go(func() {
			s, err := Start(t.Context(), stranger)
			if err == nil {
				s.Shutdown()
				t.Errorf("a stranger with the key %q was let in", key)
				return
			}
			if text := err.Error(); !strings.Contains(text, "cluster key") || !strings.Contains(text, "--cluster-key-file") || strings.Contains(text, "\n") {
				t.Errorf("with the key %q: %v", key, err)
			}
		})
	}
	strangers.Wait()
	lines.await(t, "refused a server at")
	if got := members[0].server.Servers(); got != 2 {
		t.Errorf("%d servers", got)
	}

	url := []string{members[0].server.URL()}
	if _, err := embed.Connect(t.Context(), "x", url, embed.Credentials{}); err == nil || !strings.Contains(err.Error(), "refuses our credentials") {
		t.Errorf("a client without a key: %v", err)
	}
	nc, err := embed.Connect(t.Context(), "x", url, embed.Credentials{ClusterKey: list[0].ClusterKey})
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// TestKeyOnOneSide: of two servers that have routes to each other and only one of which has a key, none lets the other in.
func TestKeyOnOneSide(t *testing.T) {
	t.Parallel()
	list := clusterConfigs(t, 2)
	list[0].ClusterKey = []byte("the key of this cluster")
	errs := make(chan error, 2)
	for _, cfg := range list {
		go func() {
			s, err := Start(t.Context(), cfg)
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
	t.Parallel()
	list := clusterConfigs(t, 2)
	alone := list[0]
	alone.Routes, alone.ClusterListen = nil, ""
	s, err := Start(t.Context(), alone)
	if err != nil {
		t.Fatal(err)
	}
	l := openLog(t, connect(t, s), embed.Config{Region: "r"})
	mustAppend(t, l, "k", 0, "x")
	s.Shutdown()
	if _, err := Start(t.Context(), list[0]); err == nil || !strings.Contains(err.Error(), "stood alone") {
		t.Errorf("a member with the store of a server alone: %v", err)
	}
	list[0].StoreDir = t.TempDir()
	members := startMembers(t, list)
	members[0].server.Shutdown()
	alone.StoreDir = list[0].StoreDir
	if _, err := Start(t.Context(), alone); err == nil || !strings.Contains(err.Error(), "belongs to a server of a cluster") {
		t.Errorf("alone with the store of a member: %v", err)
	}
}
