package embed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
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

// thinShare is which part of the archive is removed when the store has no room; twice as much, and half of it at most, if
// that was not enough for thinRest: a round of the archive is written whole or not at all.
const (
	thinShare = 8
	thinRest  = time.Minute
)

// relieve has history yield if something could not be written since it was called last.
func (l *Log) relieve(ctx context.Context) {
	if !l.starved.CompareAndSwap(true, false) {
		return
	}
	if err := l.thin(ctx); err != nil {
		l.log.Debug("the archive cannot be made smaller", "err", err)
	}
}

// thin removes the oldest history, so that there is room for calls: without, they would be refused until history is so old that it
// goes by itself. Nobody may hold the lease by then, so each node that could not write does this.
func (l *Log) thin(ctx context.Context) error {
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	stream := names.Archive(l.cfg.Region)
	info := &streamReply{}
	if err := l.callAPI(ctx, "read the end of", stream, "STREAM.INFO."+stream, nil, info); err != nil {
		return err
	}
	first, last := info.State.FirstSeq, info.State.LastSeq
	if info.State.Messages < 2 { // the last one says how far the live stream is archived
		return nil
	}
	part := uint64(thinShare)
	if time.Since(l.thinnedAt) < thinRest {
		part = max(2, l.thinnedBy/2)
	}
	l.thinnedAt, l.thinnedBy = time.Now(), part
	below := min(last, first+(last-first)/part+1)
	if err := l.purgeStream(ctx, stream, "history", fmt.Sprintf(`{"seq":%d}`, below)); err != nil {
		return err
	}
	l.log.Warn("the event store has no room, and the oldest history was removed; give its disk more room, or keep history for less time with --archive-age",
		"messages", below-first, "left", last-below+1)
	return nil
}

// winArchive waits until the lease is ours and returns its revision.
func (l *Log) winArchive(ctx context.Context) (uint64, error) {
	var seen uint64
	var since time.Time
	for {
		l.relieve(ctx)
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
			l.relieve(ctx) // or the lease could not be given up
			l.yieldArchive(ctx, revision)
			return err
		case <-tick.C:
		}
		l.relieve(work)
		rctx, stop := context.WithTimeout(work, archiveTakeover/2)
		next, err := l.PutLease(rctx, archiveLease, l.archiveClaim(n), revision)
		stop()
		switch {
		case err == nil:
			revision = next
		case errors.Is(err, errShare): // nobody else can take it either
		case work.Err() == nil:
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
