package app

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/embed/server"
)

// connect starts the embedded NATS or connects to one elsewhere; ns is nil in the latter case.
func connect(ctx context.Context, c *config.Config, log *slog.Logger) (nc *nats.Conn, ns *server.Server, err error) {
	if len(c.NATS) > 0 {
		nc, err := embed.Connect(ctx, c.NodeID, c.NATS, c.Credentials())
		return nc, nil, err
	}
	ns, err = server.Start(ctx, server.Config{
		NodeID: c.NodeID, Region: c.Region, StoreDir: c.DataDir, Listen: c.NATSListen,
		ClusterListen: c.NATSClusterListen, Routes: c.NATSRoutes, RegionListen: c.RegionListen, Peers: c.RegionPeers, ClusterKey: c.ClusterKey, TLS: c.TLS(), RouteTLS: c.TLS(),
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
