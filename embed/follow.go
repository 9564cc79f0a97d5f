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

	"rtpjet/embed/internal/names"
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
	// Gap is called, before any later entry, when entries from sequence from up to and including to may have been missed:
	// they were removed from the stream while the follower was away from it, or it was away for longer than GapAfter, and
	// then some of what it knows may be gone as well; to is where the stream ends by then. Of entries in the gap that are
	// still there, each comes as always. [Log.Keys] tells what there is. It may be nil.
	Gap func(from, to uint64)
	// GapAfter is how long a follower may be away before Gap is called in any case. 0: for ever.
	GapAfter time.Duration
}

// Numbers of a follower. A request that the server does not answer or keep alive for some heartbeats is lost, and probably
// the server with it. In a cluster others have what it had, so it pays to notice soon; a server that stands alone comes back
// when it comes back.
const (
	followPace       = 2 * time.Millisecond
	followHeartbeat  = 500 * time.Millisecond
	followSilence    = 3 * followHeartbeat
	clusterHeartbeat = 250 * time.Millisecond
	clusterSilence   = 3 * clusterHeartbeat
	followExpires    = 30 * time.Second
	followRetry      = 100 * time.Millisecond
	followBatch      = 5000 // entries
	followBytes      = 8 << 20
	followMove       = 15 * time.Second // how often a consumer of another server looks whether ours would do
	followPlaceTries = 8
	followResetAfter = 5 * time.Second // how long a cluster's stream is too short before it counts as another one
)

// Follow delivers every entry of the region from sequence from on (1 is the first), and returns only when ctx ends, the
// connection is closed, or the stream turns out to be shorter than what was delivered from it (ErrReset). A lost
// connection, a lost message and a server that goes away are its own business: it goes on after the last entry delivered.
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
	r := &follow{l: l, stream: l.callsStream(), f: f, next: max(from, 1), resumes: from > 1, caughtUp: f.CaughtUp == nil}
	r.deliver = func(m *nats.Msg, d delivery) {
		e := Entry{
			Seq: d.streamSeq, Key: strings.TrimPrefix(m.Subject, l.prefix), Data: m.Data, Time: time.Unix(0, d.time), Pending: d.pending,
		}
		if a := l.tap.Load(); a != nil && taps {
			a.offer(r.next-1, e)
		}
		f.Entry(e)
	}
	return r.all(ctx)
}

func (l *Log) callsStream() string { return names.Calls(l.cfg.Region) }

// follow is one call of Follow or of FollowLeases: a series of consumers, each going on where the last one broke.
type follow struct {
	l       *Log
	stream  string
	filter  string                    // the subjects to follow; empty: all
	deliver func(*nats.Msg, delivery) // called with what comes
	missing bool                      // a stream that is not there is a reset, and not a reason to wait
	f       Follower                  // all but Entry
	created time.Time                 // of the stream, to notice a new one of the same name
	short   time.Time                 // since when the stream is shorter than it was
	alive   time.Time                 // when there was last a sign of life; zero before the first
	resumes bool                      // what is before next was seen by the caller, or is none of his business

	clustered bool // the stream has a cluster
	local     bool // our own server has a replica of the stream, and there is another one

	mu       sync.Mutex // serialises f and deliver; held while they are called
	next     uint64     // the sequence to go on from
	goal     uint64     // caught up when this one is through
	caughtUp bool
}

// all follows until there is no point in it any more.
func (r *follow) all(ctx context.Context) error {
	for breaks := 0; ; breaks++ {
		before := r.next
		err := r.run(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrReset):
			return err
		case r.l.nc.IsClosed():
			return fmt.Errorf("follow %s: %w: %w", r.stream, ErrUnavailable, nats.ErrConnectionClosed)
		}
		r.l.log.Debug("follow the event log again", "stream", r.stream, "from", r.next, "cause", err)
		if r.next != before {
			breaks = 0
		}
		if breaks == 0 { // the first time it may be better at once
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followRetry):
		}
	}
}

// restart makes the next run begin with a new stream.
func (r *follow) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.created, r.short = 1, time.Time{}, time.Time{}
}

// run follows with one consumer until that breaks.
func (r *follow) run(ctx context.Context) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	c := &consumer{follow: r, inbox: r.l.nc.NewInbox() + ".", broken: make(chan error, 1), ended: make(chan bool, 1)}
	sub, err := r.l.nc.Subscribe(c.inbox+"*", c.receive)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer func() {
		c.stopped.Store(true)
		_ = sub.Unsubscribe()
		c.mu.Lock()   // wait for the delivery that is being handled; there is none after it
		c.mu.Unlock() //nolint:staticcheck // see above
		if c.name != "" {
			r.l.dropConsumer(r.stream, c.name)
		}
	}()
	if err := sub.SetPendingLimits(-1, -1); err != nil { // a request bounds what is under way
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := c.place(ctx); err != nil {
		return err
	}
	looked := time.Now()
	for {
		start := time.Now()
		full, err := c.pull(ctx)
		if err != nil {
			return err
		}
		r.alive = time.Now()
		if r.clustered && !full {
			if err := r.confirm(ctx); err != nil {
				return err
			}
		}
		if r.clustered && !c.atHome && r.alive.Sub(looked) > followMove {
			looked = r.alive
			if err := r.look(ctx); err == nil && r.local {
				return errors.New("our own server has the stream now")
			}
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

// confirm ends the backlog if the leader has nothing more of it. The consumer alone cannot tell: a server that was away sends
// what it has, and gets the rest from the leader later; and what was purged never comes.
func (r *follow) confirm(ctx context.Context) error {
	r.mu.Lock()
	done, next := r.caughtUp, r.next
	r.mu.Unlock()
	if done {
		return nil
	}
	filter := r.filter
	if filter == "" {
		filter = r.l.prefix + ">"
	}
	e, err := r.l.getFrom(ctx, r.stream, r.stream, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, next, filter))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !e.found || e.Seq > r.goal {
		r.reachLocked()
	}
	return nil
}

// streamReply answers STREAM.INFO, as far as anybody here wants to know.
type streamReply struct {
	answer
	Created time.Time `json:"created"`
	State   struct {
		Messages uint64 `json:"messages"`
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
		// Subjects and how many messages each has, if they were asked for.
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
	Cluster struct {
		Name     string `json:"name"`
		Leader   string `json:"leader"`
		Replicas []struct {
			Name string `json:"name"`
		} `json:"replicas"`
	} `json:"cluster"`
	Total  int `json:"total"`
	Offset int `json:"offset"`
}

// holds tells whether a server has a replica of the stream.
func (i *streamReply) holds(server string) bool {
	for _, r := range i.Cluster.Replicas {
		if r.Name == server {
			return true
		}
	}
	return i.Cluster.Leader == server
}

// info asks the stream's leader.
func (r *follow) info(ctx context.Context) (*streamReply, error) {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	info := &streamReply{}
	return info, r.l.callAPI(ctx, "follow", r.stream, "STREAM.INFO."+r.stream, nil, info)
}

// sameStream tells whether the stream is still the one that was followed.
func (r *follow) sameStream(ctx context.Context) (bool, error) {
	info, err := r.info(ctx)
	return err == nil && info.Created.Equal(r.created) && info.State.LastSeq+1 >= r.next, err
}

// look reads where the stream stands and compares it with what was delivered.
func (r *follow) look(ctx context.Context) error {
	info, err := r.info(ctx)
	if r.missing && hasCode(err, codeStreamNotFound) {
		return fmt.Errorf("follow %s: %w: it is gone", r.stream, ErrReset)
	}
	if err != nil {
		return err
	}
	own := r.l.nc.ConnectedServerName()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clustered = info.Cluster.Name != ""
	r.local = len(info.Cluster.Replicas) > 0 && info.holds(own)
	if !r.created.IsZero() && !r.created.Equal(info.Created) {
		return fmt.Errorf("follow %s: %w: it was created again at %v", r.stream, ErrReset, info.Created)
	}
	if info.State.LastSeq+1 < r.next {
		err := fmt.Errorf("follow %s: it ends at %d, before %d", r.stream, info.State.LastSeq, r.next)
		if r.short.IsZero() {
			r.short = time.Now()
		}
		// A leader that was elected just now may still be reading what the others have delivered.
		if r.clustered && time.Since(r.short) < followResetAfter {
			return err
		}
		return fmt.Errorf("%w: %w", ErrReset, err)
	}
	r.short = time.Time{}
	r.tellGapLocked(info.State.FirstSeq, info.State.LastSeq)
	r.created = info.Created
	if !r.caughtUp {
		r.goal = info.State.LastSeq
		if r.goal < r.next || info.State.Messages == 0 {
			r.reachLocked()
		}
	}
	return nil
}

// tellGapLocked calls Gap if something may have been missed since the last sign of life.
func (r *follow) tellGapLocked(first, last uint64) {
	now := time.Now()
	away := !r.alive.IsZero() && r.f.GapAfter > 0 && now.Sub(r.alive) > r.f.GapAfter
	if r.f.Gap == nil || !r.resumes && r.alive.IsZero() {
		return
	}
	r.resumes, r.alive = false, now
	switch {
	case away:
		r.f.Gap(r.next, last)
	case first > r.next:
		r.f.Gap(r.next, first-1)
		r.next = first
	}
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
	name   string
	inbox  string
	atHome bool // it is on the server that we are connected to

	beats   atomic.Uint64 // messages of any kind
	busy    atomic.Bool   // deliver is being called
	stopped atomic.Bool
	request atomic.Uint64 // number of the request that is under way
	broken  chan error
	ended   chan bool // the request is through; true if there may be more at once

	// Of receive only:
	seq  uint64 // number of the last delivery
	got  int    // deliveries of request counted
	last uint64 // the request that got belongs to
}

// place creates the consumer. It has one replica, on one of the stream's servers, which the server picks at random; ours is
// the best: what it sends does not cross the network, and it does not die without us. Nobody can ask for it, so place tries
// until it is ours.
func (c *consumer) place(ctx context.Context) error {
	for try := 1; ; try++ {
		if err := c.create(ctx); err != nil {
			return err
		}
		if !c.local || c.atHome || try == followPlaceTries {
			return nil
		}
		c.l.dropConsumer(c.stream, c.name)
	}
}

func (c *consumer) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	c.name = nuid.Next()
	req, err := json.Marshal(map[string]any{
		"stream_name": c.stream,
		"config": jetstream.ConsumerConfig{
			Name:              c.name,
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       c.next,
			FilterSubject:     c.filter,
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
	verb := "CONSUMER.CREATE." + c.stream + "." + c.name
	if c.filter != "" {
		verb += "." + c.filter
	}
	var reply struct {
		answer
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	if err := c.l.callAPI(ctx, "follow", c.stream, verb, req, &reply); err != nil {
		return err
	}
	c.atHome = reply.Cluster.Leader == c.l.nc.ConnectedServerName()
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
	silence, beat := followSilence, followHeartbeat
	if waits {
		if c.clustered {
			silence, beat = clusterSilence, clusterHeartbeat
		}
		req += fmt.Sprintf(`,"expires":%d,"idle_heartbeat":%d`, followExpires, beat)
	}
	n := strconv.FormatUint(c.request.Add(1), 36)
	if err := c.l.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+c.stream+"."+c.name, c.inbox+n, []byte(req+"}")); err != nil {
		return false, err
	}
	watch := time.NewTimer(silence)
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
			seen, c.alive = now, time.Now()
			watch.Reset(silence)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.Load() {
		return
	}
	c.busy.Store(true)
	c.deliver(m, d)
	c.next = d.streamSeq + 1
	if !c.caughtUp && (d.streamSeq >= c.goal || d.pending == 0 && !c.clustered) {
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
		if !c.clustered {
			c.mu.Lock()
			c.reachLocked() // what was purged meanwhile is not waited for
			c.mu.Unlock()
		}
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

// call asks the JetStream API and decodes the answer into out.
func (l *Log) call(ctx context.Context, verb string, req []byte, out any) error {
	m, err := l.req.do(ctx, &nats.Msg{Subject: "$JS.API." + verb, Data: req})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(m.Data, out); err != nil {
		return fmt.Errorf("decode answer to %s: %w", verb, err)
	}
	return nil
}
