package embed

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
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

// RegionPeer is another region and where its servers take leaf nodes.
type RegionPeer struct {
	// Name is the region's.
	Name string
	// URLs are "host:port" or nats-leaf://host:port, one for each of its servers that is known.
	URLs []string
}

// Times of the connections between regions.
const (
	leafReconnect = 500 * time.Millisecond // and up to twice that
	// leafPing and leafPingsOut notice that the network between two regions is gone.
	leafPing     = 2 * time.Second
	leafPingsOut = 2
	leafDial     = 2 * time.Second
	// mirrorAnswer is long for a feed, which answers at once if it is there.
	mirrorAnswer = 2 * time.Second
)

// leafCompression is the cheapest one. By itself a server takes a better one the longer the way is, on processors that its
// own region's commands wait for.
const leafCompression = server.CompressionS2Fast

// regionListener is what --region-listen is for.
var regionListener = listener{"the servers of other regions", "--region-listen"}

// regionAccount is the account in which a server has what it sees of another region.
func regionAccount(region string) string { return "region-" + region }

// regionOptions adds what joins the server with those of other regions.
func regionOptions(ctx context.Context, cfg ServerConfig, opts *server.Options) error {
	if len(cfg.Peers) == 0 && cfg.RegionListen == "" {
		return nil
	}
	if len(cfg.ClusterKey) == 0 {
		return fmt.Errorf("regions need a secret that all of them share: give every node of every region the same --cluster-key-file")
	}
	shortMirrorTimers()
	opts.JetStreamDomain = cfg.Region
	// A server that stands alone has the name of a cluster, too: by it the servers of another region notice that a region
	// calls itself as theirs does. Without one it would be the server's, and regions may name their nodes alike.
	opts.Cluster.Name = clusterName(cfg.Region)
	opts.PingInterval, opts.MaxPingsOut = leafPing, leafPingsOut
	if err := regionAccounts(cfg, opts); err != nil {
		return err
	}
	tls, err := cfg.RouteTLS.serverTLS("other regions", true)
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
		leaf.Username, leaf.Password, leaf.Account = regionUser, regionPassword(cfg.ClusterKey), globalAccount
		leaf.TLSConfig, leaf.TLSTimeout = tls, tlsTimeout
		leaf.NoAdvertise = true // a region is told of the servers of another one by its operator
	}
	for _, p := range cfg.Peers {
		remote := &server.RemoteLeafOpts{LocalAccount: regionAccount(p.Name), TLSConfig: tls, TLSTimeout: tlsTimeout, TLS: tls != nil}
		remote.Compression.Mode = leafCompression
		for _, text := range p.URLs {
			u, err := leafURL(text)
			if err != nil {
				return err
			}
			u.User = url.UserPassword(regionUser, regionPassword(cfg.ClusterKey))
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
func regionAccounts(cfg ServerConfig, opts *server.Options) error {
	const own = "own"
	var text strings.Builder
	text.WriteString("accounts {\n" + own + ": { jetstream: enabled }\n")
	for _, p := range cfg.Peers {
		fmt.Fprintf(&text, "%q: { jetstream: enabled }\n", regionAccount(p.Name))
	}
	text.WriteString("}\n")
	var parsed server.Options
	if err := parsed.ProcessConfigString(text.String()); err != nil {
		return fmt.Errorf("configure the accounts of other regions: %w", err)
	}
	opts.Accounts = parsed.Accounts
	opts.Users = []*server.User{{Username: clientUser, Password: clientPassword(cfg.ClusterKey)}}
	opts.Username, opts.Password = "", ""
	for _, a := range opts.Accounts {
		if a.Name == own {
			a.Name = globalAccount
			continue
		}
		opts.Users = append(opts.Users, &server.User{
			Username: clientUser + "-" + a.Name, Password: clientPassword(cfg.ClusterKey), Account: a,
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

// regionClient is the user name of who looks at what a server has of another region.
func regionClient(region string) string { return clientUser + "-" + regionAccount(region) }

// ForRegion are the credentials for what a server has of another region: its mirrors. They need a ClusterKey.
func (c Credentials) ForRegion(region string) Credentials {
	return Credentials{User: regionClient(region), Password: clientPassword(c.ClusterKey), TLS: c.TLS}
}

// ConnectRegion returns a connection to what this server has of another region: its mirrors, and the way there. The caller
// closes it.
func (s *Server) ConnectRegion(region string) (*nats.Conn, error) {
	opts := append(connOptions(s.opts.ServerName+" "+region), nats.InProcessServer(s),
		nats.UserInfo(regionClient(region), s.password))
	nc, err := nats.Connect("", opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server for region %s: %w", region, err)
	}
	return nc, nil
}
