package app

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"rtpjet/embed"
	"rtpjet/embed/server"
)

// connect starts the embedded NATS or connects to one elsewhere; ns is nil in the latter case.
func connect(ctx context.Context, c *Config, log *slog.Logger) (nc *nats.Conn, ns *server.Server, err error) {
	if len(c.NATS) > 0 {
		nc, err := embed.Connect(ctx, c.NodeID, c.NATS, c.credentials())
		return nc, nil, err
	}
	ns, err = server.Start(ctx, server.Config{
		NodeID: c.NodeID, Region: c.Region, StoreDir: c.DataDir, Listen: c.NATSListen,
		ClusterListen: c.NATSClusterListen, Routes: c.NATSRoutes, RegionListen: c.RegionListen, Peers: c.RegionPeers, ClusterKey: c.ClusterKey, TLS: c.tls(), RouteTLS: c.tls(),
		Logger: log,
	})
	if err != nil {
		return nil, nil, err
	}
	nc, err = ns.Connect()
	if err != nil {
		ns.Shutdown()
		return nil, nil, err
	}
	return nc, ns, nil
}

// credentials are what a connection to a NATS elsewhere shows, which may be the embedded one of another node.
func (a *NATSAuth) credentials() embed.Credentials {
	return embed.Credentials{
		File: a.NATSCreds, User: a.NATSUser, Password: a.NATSPassword, ClusterKey: a.ClusterKey, TLS: a.tls(),
	}
}

func (a *NATSAuth) tls() embed.TLSFiles {
	return embed.TLSFiles{CA: a.NATSTLSCA, Cert: a.NATSTLSCert, Key: a.NATSTLSKey}
}
