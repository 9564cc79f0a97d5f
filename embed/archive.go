package embed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rtpjet/embed/internal/names"
)

// The archive is written by us and not by a stream that sources the live one. What was measured, on 2 cores, with calls
// of three entries of 2 kB: CPU of the whole process, in µs a call, above the 66 of the appends alone (BenchmarkCall).
//
//	a stream that sources CALLS              40 to 50
//	this archiver, reading for itself        43
//	this archiver, fed by a follower         20 to 26
//	a follower, which every node has         15 at a pace of 2 ms, 49 if each entry comes alone
//	a purge of each call                     40 to 58
//	one Trim for thousands of calls          nothing to be seen
//
// What a sourcing stream does with deletions was found in the server's code and is kept by TestSourcing:
//
//   - A purge of the source removes nothing from the sourcing stream; but what is purged before it was copied is lost
//     without a word. So the purger has to know how far the copy is, whichever way the copy is made.
//   - A message that rolls its subject up is copied with its header. The sourcing stream obeys the header only if it
//     allows roll-ups itself, so an archive without AllowRollup keeps all; but in the source the roll-up deletes at once,
//     and again what was not yet copied is lost. As a message of its own, it costs what a purge costs.
//   - A message with a TTL keeps the header in the copy and expires there only if the archive allows TTLs.
//
// Two more reasons: one subject a call costs the server 200 bytes of memory for each call in the archive, for as long as
// it is there, which is gigabytes after a busy week; and in a cluster each copied message is a raft entry of its own.
//
// So the archiver sorts entries by the hash of their key into archiveParts subjects, and publishes what came together in
// archiveEvery as one message a part. The more load, the larger the messages. The last message of a round is sent when
// all others are confirmed, and says up to where the live stream is archived now; a new archiver goes on from there. A
// crash within a round makes duplicates, which readers drop, and no gap. Entries leave the live stream only behind that
// position.
const (
	archiveParts    = 256
	archiveEvery    = time.Second
	archiveMaxBatch = 512 << 10 // bytes in one message; NATS takes 1 MB by default
	archiveMaxRound = 8 << 20   // bytes in one round; the archiver holds about twice as much in memory
	maxRound        = archiveParts + archiveMaxRound/archiveMaxBatch + 1
	archiveFormat   = 1 // first byte of each message
)

// partition is the subject token of a key in the archive.
func partition(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return strconv.FormatUint(uint64(h.Sum32()%archiveParts), 10)
}

// archiver collects entries and publishes them in rounds. It takes them from the followers of the same Log, which have
// them anyway, and reads for itself only what those did not see: reading costs three times what the rest does.
type archiver struct {
	l    *Log
	live string // the live stream's identity, for headerStream

	mu     sync.Mutex
	room   *sync.Cond // signalled when a round was taken
	open   map[string][]byte
	full   []*nats.Msg
	spare  [][]byte // empty, of messages that are published
	bytes  int
	last   uint64 // the newest entry collected; all up to it are
	missed bool   // a follower had an entry that could not be taken
	ended  bool

	wake chan struct{} // a round is worth publishing now
}

// position is how far the live stream is archived, for those in this process who wait for it.
type position struct {
	mu     sync.Mutex
	seq    uint64
	known  bool
	change chan struct{} // closed at the next change
}

func (p *position) set(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq, p.known = seq, true
	if p.change != nil {
		close(p.change)
		p.change = nil
	}
}

func (p *position) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = false
}

func (p *position) get() (seq uint64, known bool, change <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.change == nil {
		p.change = make(chan struct{})
	}
	return p.seq, p.known, p.change
}

// archive copies until ctx ends or something fails.
func (l *Log) archive(ctx context.Context) error {
	rctx, cancel := withDeadline(ctx, appendTimeout)
	pos, live, err := l.readArchived(rctx)
	cancel()
	if err != nil {
		return err
	}
	l.pos.set(pos)
	a := &archiver{l: l, live: live, open: make(map[string][]byte), last: pos, missed: true, wake: make(chan struct{}, 1)}
	a.room = sync.NewCond(&a.mu)
	l.tap.Store(a)
	ctx, cancel = context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer func() {
		l.tap.CompareAndSwap(a, nil)
		cancel()
		a.mu.Lock()
		a.ended = true
		a.room.Broadcast()
		a.mu.Unlock()
		reading.Wait()
	}()
	return a.run(ctx, &reading)
}

// run publishes a round whenever it is time, and reads what the followers did not give.
func (a *archiver) run(ctx context.Context, reading *sync.WaitGroup) error {
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	var read chan error // not nil while reading
	for {
		if read == nil && a.behind() {
			ch := make(chan error, 1)
			read = ch
			reading.Go(func() { ch <- a.read(ctx) })
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-read:
			if read = nil; err != nil {
				return err
			}
		case <-tick.C:
		case <-a.wake:
		}
		msgs, last := a.take()
		if len(msgs) == 0 {
			continue
		}
		if err := a.publishRound(ctx, msgs, last); err != nil {
			return err
		}
		a.l.pos.set(last)
		a.recycle(msgs)
	}
}

// recycle keeps the buffers of a round that is published, and sent: the client library has copied them.
func (a *archiver) recycle(msgs []*nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spare = a.spare[:0]
	for _, m := range msgs[:min(len(msgs), archiveParts)] {
		a.spare = append(a.spare, m.Data[:0])
	}
}

func (a *archiver) bufferLocked() []byte {
	n := len(a.spare)
	if n == 0 {
		return make([]byte, 0, 4096)
	}
	b := a.spare[n-1]
	a.spare = a.spare[:n-1]
	return b
}

// behind reports whether there is, or may be, something that no follower gives.
func (a *archiver) behind() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	missed := a.missed || a.l.followers.Load() == 0
	a.missed = false
	return missed
}

// read collects what the live stream has after the last entry collected. It returns when that is through and there is a
// follower to go on.
func (a *archiver) read(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.mu.Lock()
	from := a.last + 1
	a.mu.Unlock()
	caughtUp, done := false, false
	look := func() {
		if caughtUp && a.l.followers.Load() > 0 {
			done = true
			cancel()
		}
	}
	err := a.l.follow(ctx, from, Follower{
		Entry:    func(e Entry) { a.add(e); look() },
		CaughtUp: func(uint64) { caughtUp = true; look() },
		Pace:     archiveEvery,
	}, false)
	if done {
		return nil
	}
	return err
}

// offer takes an entry from a follower if it is the next one and there is room. prev is the entry that the follower had
// before. It does not wait.
func (a *archiver) offer(prev uint64, e Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case e.Seq <= a.last:
	case prev > a.last || a.bytes >= 2*archiveMaxRound:
		a.missed = true
	default:
		a.collectLocked(e)
	}
}

// add takes an entry that the archiver read itself. It blocks while a whole round waits to be published, and so does the
// server.
func (a *archiver) add(e Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.bytes >= archiveMaxRound && !a.ended {
		a.room.Wait()
	}
	if !a.ended && e.Seq > a.last {
		a.collectLocked(e)
	}
}

func (a *archiver) collectLocked(e Entry) {
	part := partition(e.Key)
	b := a.open[part]
	if size := len(e.Data) + len(e.Key) + 3*binary.MaxVarintLen64; len(b) > 0 && len(b)+size > archiveMaxBatch {
		a.full = append(a.full, &nats.Msg{Subject: names.ArchiveSubject(a.l.cfg.Region, part), Data: b})
		b = nil
	}
	if b == nil {
		b = append(a.bufferLocked(), archiveFormat)
	}
	n := len(b)
	b = appendArchived(b, e)
	a.open[part] = b
	a.bytes += len(b) - n
	a.last = e.Seq
	if a.bytes >= archiveMaxRound {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// take ends the round that is being collected.
func (a *archiver) take() (msgs []*nats.Msg, last uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	msgs, last = a.full, a.last
	for part, b := range a.open {
		msgs = append(msgs, &nats.Msg{Subject: names.ArchiveSubject(a.l.cfg.Region, part), Data: b})
	}
	a.full, a.open, a.bytes = nil, make(map[string][]byte, len(a.open)), 0
	a.room.Broadcast()
	return msgs, last
}

// publishRound returns when the whole round is confirmed.
func (a *archiver) publishRound(ctx context.Context, msgs []*nats.Msg, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	end := msgs[len(msgs)-1]
	end.Header = nats.Header{headerArchived: []string{strconv.FormatUint(last, 10)}, headerStream: []string{a.live}}
	seqs, err := a.publish(ctx, msgs[:len(msgs)-1])
	if err != nil {
		return err
	}
	endSeq, err := a.publish(ctx, []*nats.Msg{end})
	if err != nil {
		return err
	}
	a.publishIndex(ctx, msgs, append(seqs, endSeq...))
	return nil
}

// publish sends all messages and then waits for all answers. It returns the sequences that the messages got.
func (a *archiver) publish(ctx context.Context, msgs []*nats.Msg) ([]uint64, error) {
	var errs []error
	seqs := make([]uint64, 0, len(msgs)+1)
	calls := make([]pending, 0, len(msgs))
	for _, m := range msgs {
		p, err := a.l.req.send(m, 0)
		if err != nil {
			errs = append(errs, err)
			break
		}
		calls = append(calls, p)
	}
	for _, p := range calls {
		reply, err := a.l.req.wait(ctx, p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if ack, err := parseAck(reply.Data); err != nil {
			errs = append(errs, err)
		} else if f := ack.Error; f != nil {
			errs = append(errs, a.l.writeError("write to", "the archive", f))
		} else {
			seqs = append(seqs, ack.Seq)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, requestError("write to", "the archive", err)
	}
	return seqs, nil
}

// Archived returns the sequence up to which the live stream is in the archive.
func (l *Log) Archived(ctx context.Context) (uint64, error) {
	if seq, known, _ := l.pos.get(); known {
		return seq, nil
	}
	ctx, cancel := withDeadline(ctx, appendTimeout)
	defer cancel()
	seq, _, err := l.readArchived(ctx)
	return seq, err
}

// Retire removes the entries of key up to and including upto from the live stream as soon as they are in the archive, and
// waits for that for as long as ctx allows. Nothing happens to entries after upto: a call-id may come back to life.
func (l *Log) Retire(ctx context.Context, key string, upto uint64) error {
	if err := l.waitArchived(ctx, upto); err != nil {
		return fmt.Errorf("retire %s: %w", key, err)
	}
	return l.Purge(ctx, key, upto)
}

// Trim removes all entries of all keys before sequence below as soon as they are in the archive, and waits for that for as
// long as ctx allows. It costs as much as one Retire, whatever it removes. The caller knows that no call that is to stay
// has an entry before below: it takes the least of the first sequences of those calls, or the sequence after the last
// entry that it has folded.
//
// On a mirror, Retire, Trim and [Log.Purge] remove entries here and nowhere else, and wait until the mirror of the archive has
// them.
func (l *Log) Trim(ctx context.Context, below uint64) error {
	if below <= 1 {
		return nil
	}
	if err := l.waitArchived(ctx, below-1); err != nil {
		return fmt.Errorf("trim below %d: %w", below, err)
	}
	return l.purge(ctx, "all", fmt.Sprintf(`{"seq":%d}`, below))
}

// waitArchived returns when the live stream is archived up to seq.
func (l *Log) waitArchived(ctx context.Context, seq uint64) error {
	for {
		pos, known, change := l.pos.get()
		if !known {
			var err error
			if pos, err = l.Archived(ctx); err != nil {
				return err
			}
		}
		if pos >= seq {
			return nil
		}
		var again <-chan time.Time
		if !known { // another node archives: nobody tells us
			again = time.After(archiveEvery)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not archived yet: %w", ctx.Err())
		case <-change:
		case <-again:
		}
	}
}

func appendArchived(b []byte, e Entry) []byte {
	b = binary.AppendUvarint(b, e.Seq)
	b = binary.AppendVarint(b, e.Time.UnixNano())
	b = binary.AppendUvarint(b, uint64(len(e.Key)))
	b = append(b, e.Key...)
	b = binary.AppendUvarint(b, uint64(len(e.Data)))
	return append(b, e.Data...)
}

var errArchiveMessage = errors.New("malformed archive message")

// eachArchived calls f with each entry of an archive message. Data is a part of b.
func eachArchived(b []byte, f func(Entry)) error {
	if len(b) == 0 || b[0] != archiveFormat {
		return fmt.Errorf("%w: unknown format", errArchiveMessage)
	}
	b = b[1:]
	for len(b) > 0 {
		var e Entry
		var n int
		if e.Seq, n = binary.Uvarint(b); n <= 0 {
			return errArchiveMessage
		}
		b = b[n:]
		at, n := binary.Varint(b)
		if n <= 0 {
			return errArchiveMessage
		}
		e.Time = time.Unix(0, at)
		b = b[n:]
		var key []byte
		var ok bool
		if key, b, ok = cutBytes(b); !ok {
			return errArchiveMessage
		}
		e.Key = string(key)
		if e.Data, b, ok = cutBytes(b); !ok {
			return errArchiveMessage
		}
		f(e)
	}
	return nil
}

// cutBytes reads a length and as many bytes.
func cutBytes(b []byte) (head, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}
