package embed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// One node of a region archives, the one that holds this lease. It writes the lease again each archiveRenew; whoever sees
// no change of it for archiveTakeover takes it. Each goes by its own clock, and by no other. A node that was taken for dead
// and was only slow may finish a round: its position is true all the same, and what it wrote is there twice, which readers
// drop. So nothing depends on there being one at most, but space and work.
const (
	archiveLease    = "archiver"
	archiveRenew    = time.Second
	archiveTakeover = 5 * time.Second
)

// Archiving tells whether it is this Log that archives for the region at the moment: then it is its node's turn to trim and
// retire, too.
func (l *Log) Archiving() bool { return l.archives.Load() }

// Archive copies the live stream into the archive until ctx ends. Every node of a region calls it: one of them archives, the
// others stand by and take over a few seconds after it has stopped; at once, if it ended its Archive.
func (l *Log) Archive(ctx context.Context) error {
	defer l.pos.forget()
	for {
		revision, err := l.winArchive(ctx)
		if err == nil {
			err = l.archiveWith(ctx, revision)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.nc.IsClosed() {
			return fmt.Errorf("archive: %w: %w", ErrUnavailable, nats.ErrConnectionClosed)
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			l.log.Warn("the archive cannot be written; calls go on, and history follows later", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(archiveEvery):
		}
	}
}

// winArchive waits until the lease is ours and returns its revision.
func (l *Log) winArchive(ctx context.Context) (uint64, error) {
	var seen uint64
	var since time.Time
	for {
		lease, err := l.GetLease(ctx, archiveLease)
		if err != nil {
			return 0, err
		}
		now := time.Now()
		if lease.Revision != seen {
			seen, since = lease.Revision, now
		}
		if lease.Revision == 0 || now.Sub(since) >= archiveTakeover {
			revision, err := l.PutLease(ctx, archiveLease, l.archiveClaim(0), lease.Revision)
			if err == nil {
				return revision, nil
			}
			if !errors.Is(err, ErrConflict) {
				return 0, err
			}
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(archiveRenew):
		}
	}
}

// archiveClaim is the value of the lease: another one each time, so that a value is recognised as the one just written.
func (l *Log) archiveClaim(n int) []byte { return fmt.Appendf(nil, "%s %d", l.id, n) }

// archiveWith archives for as long as the lease is ours.
func (l *Log) archiveWith(ctx context.Context, revision uint64) error {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	l.archives.Store(true)
	done := make(chan error, 1)
	go func() { done <- l.archive(work) }()
	tick := time.NewTicker(archiveRenew)
	defer tick.Stop()
	var lost error
	for n := 1; lost == nil; n++ {
		select {
		case err := <-done:
			l.archives.Store(false)
			l.pos.forget()
			l.yieldArchive(ctx, revision)
			return err
		case <-tick.C:
		}
		rctx, stop := context.WithTimeout(work, archiveTakeover/2)
		next, err := l.PutLease(rctx, archiveLease, l.archiveClaim(n), revision)
		stop()
		if err == nil {
			revision = next
		} else if work.Err() == nil {
			lost = fmt.Errorf("keep the archive's lease: %w", err)
		}
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		lost = errors.Join(lost, err)
	}
	l.archives.Store(false)
	l.pos.forget()
	return lost
}

// yieldArchive gives the lease to whoever comes next. If that fails they take it after a while.
func (l *Log) yieldArchive(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveRenew)
	defer cancel()
	if err := l.DeleteLease(ctx, archiveLease, revision); err != nil {
		l.log.Debug("the archive's lease could not be given up", "err", err)
	}
}
