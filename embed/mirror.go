package embed

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// A mirror has the entries of another region under the sequences that they have there, written by NATS itself from what a feed
// brings. What the
// home region removes stays in the mirror until [Log.Trim] or [Log.Retire] remove it there as well.

// RegionPeer is another region and where its servers take leaf nodes.
type RegionPeer struct {
	// Name is the region's.
	Name string
	// URLs are "host:port" or nats-leaf://host:port, one for each of its servers that is known.
	URLs []string
}

// mirrorConfigs are the mirrors of a region's streams in region c.Here.
func mirrorConfigs(c Config) []jetstream.StreamConfig {
	list := []jetstream.StreamConfig{callsConfig(c), archiveConfig(c), indexConfig(c)}
	prefix := names.Feed(c.Region, c.Here)
	for i := range list {
		sc := &list[i]
		sc.Mirror = &jetstream.StreamSource{
			Name:     sc.Name,
			External: &jetstream.ExternalStream{APIPrefix: prefix},
			// A feed sends to its own name and then the subject.
			SubjectTransforms: []jetstream.SubjectTransformConfig{{Source: prefix + ".*.>", Destination: ">"}},
		}
		sc.Subjects, sc.AllowAtomicPublish, sc.Duplicates = nil, false, 0
		sc.Description = "rtpjet: mirror of region " + c.Region
	}
	list[0].Discard = jetstream.DiscardOld
	return list
}

// OpenMirror creates the mirrors of another region, or brings them up to date, and returns them as that region's log: what is read
// comes from the mirrors, what is appended goes to the region itself. nc leads to a server of
// region cfg.Here, with the credentials of [Credentials.ForRegion]; the caller keeps it.
// The region need not be reachable.
func OpenMirror(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	if err := names.Check("region", cfg.Here); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("mirror region %s: %w", cfg.Region, err)
	}
	if err := ensureMirrors(ctx, nc, js, cfg); err != nil {
		return nil, fmt.Errorf("mirror region %s: %w", cfg.Region, err)
	}
	l, err := attachTo(nc, js, cfg)
	if err != nil {
		return nil, err
	}
	l.mirror = true
	return l, nil
}

// ensureMirrors creates the mirrors, or brings them up to date, for as long as ctx allows.
func ensureMirrors(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, cfg Config) error {
	ctx, cancel := withDeadline(ctx, openTimeout)
	defer cancel()
	for _, sc := range mirrorConfigs(cfg) {
		if err := insist(ctx, nc, cfg, func(ctx context.Context) (string, error) {
			return "stream " + sc.Name, ensureMirror(ctx, nc, js, cfg, sc)
		}); err != nil {
			return err
		}
	}
	return nil
}

func ensureMirror(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, cfg Config, sc jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, sc.Name)
	if err == nil && !reflect.DeepEqual(s.CachedInfo().Config.Mirror, sc.Mirror) {
		// It is of a release that filled mirrors in another way. It cannot be told so, and it is a copy.
		if err := js.DeleteStream(ctx, sc.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	return withReplicas(nc, cfg, func(n int) error {
		sc.Replicas = n
		return ensureStream(ctx, js, sc, cfg.Replicas > 0)
	})
}
