package app

import (
	"context"
	"io"
	"os"
	"time"

	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/keeper"
)

// Times of keepers.
const (
	// looksASettle is how often a node looks, in the time after which one that has come back has settled, whether to move a float
	// to it. One float moves at each look.
	looksASettle = 3
	// nodeSilence is for how long a node may say nothing to its keeper before its floats are given up. It is for processes that
	// hang: one that has ended or is stopped is noticed at once, and a busy machine may hold one up for a while.
	nodeSilence = time.Second
)

// keepers starts the keepers of a node, which share their memory with its relay.
type keepers struct {
	cfg    keeper.Config
	shared *keeper.Deadlines
	stderr io.Writer
}

func newKeepers(c *config.Config) (*keepers, error) {
	shared, err := keeper.NewDeadlines()
	if err != nil {
		return nil, err
	}
	k := &keepers{shared: shared, stderr: os.Stderr, cfg: keeper.Config{
		Node: c.NodeID, Timeout: c.FloatTimeout, Balance: c.FloatSettle / looksASettle, Settle: c.FloatSettle,
		NodeSilence: nodeSilence, Provider: c.FloatProvider, Bind: c.Interfaces.All()[0].Addr, Key: c.ClusterKey,
		LogLevel: c.LogLevel, LogJSON: c.LogJSON,
	}}
	for _, f := range c.Floats {
		k.cfg.Floats = append(k.cfg.Floats, keeper.Float{ID: f.ID, Addrs: f.Addrs})
	}
	return k, nil
}

func (k *keepers) start(ctx context.Context) (*keeper.Keeper, error) {
	return keeper.Start(ctx, k.cfg, k.shared, k.stderr)
}
