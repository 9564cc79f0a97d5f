package embed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Follower receives the entries of the log. Its functions are called one at a time.
type Follower struct {
	// Entry is called with each entry, in the order of the stream, once. As long as it blocks, nothing more is read.
	Entry func(Entry)
	// CaughtUp is called once, when every entry that the stream had at the start of Follow has been given to Entry. last is
	// the sequence at which the stream ended then. It may be nil.
	CaughtUp func(last uint64)
	// Pace is the least time from one batch of entries to the next, once the backlog is through. An entry after a pause
	// comes at once; under load entries come together, and cost a third of what they cost one by one (BenchmarkCall). 0:
	// 2 ms. Negative: none.
	Pace time.Duration
}

// Numbers of a follower. A request that the server does not answer or keep alive within followSilence is lost, and
// probably the server with it.
const (
	followPace      = 2 * time.Millisecond
	followHeartbeat = 500 * time.Millisecond
	followSilence   = 3 * followHeartbeat
	followExpires   = 30 * time.Second
	followRetry     = 100 * time.Millisecond
	followBatch     = 5000 // entries
	followBytes     = 8 << 20
)

// Follow delivers every entry of the region from sequence from on (1 is the first), and returns only when ctx ends, the
// connection is closed, or the stream turns out to be shorter than what was delivered from it (ErrReset). A lost
// connection, a lost message and a server that restarts are its own business: it goes on after the last entry delivered.
func (l *Log) Follow(ctx context.Context, from uint64, f Follower) error {
	l.followers.Add(1)
	defer l.followers.Add(-1)
	return l.follow(ctx, from, f, true)
}

// follow is Follow; taps says whether the archiver may have the entries, too.
func (l *Log) follow(ctx context.Context, from uint64, f Follower, taps bool) error {
	switch {
	case f.Pace == 0:
		f.Pace = followPace
	case f.Pace < 0:
		f.Pace = 0
	}
	r := &follow{l: l, stream: l.callsStream(), f: f, taps: taps, next: max(from, 1), caughtUp: f.CaughtUp == nil}
	for {
		err := r.run(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrReset):
			return err
		case l.nc.IsClosed():
			return fmt.Errorf("follow %s: %w: %w", r.stream, ErrUnavailable, nats.ErrConnectionClosed)
		}
		l.log.Debug("follow the event log again", "stream", r.stream, "from", r.next, "cause", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followRetry):
		}
	}
}

func (l *Log) callsStream() string { return callsStream(l.cfg.Region) }

// follow is one call of Follow: a series of consumers, each going on where the last one broke.
type follow struct {
	l       *Log
	stream  string
	f       Follower
	taps    bool
	created time.Time // of the stream, to notice a new one of the same name

	mu       sync.Mutex // serialises f; held while it is called
	next     uint64     // the sequence to go on from
	goal     uint64     // caught up when this one is through
	caughtUp bool
}

// run follows with one consumer until that breaks.
func (r *follow) run(ctx context.Context) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	c := &consumer{follow: r, name: nuid.Next(), inbox: r.l.nc.NewInbox() + ".", broken: make(chan error, 1), ended: make(chan bool, 1)}
	sub, err := r.l.nc.Subscribe(c.inbox+"*", c.receive)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer func() {
		c.stopped.Store(true)
		_ = sub.Unsubscribe()
		c.mu.Lock()   // wait for the delivery that is being handled; there is none after it
		c.mu.Unlock() //nolint:staticcheck // see above
		r.l.dropConsumer(r.stream, c.name)
	}()
	if err := sub.SetPendingLimits(-1, -1); err != nil { // a request bounds what is under way
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := c.create(ctx); err != nil {
		return err
	}
	for {
		start := time.Now()
		full, err := c.pull(ctx)
		if err != nil {
			return err
		}
		if wait := r.f.Pace - time.Since(start); !full && wait > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
		}
	}
}

// look reads where the stream stands and compares it with what was delivered.
func (r *follow) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	s, err := r.l.js.Stream(ctx, r.stream)
	if err != nil {
		return requestError("follow", r.stream, err)
	}
	info := s.CachedInfo()
	r.mu.Lock()
	defer r.mu.Unlock()
	if info.State.LastSeq+1 < r.next {
		return fmt.Errorf("follow %s: %w: it ends at %d, before %d", r.stream, ErrReset, info.State.LastSeq, r.next)
	}
	if !r.created.IsZero() && !r.created.Equal(info.Created) {
		return fmt.Errorf("follow %s: %w: it was created again at %v", r.stream, ErrReset, info.Created)
	}
	r.created = info.Created
	if !r.caughtUp {
		r.goal = info.State.LastSeq
		if r.goal < r.next || info.State.Msgs == 0 {
			r.reachLocked()
		}
	}
	return nil
}

// reachLocked tells the follower that the backlog is through.
func (r *follow) reachLocked() {
	if !r.caughtUp {
		r.caughtUp = true
		r.f.CaughtUp(r.goal)
	}
}

// consumer is one consumer of the server, read by one request after the other. receive runs on the goroutine of its
// subscription.
type consumer struct {
	*follow
	name  string
	inbox string

	beats   atomic.Uint64 // messages of any kind
	busy    atomic.Bool   // f.Entry is being called
	stopped atomic.Bool
	request atomic.Uint64 // number of the request that is under way
	broken  chan error
	ended   chan bool // the request is through; true if there may be more at once

	// Of receive only:
	seq  uint64 // number of the last delivery
	got  int    // deliveries of request counted
	last uint64 // the request that got belongs to
}

func (c *consumer) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	req, err := json.Marshal(map[string]any{
		"stream_name": c.stream,
		"config": jetstream.ConsumerConfig{
			Name:              c.name,
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       c.next,
			AckPolicy:         jetstream.AckNonePolicy,
			ReplayPolicy:      jetstream.ReplayInstantPolicy,
			MemoryStorage:     true,
			Replicas:          1,
			MaxWaiting:        4,
			InactiveThreshold: 2 * followExpires,
		},
	})
	if err != nil {
		return fmt.Errorf("encode consumer: %w", err)
	}
	var reply struct {
		Error *apiFault `json:"error"`
	}
	if err := c.l.api(ctx, "CONSUMER.CREATE."+c.stream+"."+c.name, req, &reply); err != nil {
		return requestError("follow", c.stream, err)
	}
	if e := reply.Error; e != nil {
		return apiError("follow", c.stream, e.Code, e.ErrCode, e.Description)
	}
	return nil
}

// pull asks for one batch and returns when it was handled. full is true if there may be more at once.
//
// A request with no_wait ends when the stream does. With an expiry it waits for the first entry, if there is none, and
// ends when it has delivered all that there is by then.
func (c *consumer) pull(ctx context.Context) (full bool, err error) {
	req := fmt.Sprintf(`{"batch":%d,"max_bytes":%d,"no_wait":true`, followBatch, followBytes)
	c.mu.Lock()
	waits := c.caughtUp
	c.mu.Unlock()
	if waits {
		req += fmt.Sprintf(`,"expires":%d,"idle_heartbeat":%d`, followExpires, followHeartbeat)
	}
	n := strconv.FormatUint(c.request.Add(1), 36)
	if err := c.l.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+c.stream+"."+c.name, c.inbox+n, []byte(req+"}")); err != nil {
		return false, err
	}
	watch := time.NewTimer(followSilence)
	defer watch.Stop()
	for seen := c.beats.Load(); ; {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case err := <-c.broken:
			return false, err
		case full := <-c.ended:
			return full, nil
		case <-watch.C:
			now := c.beats.Load()
			if now == seen && !c.busy.Load() {
				return false, errors.New("the server is silent")
			}
			seen = now
			watch.Reset(followSilence)
		}
	}
}

// end ends the request that is under way, once.
func (c *consumer) end(full bool) {
	select {
	case c.ended <- full:
	default:
	}
}

func (c *consumer) fail(err error) {
	c.stopped.Store(true)
	select {
	case c.broken <- err:
	default:
	}
}

func (c *consumer) receive(m *nats.Msg) {
	c.beats.Add(1)
	if c.stopped.Load() {
		return
	}
	if code := status(m); code != "" {
		c.control(m, code)
		return
	}
	d, ok := parseDelivery(m.Reply)
	if !ok {
		c.fail(fmt.Errorf("unexpected reply subject %q", m.Reply))
		return
	}
	if d.consumerSeq != c.seq+1 {
		c.fail(fmt.Errorf("a gap: delivery %d follows %d", d.consumerSeq, c.seq))
		return
	}
	c.seq = d.consumerSeq
	if n := c.request.Load(); n != c.last {
		c.last, c.got = n, 0
	}
	c.got++
	c.handle(m, d)
	if c.got == followBatch {
		c.end(true)
	}
}

func (c *consumer) handle(m *nats.Msg, d delivery) {
	key := strings.TrimPrefix(m.Subject, c.l.prefix)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.Load() {
		return
	}
	c.busy.Store(true)
	e := Entry{Seq: d.streamSeq, Key: key, Data: m.Data, Time: time.Unix(0, d.time), Pending: d.pending}
	if a := c.l.tap.Load(); a != nil && c.taps {
		a.offer(c.next-1, e)
	}
	c.f.Entry(e)
	c.next = d.streamSeq + 1
	if !c.caughtUp && (d.pending == 0 || d.streamSeq >= c.goal) {
		c.reachLocked()
	}
	c.busy.Store(false)
}

// control handles what the server says about a request.
func (c *consumer) control(m *nats.Msg, code string) {
	if m.Subject != c.inbox+strconv.FormatUint(c.request.Load(), 36) {
		return // about an earlier one
	}
	what := m.Header.Get("Description")
	switch {
	case code == "100": // it waits
	case code == "404": // nothing, or nothing more
		c.mu.Lock()
		c.reachLocked() // what was purged meanwhile is not waited for
		c.mu.Unlock()
		c.end(false)
	case code == "408":
		c.end(false)
	case code == "409" && (strings.Contains(what, "MaxBytes") || strings.Contains(what, "Batch Completed")):
		c.end(true)
	default:
		c.fail(fmt.Errorf("the server ended the request: %s %s", code, what))
	}
}

// dropConsumer deletes a consumer. The server would do it by itself after a while, but until then each costs time at every
// purge. Nobody waits for the answer; a request that has no reply subject is not obeyed.
func (l *Log) dropConsumer(stream, name string) {
	_ = l.nc.PublishRequest("$JS.API.CONSUMER.DELETE."+stream+"."+name, l.req.prefix+"none", nil)
}

// api asks the JetStream API and decodes the answer into out.
func (l *Log) api(ctx context.Context, verb string, req []byte, out any) error {
	m, err := l.req.do(ctx, &nats.Msg{Subject: "$JS.API." + verb, Data: req})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(m.Data, out); err != nil {
		return fmt.Errorf("decode answer to %s: %w", verb, err)
	}
	return nil
}
