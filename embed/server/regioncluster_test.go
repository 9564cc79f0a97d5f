package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
)

// regionNet are regions of a test, each with servers that know each other and the first server of each other region.
type regionNet struct {
	cfgs    map[string][]Config
	servers map[string][]*Server
	logs    map[string]*testLog // of the first server
}

// regionConfigs are the configurations of regions with n servers each.
func regionConfigs(t *testing.T, n int, names ...string) map[string][]Config {
	t.Helper()
	cfgs := map[string][]Config{}
	for _, name := range names {
		var routes []string
		for i := range n {
			host := testHost()
			routes = append(routes, host+":6222")
			cfg := Config{
				NodeID: fmt.Sprint("n", i+1), Region: name, StoreDir: t.TempDir(), ClusterKey: []byte(regionKey),
				RegionListen: host + ":7422", Logger: testLogger(t),
			}
			if n > 1 {
				cfg.Listen, cfg.ClusterListen = host+":4222", host+":6222" // routing waits for clients to be able to come
			}
			cfgs[name] = append(cfgs[name], cfg)
		}
		for i := range cfgs[name] {
			if n > 1 {
				cfgs[name][i].Routes = routes
			}
		}
	}
	for _, name := range names {
		for i := range cfgs[name] {
			for _, other := range names {
				if other == name {
					continue
				}
				p := embed.RegionPeer{Name: other}
				for _, o := range cfgs[other] {
					p.URLs = append(p.URLs, o.RegionListen)
				}
				cfgs[name][i].Peers = append(cfgs[name][i].Peers, p)
			}
		}
	}
	return cfgs
}

// startServers starts servers at the same time.
func startServers(t *testing.T, list ...Config) []*Server {
	t.Helper()
	servers := make([]*Server, len(list))
	errs := make(chan error, len(list))
	for i, cfg := range list {
		go func() {
			var err error
			servers[i], err = Start(t.Context(), cfg)
			errs <- err
		}()
	}
	for range list {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		done := make(chan bool)
		for _, s := range servers {
			go func() {
				if s != nil {
					s.Shutdown()
				}
				done <- true
			}()
		}
		for range servers {
			<-done
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return servers
}

// openHome opens the log of a server's own region.
func openHome(t *testing.T, s *Server, region string) *testLog {
	t.Helper()
	return openLog(t, connect(t, s), embed.Config{Region: region, Servers: s.Servers, Health: s.Healthy})
}

// startRegions starts regions of n servers each.
func startRegions(t *testing.T, n int, names ...string) *regionNet {
	t.Helper()
	r := &regionNet{cfgs: regionConfigs(t, n, names...), servers: map[string][]*Server{}, logs: map[string]*testLog{}}
	for _, name := range names {
		r.start(t, name)
	}
	return r
}

func (r *regionNet) start(t *testing.T, name string) {
	t.Helper()
	r.servers[name] = startServers(t, r.cfgs[name]...)
	r.logs[name] = openHome(t, r.servers[name][0], name)
	keep(t, r.logs[name].KeepReplicas)
}

// appendTo appends through a log, which may need some time to find its region.
func appendTo(t *testing.T, l *testLog, key string, last uint64, data string) (seq uint64) {
	t.Helper()
	eventually(t, "append "+key, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var err error
		seq, err = l.Append(ctx, key, last, []byte(data))
		if err != nil && !errors.Is(err, embed.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	return seq
}

// has waits until a log has an entry.
func has(t *testing.T, l *testLog, key string, seq uint64) time.Duration {
	t.Helper()
	start := time.Now()
	eventually(t, fmt.Sprintf("%s at %d", key, seq), func() bool {
		list, _, err := l.Since(t.Context(), key, seq-1)
		return err == nil && len(list) > 0 && list[0].Seq == seq
	})
	return time.Since(start)
}

// keep runs what keeps replicas until the test ends.
func keep(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// TestRegionClusters: regions of three servers. Mirrors fill and are on all servers, appends cross, and all goes on when the
// server that leads ends, on either side.
func TestRegionClusters(t *testing.T) {
	t.Parallel()
	r := startRegions(t, 3, "eu", "us")
	mirrors := map[*Server]*testLog{}
	for _, s := range r.servers["eu"] {
		m := openMirror(t, s, "us")
		keep(t, m.KeepMirror)
		mirrors[s] = m
	}
	var last uint64
	for _, m := range mirrors {
		last = appendTo(t, m, "k", last, "x")
		t.Logf("the mirror has it after %v", has(t, m, "k", last))
	}
	// end ends the server that leads a stream and returns the others.
	end := func(region string, l *testLog) (kept []*Server) {
		t.Helper()
		eventually(t, "three replicas", func() bool { // with all that there is: else what the leader alone has ends with it
			info, err := l.js.Stream(t.Context(), l.calls)
			if err != nil || info.CachedInfo().Cluster == nil || len(info.CachedInfo().Cluster.Replicas) != 2 {
				return false
			}
			return !slices.ContainsFunc(info.CachedInfo().Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current })
		})
		leader := l.info(t, l.calls).Cluster.Leader
		for i, s := range r.servers[region] {
			if r.cfgs[region][i].NodeID == leader {
				s.Shutdown()
			} else {
				kept = append(kept, s)
			}
		}
		return kept
	}
	home := end("us", r.logs["us"])
	hl := openHome(t, home[0], "us")
	start := time.Now()
	last = appendTo(t, hl, "k", last, "after the first end")
	for _, m := range mirrors {
		has(t, m, "k", last)
		last = appendTo(t, m, "k", last, "again")
	}
	t.Logf("after the leader of the other region ended: %v", time.Since(start))
	start = time.Now()
	for _, s := range end("eu", mirrors[r.servers["eu"][0]]) {
		last = appendTo(t, mirrors[s], "k", last, "after the second end")
		has(t, mirrors[s], "k", last)
	}
	t.Logf("after the leader of this region ended: %v", time.Since(start))
}

// connectRegion connects to what a server has of another region.
func connectRegion(t *testing.T, s *Server, region string) *nats.Conn {
	t.Helper()
	nc, err := s.ConnectRegion(region)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
