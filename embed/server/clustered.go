package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rtpjet/embed/internal/names"
	"rtpjet/embed/server/natsinternal"
)

// Times of a cluster that comes together.
const (
	awaitPoll  = 20 * time.Millisecond
	awaitAgain = 10 * time.Second // from one line in the log to the next
	// refusalPatience is how long a node that was refused by one server waits for another one to take it.
	refusalPatience = 3 * time.Second
	// routePing and routePingsOut notice a server that went without closing its connections: a machine that lost its power,
	// or its network.
	routePing     = time.Second
	routePingsOut = 2
)

// clusterName is the name of the cluster of a region.
func clusterName(region string) string { return "rtpjet-" + region }

// clusterOptions adds what makes the server a member of a cluster.
func clusterOptions(ctx context.Context, cfg Config, opts *server.Options) error {
	host, port, err := splitListen(clusterListen, cfg.ClusterListen)
	if err != nil {
		return err
	}
	if port == server.RANDOM_PORT {
		return fmt.Errorf("cannot listen for the other servers on %q: the port must be one that they know; correct --nats-cluster-listen", cfg.ClusterListen)
	}
	if err := probeListen(ctx, clusterListen, cfg.ClusterListen, host, port); err != nil {
		return err
	}
	opts.Cluster = server.ClusterOpts{
		Name: clusterName(cfg.Region), Host: host, Port: port, PingInterval: routePing, MaxPingsOut: routePingsOut,
	}
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		opts.Cluster.Advertise = net.JoinHostPort(host, fmt.Sprint(port)) // or servers gossip the address that we connect from
	}
	// Without a key there is a password as well, one that everybody knows: a server that asked for none would be let in by the
	// routes that servers with a key make to it.
	opts.Cluster.Username, opts.Cluster.Password = names.RouteUser, names.RoutePassword(cfg.ClusterKey)
	user := url.UserPassword(opts.Cluster.Username, opts.Cluster.Password)
	if opts.Cluster.TLSConfig, err = tlsConfig(cfg.RouteTLS, "routes", true); err != nil {
		return err
	}
	opts.Cluster.TLSTimeout = tlsTimeout
	opts.Routes, err = parseRoutes(ctx, cfg.Routes, cfg.ClusterListen, user)
	natsinternal.ShortRaftTimers()
	return err
}

// checkMode refuses a store that the other kind of server has written. A clustered server deletes the streams that it finds
// on the disk and not in the cluster's own list, half a minute after it has joined; a server that stands alone would write
// to its copy of a stream what the other copies never see.
func checkMode(dir string, clustered bool) error {
	js := filepath.Join(dir, "jetstream")
	member := isMember(dir)
	if !clustered {
		if member {
			return fmt.Errorf("cannot use the data directory %s alone: it belongs to a server of a cluster; "+
				"start it with its --nats-cluster-listen and --nats-routes, or choose another --data-dir", dir)
		}
		return nil
	}
	streams, err := os.ReadDir(filepath.Join(js, "$G", "streams"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return explainDir("read", dir, err)
	}
	if !member && len(streams) > 0 {
		return fmt.Errorf("cannot join a cluster with the data directory %s: a server that stood alone has written it, and a cluster would "+
			"delete it; choose another --data-dir, or leave --nats-cluster-listen out", dir)
	}
	return nil
}

// isMember tells whether a server of a cluster has written the store.
func isMember(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "jetstream", "$SYS", "_js_", "_meta_"))
	return err == nil
}

// awaitCluster returns when the cluster has a leader for its list of streams. That takes half of the servers and one; at the
// very first start it takes all that have routes, for servers without any memory must not outvote one that has it.
func (s *Server) awaitCluster(ctx context.Context, ns *server.Server, fresh bool) error {
	began, told := time.Now(), time.Time{}
	tick := time.NewTicker(awaitPoll)
	defer tick.Stop()
	for {
		if meta := metaOf(ns); meta != nil && meta.Leader != "" {
			return nil
		}
		if f := s.log.failure(); f != "" {
			return errors.New(f)
		}
		servers := routed(ns)
		if at, why := s.log.refused(); why != "" && len(servers) == 0 && time.Since(at) > refusalPatience {
			return refusedError(why)
		}
		// The first moments are for servers that start at the same time.
		if time.Since(began) > time.Second && time.Since(told) > awaitAgain {
			told = time.Now()
			need := max(len(s.opts.Routes), 2)
			if meta := metaOf(ns); meta != nil && !fresh {
				need = meta.QuorumNeeded
			}
			have := 1 + len(servers)
			s.log.log.Info("waiting for the other servers of the cluster", "missing", max(need-have, 0), "present", have, "needed", need)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// refusedError is a sentence for the operator already.
type refusedError string

func (e refusedError) Error() string { return string(e) }

// metaOf is the state of the cluster's list of streams; nil if there is none yet.
func metaOf(ns *server.Server) *server.MetaClusterInfo {
	js, err := ns.Jsz(nil)
	if err != nil {
		return nil
	}
	return js.Meta
}

// routed are the names of the other servers that there are routes to.
func routed(ns *server.Server) map[string]bool {
	others := make(map[string]bool)
	if rz, err := ns.Routez(nil); err == nil {
		for _, r := range rz.Routes {
			others[r.RemoteName] = true
		}
	}
	return others
}

// Servers is how many servers of the cluster are reachable from this one, itself included; 1 for a server that stands alone.
func (s *Server) Servers() int {
	ns := s.current()
	if ns == nil || !s.clustered() {
		return 1
	}
	return 1 + len(routed(ns))
}

func (s *Server) clustered() bool { return s.opts.Cluster.Port != 0 }

// ClusterAddr is where the server takes routes; "" if it stands alone.
func (s *Server) ClusterAddr() string {
	if !s.clustered() {
		return ""
	}
	return net.JoinHostPort(s.opts.Cluster.Host, fmt.Sprint(s.opts.Cluster.Port))
}
