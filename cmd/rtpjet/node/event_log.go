package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/cmd/rtpjet/metrics"
	"rtpjet/cmd/rtpjet/node/unlogged"
	"rtpjet/embed"
	"rtpjet/projection/transact"
)

// eventLog is the log as this node uses it: what is known of whether it answers, how long it is waited for, and how far it has been
// read. It is safe for concurrent use.
type eventLog struct {
	Journal
	*codec
	clock         func() time.Time
	counters      *metrics.Counters
	unlogged      *unlogged.Events // is told when the log answers again
	serveUnlogged bool

	away     atomic.Int64  // since when the log does not answer, µs of Unix time; 0: it does
	followed atomic.Uint64 // the sequence up to which every event is known
	probed   logProbe
}

// How long the log is waited for if a call can be served without it (--log-loss=serve): long enough for a slow disk, and short
// enough for a command that needs the log twice to be answered within the second that its client waits. Once an event waits, nobody
// but the publisher asks any more.
const (
	serveFirst = 500 * time.Millisecond
	serveAway  = 200 * time.Millisecond // the log is known to be away
)

// callContext bounds an operation on the log for a call; ours: one that can be served without it.
func (l *eventLog) callContext(ctx context.Context, ours bool) (context.Context, context.CancelFunc) {
	switch {
	case !ours || !l.serveUnlogged:
		return l.logContext(ctx)
	case l.away.Load() != 0:
		return context.WithTimeout(ctx, serveAway)
	}
	return context.WithTimeout(ctx, serveFirst)
}

// logContext bounds an operation on the log.
func (l *eventLog) logContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if since := l.away.Load(); since != 0 && time.Since(time.UnixMicro(since)) > logTime {
		return context.WithTimeout(ctx, logAwayTime)
	}
	return context.WithTimeout(ctx, logTime)
}

// answered notes whether the log answers, by the error of an operation on it.
func (l *eventLog) answered(err error) error {
	if !errors.Is(err, transact.ErrUncertain) {
		if l.away.Load() != 0 {
			l.away.Store(0)
			l.unlogged.Rouse()
		}
		return err
	}
	l.away.CompareAndSwap(0, time.Now().UnixMicro())
	return err
}

// countAppend counts an append to the log that has just ended.
func (l *eventLog) countAppend(began time.Time, err error) {
	result := metrics.AppendOK
	switch {
	case errors.Is(err, embed.ErrConflict):
		result = metrics.AppendConflict
	case err != nil:
		result = metrics.AppendFailed
	}
	l.counters.Append(result, time.Since(began))
}

// logProbe asks the log how far it is. Whoever wants to know within probeEvery gets the same answer.
type logProbe struct {
	mu   sync.Mutex
	at   time.Time
	last logState
}

// logState is what the log has answered.
type logState struct {
	head uint64
	lag  time.Duration
	err  error
}

const (
	probeEvery = 500 * time.Millisecond
	probeTime  = 500 * time.Millisecond // for the log to answer
)

// probe tells how far the log is, and how old the first entry that this node has not read.
func (l *eventLog) probe(ctx context.Context) logState {
	p := &l.probed
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() && time.Since(p.at) < probeEvery {
		return p.last
	}
	// Not the asker's context: who hangs up must not make the log look silent to the next one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	var s logState
	if s.head, s.err = l.Head(ctx); s.err == nil {
		if followed := l.followed.Load(); followed < s.head {
			e, found, err := l.Next(ctx, followed+1)
			if s.err = err; found {
				s.lag = max(0, l.clock().Sub(e.Time))
			}
		}
	}
	p.at, p.last = time.Now(), s
	return s
}
