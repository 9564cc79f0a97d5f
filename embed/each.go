package embed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/internal/names"
)

// EachLive calls f with every entry that the live stream has now, in its order.
func (l *Log) EachLive(ctx context.Context, f func(Entry)) error {
	done := errors.New("caught up")
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := l.follow(ctx, 1, Follower{Entry: f, CaughtUp: func(uint64) { stop(done) }}, false)
	if errors.Is(context.Cause(ctx), done) {
		return nil
	}
	return fmt.Errorf("read the event log: %w", err)
}

// EachArchived calls f with every entry of the archive that was archived since a time, in the archive's order: that of the
// log for each key, and none for all of them. An entry may come twice.
func (l *Log) EachArchived(ctx context.Context, since time.Time, f func(Entry)) error {
	stream := names.Archive(l.cfg.Region)
	subject := names.ArchiveSubject(l.cfg.Region, ">")
	return l.readStreamFrom(ctx, stream, subject, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	}, func(_ uint64, data []byte) error {
		if err := eachArchived(data, func(e Entry) {
			e.Data = slices.Clone(e.Data)
			f(e)
		}); err != nil {
			l.log.Warn("an archive message cannot be read", "stream", stream, "err", err)
		}
		return nil
	})
}
