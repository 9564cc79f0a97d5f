package server

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/embed/internal/names"
	"rtpjet/embed/server/natsinternal"
)

// Regions are joined by leaf nodes, each region a JetStream domain of its own. Gateways would make one cluster of all: one
// list of streams for all regions, whose leader may be an ocean away and whose quorum a cut takes (docs/regions.md has what
// was measured).
//
// Each server connects to one server of each other region, as a leaf of an account that it has for that region. All that
// a region sees of another one is in that account: the mirrors of its streams, which are local, and the subjects of the
// other region, which lead there. So the accounts of one region form a star with that region in the middle, whatever the
// regions know of each other, and nothing can go round in a circle, which NATS would refuse. The streams of the region itself
// are where they are without other regions: in the account $G.

// Times of the connections between regions.
const (
	leafReconnect = 500 * time.Millisecond // and up to twice that
	// leafPing and leafPingsOut notice that the network between two regions is gone.
	leafPing     = 2 * time.Second
	leafPingsOut = 2
	leafDial     = 2 * time.Second
)

// leafCompression is the cheapest one. By itself a server takes a better one the longer the way is, on processors that its
// own region's commands wait for.
const leafCompression = server.CompressionS2Fast

// regionListener is what --region-listen is for.
var regionListener = listener{"the servers of other regions", "--region-listen"}

// regionOptions adds what joins the server with those of other regions.
func regionOptions(ctx context.Context, cfg Config, opts *server.Options) error {
	if len(cfg.Peers) == 0 && cfg.RegionListen == "" {
		return nil
	}
	if len(cfg.ClusterKey) == 0 {
		return fmt.Errorf("regions need a secret that all of them share: give every node of every region the same --cluster-key-file")
	}
	natsinternal.ShortMirrorTimers()
	opts.JetStreamDomain = cfg.Region
	// A server that stands alone has the name of a cluster, too: by it the servers of another region notice that a region
	// calls itself as theirs does. Without one it would be the server's, and regions may name their nodes alike.
	opts.Cluster.Name = clusterName(cfg.Region)
	opts.PingInterval, opts.MaxPingsOut = leafPing, leafPingsOut
	if err := regionAccounts(cfg, opts); err != nil {
		return err
	}
	tls, err := tlsConfig(cfg.RouteTLS, "other regions", true)
	if err != nil {
		return err
	}
	leaf := &opts.LeafNode
	leaf.ReconnectInterval, leaf.DialTimeout = leafReconnect, leafDial
	leaf.Compression.Mode = leafCompression
	if cfg.RegionListen != "" {
		host, port, err := splitListen(regionListener, cfg.RegionListen)
		if err != nil {
			return err
		}
		if err := probeListen(ctx, regionListener, cfg.RegionListen, host, port); err != nil {
			return err
		}
		leaf.Host, leaf.Port = host, port
		leaf.Username, leaf.Password, leaf.Account = names.RegionUser, names.RegionPassword(cfg.ClusterKey), globalAccount
		leaf.TLSConfig, leaf.TLSTimeout = tls, tlsTimeout
		leaf.NoAdvertise = true // a region is told of the servers of another one by its operator
	}
	for _, p := range cfg.Peers {
		remote := &server.RemoteLeafOpts{LocalAccount: names.RegionAccount(p.Name), TLSConfig: tls, TLSTimeout: tlsTimeout, TLS: tls != nil}
		remote.Compression.Mode = leafCompression
		for _, text := range p.URLs {
			u, err := leafURL(text)
			if err != nil {
				return err
			}
			u.User = url.UserPassword(names.RegionUser, names.RegionPassword(cfg.ClusterKey))
			remote.URLs = append(remote.URLs, u)
		}
		leaf.Remotes = append(leaf.Remotes, remote)
	}
	return nil
}

// globalAccount is the account in which a server has what it has without other regions.
const globalAccount = "$G"

// regionAccounts has JetStream in the accounts of the other regions as well. Only a configuration in text can say so, and it
// cannot name the account that is there anyway.
func regionAccounts(cfg Config, opts *server.Options) error {
	const own = "own"
	var text strings.Builder
	text.WriteString("accounts {\n" + own + ": { jetstream: enabled }\n")
	for _, p := range cfg.Peers {
		fmt.Fprintf(&text, "%q: { jetstream: enabled }\n", names.RegionAccount(p.Name))
	}
	text.WriteString("}\n")
	var parsed server.Options
	if err := parsed.ProcessConfigString(text.String()); err != nil {
		return fmt.Errorf("configure the accounts of other regions: %w", err)
	}
	opts.Accounts = parsed.Accounts
	opts.Users = []*server.User{{Username: names.ClientUser, Password: names.ClientPassword(cfg.ClusterKey)}}
	opts.Username, opts.Password = "", ""
	for _, a := range opts.Accounts {
		if a.Name == own {
			a.Name = globalAccount
			continue
		}
		opts.Users = append(opts.Users, &server.User{
			Username: names.ClientUser + "-" + a.Name, Password: names.ClientPassword(cfg.ClusterKey), Account: a,
		})
	}
	return nil
}

// leafURL reads "host:port" or a URL.
func leafURL(text string) (*url.URL, error) {
	full := text
	if !strings.Contains(full, "://") {
		full = "nats-leaf://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" || u.Port() == "" || !slices.Contains([]string{"nats-leaf", "nats", "tls"}, u.Scheme) {
		return nil, fmt.Errorf("%q is not where a server of another region listens: write NAME=ADDRESS:PORT; correct --region-peer", text)
	}
	return u, nil
}

// ConnectRegion returns a connection to what this server has of another region: its mirrors, and the way there. The caller
// closes it.
func (s *Server) ConnectRegion(region string) (*nats.Conn, error) {
	cred := embed.Credentials{User: names.RegionClient(region), Password: s.password}
	nc, err := embed.ConnectInProcess(s.opts.ServerName+" "+region, s, cred)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server for region %s: %w", region, err)
	}
	return nc, nil
}
