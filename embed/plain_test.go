package embed

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
	"rtpjet/embed/server/natsinternal"
)

// The tests of this package talk to NATS servers as they come, which a region may use as well: package embed/server imports this
// one, and tests logs on its servers.

// startServer runs a server alone. listen is where clients come; empty: only from this process.
func startServer(t testing.TB, dir, listen string) *server.Server {
	t.Helper()
	opts := &server.Options{ServerName: "n1", JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, DontListen: listen == ""}
	if listen != "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			t.Fatal(err)
		}
		opts.Host = host
		if opts.Port, err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	return run(t, opts)
}

// run starts a server that ends with the test.
func run(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { end(s) })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	return s
}

// end returns when the files of a server are closed.
func end(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(t testing.TB, s *server.Server) *nats.Conn {
	t.Helper()
	nc, err := ConnectInProcess("test", s, Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// hosts numbers loopback addresses: each server of a test run has one, and other processes have others.
var hosts atomic.Uint32

// member is a server of a cluster, and a log on it.
type member struct {
	name   string
	server *server.Server
	log    *Log
}

// startMembers starts a cluster of servers, all of which have all streams, and opens the log of each.
func startMembers(t testing.TB, n int) []*member { return startMembersOf(t, n, n) }

// startMembersOf has each stream on some of the servers.
func startMembersOf(t testing.TB, n, replicas int) []*member {
	t.Helper()
	natsinternal.ShortRaftTimers()
	list := make([]*server.Options, n)
	var routes []*url.URL
	for i := range list {
		pid := os.Getpid()
		host := fmt.Sprintf("127.%d.%d.%d", 16+pid>>8&0x7f, pid&0xff, hosts.Add(1))
		list[i] = &server.Options{
			ServerName: fmt.Sprint("n", i+1), JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Host: host, Port: 4222,
			Cluster: server.ClusterOpts{Name: "test", Host: host, Port: 6222},
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: host + ":6222"})
	}
	members := make([]*member, n)
	var started sync.WaitGroup
	for i, opts := range list {
		opts.Routes = routes
		s, err := server.NewServer(opts)
		if err != nil {
			t.Fatal(err)
		}
		members[i] = &member{name: opts.ServerName, server: s}
		started.Go(s.Start)
	}
	started.Wait()
	t.Cleanup(func() { // all at once: each waits for the others to take over what it leads
		var ended sync.WaitGroup
		for _, m := range members {
			ended.Go(func() { end(m.server) })
		}
		ended.Wait()
	})
	for _, m := range members {
		l, err := Open(t.Context(), connect(t, m.server), Config{Region: "r", Replicas: replicas, Logger: testLogger(t)})
		if err != nil {
			t.Fatal(err)
		}
		m.log = l
		t.Cleanup(l.Close)
	}
	awaitReplicas(t, members[0].log, replicas)
	return members
}

// awaitReplicas waits until all servers have all that the region has.
func awaitReplicas(t testing.TB, l *Log, n int) {
	t.Helper()
	for _, name := range append(names.Mirrored("r"), names.LeasesStream("r")) {
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
