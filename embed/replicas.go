package embed

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// Times of KeepReplicas.
const (
	replicasLook  = time.Second // how often the servers are counted
	replicasAgain = time.Minute // how often the streams are looked at although the number of servers is the same
	replicasRetry = 5 * time.Second
)

// replicasFor is on how many servers a stream should be if the cluster has so many. Two replicas need both servers for each
// write, and so stand a failure worse than one does; four are no better than three.
func replicasFor(servers int) int {
	switch {
	case servers >= 5:
		return 5
	case servers >= 3:
		return 3
	}
	return 1
}

// serversOf is how many servers the cluster seems to have. Where nobody knows better, it is how many addresses the servers
// name to their clients: more than there are if one has several, fewer if it has none that it tells.
func serversOf(nc *nats.Conn, cfg Config) int {
	if cfg.Servers != nil {
		return cfg.Servers()
	}
	return max(len(nc.DiscoveredServers()), len(nc.Servers()), 1)
}

// withReplicas calls f with the number of replicas that is wanted, and with fewer as long as there are not enough servers.
func withReplicas(nc *nats.Conn, cfg Config, f func(n int) error) error {
	if cfg.Replicas > 0 {
		return f(cfg.Replicas)
	}
	for n := replicasFor(serversOf(nc, cfg)); ; n -= 2 {
		err := f(n)
		if n <= 1 || !tooFewServers(err) {
			return err
		}
	}
}

// tooFewServers tells whether the server has refused a number of replicas. That may be because one is not known to all yet.
func tooFewServers(err error) bool {
	return hasCode(err, codeReplicasAlone) || hasCode(err, codeNoPeers)
}

// KeepReplicas keeps the streams and the bucket of the region on as many servers as Config says until ctx ends; without a
// number there, it puts them on more servers as these join (1, 3 from three servers on, 5 from five), and never on fewer:
// those that are away may come back. Every node may call it: what two do at once is the same.
func (l *Log) KeepReplicas(ctx context.Context) error {
	return l.keepReplicas(ctx, append(names.Mirrored(l.cfg.Region), names.LeasesStream(l.cfg.Region)))
}

func (l *Log) keepReplicas(ctx context.Context, streams []string) error {
	tick := time.NewTicker(replicasLook)
	defer tick.Stop()
	var done int // the number that all have
	var next time.Time
	for {
		want := l.cfg.Replicas
		if want == 0 {
			want = replicasFor(serversOf(l.nc, l.cfg))
		}
		now := time.Now()
		if changed := want != done && (done == 0 || want > done || l.cfg.Replicas > 0); changed && now.After(next) || now.After(next.Add(replicasAgain)) {
			next = now.Add(replicasRetry)
			if err := l.replicate(ctx, streams, want); err == nil {
				done = want
			} else if ctx.Err() == nil {
				l.log.Debug("the streams are not on as many servers as wanted; trying again", "want", want, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// replicate brings streams to n replicas, if they have fewer, or if n was asked for.
func (l *Log) replicate(ctx context.Context, streams []string, n int) error {
	var errs []error
	for _, name := range streams {
		errs = append(errs, l.replicateStream(ctx, name, n))
	}
	return errors.Join(errs...)
}

func (l *Log) replicateStream(ctx context.Context, name string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, name)
	if err != nil {
		return requestError("replicate", name, err)
	}
	sc := s.CachedInfo().Config
	if sc.Replicas == n || sc.Replicas > n && l.cfg.Replicas == 0 {
		return nil
	}
	before := sc.Replicas
	sc.Replicas = n
	for {
		_, err = l.js.UpdateStream(ctx, sc)
		if l.cfg.Replicas > 0 || sc.Replicas-2 <= before || !tooFewServers(err) {
			break
		}
		sc.Replicas -= 2
	}
	if err != nil {
		return requestError("replicate", name, err)
	}
	l.log.Info("a stream is on another number of servers now", "stream", name, "before", before, "servers", sc.Replicas)
	return nil
}
