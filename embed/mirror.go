package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A mirror has the entries of another region under the sequences that they have there, written by NATS itself. What the
// home region removes stays in the mirror until [Log.Trim] or [Log.Retire] remove it there as well.

// mirrorConfigs are the mirrors of a region's streams.
func mirrorConfigs(c Config) []jetstream.StreamConfig {
	list := []jetstream.StreamConfig{callsConfig(c), archiveConfig(c), indexConfig(c)}
	for i := range list {
		sc := &list[i]
		sc.Mirror = &jetstream.StreamSource{Name: sc.Name, Domain: c.Region}
		sc.Subjects, sc.AllowAtomicPublish, sc.Duplicates = nil, false, 0
		sc.Description = "rtpjet: mirror of region " + c.Region
	}
	list[0].Discard = jetstream.DiscardOld
	return list
}

// OpenMirror creates the mirrors of another region, or brings them up to date, and returns them as that region's log: what is read
// comes from the mirrors, what is appended goes to the region itself. nc is from [Server.ConnectRegion]; the caller keeps it.
// The region need not be reachable.
func OpenMirror(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	if err := checkToken("region", cfg.Region); err != nil {
		return nil, err
	}
	if cfg.ArchiveAge == 0 {
		cfg.ArchiveAge = defaultArchiveAge
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	js, err := newJetStream(nc, cfg.Domain)
	if err != nil {
		return nil, fmt.Errorf("mirror region %s: %w", cfg.Region, err)
	}
	ctx, cancel := withDeadline(ctx, openTimeout)
	defer cancel()
	for _, sc := range mirrorConfigs(cfg) {
		for patience := openPatience; ; patience = min(patience*5/4, appendTimeout) {
			err := ensureMirror(ctx, nc, js, cfg, sc, patience)
			if err == nil {
				break
			}
			explained := explainOpen(err, "stream "+sc.Name, cfg)
			if !errors.Is(explained, ErrUnavailable) && !hasCode(err, codeNoPeers) && !hasCode(err, codeStreamNotFound) ||
				ctx.Err() != nil || nc.IsClosed() {
				return nil, fmt.Errorf("mirror region %s: %w", cfg.Region, explained)
			}
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("mirror region %s: %w", cfg.Region, explained)
			case <-time.After(openPause):
			}
		}
	}
	return attachTo(nc, js, cfg)
}

func ensureMirror(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, cfg Config, sc jetstream.StreamConfig, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return withReplicas(nc, cfg, func(n int) error {
		sc.Replicas = n
		return ensureStream(ctx, js, sc, cfg.Replicas > 0)
	})
}
