package regions

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/node/notetest"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/projection/projectiontest"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// stream is a log in memory. It is safe for concurrent use.
type stream struct {
	mu      sync.Mutex
	entries []embed.Entry
	last    uint64
	life    int           // how often it was made anew
	changed chan struct{} // closed, and made anew, when something has changed
}

func newStream() *stream { return &stream{changed: make(chan struct{})} }

func (s *stream) changedLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// append is compare-and-set, like the log's.
func (s *stream) append(key string, last uint64, list ...[]byte) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var have uint64
	for _, e := range s.entries {
		if e.Key == key {
			have = e.Seq
		}
	}
	if have != last {
		return 0, embed.ErrConflict
	}
	for _, data := range list {
		s.last++
		s.entries = append(s.entries, embed.Entry{Seq: s.last, Key: key, Data: data})
	}
	s.changedLocked()
	return s.last, nil
}

// add appends events of calls whatever there is of them.
func (s *stream) add(list ...events.Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, env := range list {
		s.last++
		s.entries = append(s.entries, embed.Entry{Seq: s.last, Key: events.Key(env.Call), Data: encode(env)})
	}
	s.changedLocked()
}

// renew empties the stream, as one that is made anew.
func (s *stream) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.last = nil, 0
	s.life++
	s.changedLocked()
}

func (s *stream) since(key string, after uint64) (out []embed.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.Key == key && e.Seq > after {
			out = append(out, e)
		}
	}
	return out
}

// events are those of a call.
func (s *stream) events(t *testing.T, callID string) (out []events.Envelope) {
	t.Helper()
	for _, e := range s.since(events.Key(callID), 0) {
		env, err := events.Decode(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, env)
	}
	return out
}

// follow is that of a log, which reads on at once.
func (s *stream) follow(ctx context.Context, from uint64, f embed.Follower) error {
	s.mu.Lock()
	life := s.life
	s.mu.Unlock()
	for caughtUp := false; ; {
		s.mu.Lock()
		entries, last, changed := slices.Clone(s.entries), s.last, s.changed
		reset := s.life != life
		s.mu.Unlock()
		if reset {
			return embed.ErrReset
		}
		for _, e := range entries {
			if e.Seq >= from {
				f.Entry(e)
				from = e.Seq + 1
			}
		}
		if !caughtUp && f.CaughtUp != nil {
			f.CaughtUp(last)
		}
		caughtUp = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func encode(env events.Envelope) []byte {
	data, err := events.Encode(env)
	if err != nil {
		panic(err)
	}
	return data
}

// fakeRegion is another region: its mirror, and what it answers.
type fakeRegion struct {
	notetest.Journal
	looked notetest.Journal // looks into the mirror
	*stream
	name string

	mu        sync.Mutex
	greeting  regions.Hello // what it answers to greetings
	silent    bool          // it answers nothing
	slowHello time.Duration // it answers a greeting after that time
	answers   func(tokens string, data []byte) ([]byte, error)
	home      map[string]uint64 // the calls of its own stream
	replaced  string            // why its streams are others
	failing   error             // of whatever is asked of its mirror and its stream
	slow      chan struct{}     // the mirror is followed when it is closed; nil: at once
	before    func()            // called once, before the next append
	broken    error             // of following the mirror
}

func newRegion(name string) *fakeRegion {
	return &fakeRegion{name: name, stream: newStream(), greeting: regions.Hello{
		Region: name, Instance: name + "1", Node: "n9", Format: events.Version, Level: events.Level, Ready: true,
	}}
}

// set changes what the region is.
func (f *fakeRegion) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeRegion) state() (silent bool, failing error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.silent, f.failing
}

func (f *fakeRegion) Hello(ctx context.Context, data []byte) ([]byte, error) {
	var h regions.Hello
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, err
	}
	if silent, _ := f.state(); silent {
		<-ctx.Done()
		return nil, embed.ErrUnavailable
	}
	f.mu.Lock()
	wait := f.slowHello
	f.mu.Unlock()
	time.Sleep(wait)
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := f.greeting
	answer.At = time.Now().UnixMicro()
	return json.Marshal(answer)
}

func (f *fakeRegion) Request(ctx context.Context, tokens string, data []byte) ([]byte, error) {
	silent, _ := f.state()
	f.Note("%s", tokens)
	f.mu.Lock()
	answers := f.answers
	f.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return nil, embed.ErrUnavailable
	case answers == nil:
		return nil, embed.ErrNobody
	}
	return answers(tokens, data)
}

func (f *fakeRegion) Since(_ context.Context, key string, after uint64) ([]embed.Entry, uint64, error) {
	f.looked.Note("%s", key)
	if _, err := f.state(); err != nil {
		return nil, 0, err
	}
	return f.since(key, after), 0, nil
}

func (f *fakeRegion) Follow(ctx context.Context, from uint64, to embed.Follower) error {
	f.mu.Lock()
	slow, broken := f.slow, f.broken
	f.mu.Unlock()
	if broken != nil {
		return broken
	}
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f.follow(ctx, from, to)
}

func (f *fakeRegion) Append(_ context.Context, key string, last uint64, data []byte) (uint64, error) {
	f.mu.Lock()
	before := f.before
	f.before = nil
	f.mu.Unlock()
	if before != nil {
		before()
	}
	if _, err := f.state(); err != nil {
		return 0, err
	}
	return f.append(key, last, data)
}

func (f *fakeRegion) Trim(_ context.Context, below uint64) error {
	_, err := f.state()
	if err == nil {
		f.Note("trim below %d", below)
	}
	return err
}

func (f *fakeRegion) Retire(_ context.Context, key string, upto uint64) error {
	f.Note("retire %s up to %d", key, upto)
	return nil
}

func (f *fakeRegion) HomeKeys(context.Context) (map[string]uint64, error) {
	f.Note("home keys")
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.home), f.failing
}

func (f *fakeRegion) MirrorReplaced(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replaced, f.failing
}

func (f *fakeRegion) KeepMirror(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (f *fakeRegion) ResetMirror(context.Context) error {
	if _, err := f.state(); err != nil {
		return err
	}
	f.Note("reset")
	f.renew()
	return nil
}

func (f *fakeRegion) Close() { f.Note("closed") }

// fakeLeases is a bucket of leases.
type fakeLeases struct {
	mu     sync.Mutex
	leases map[string]embed.Lease
	rev    uint64
	cut    bool
	before func() // called once, before the next write
}

func (l *fakeLeases) GetLease(_ context.Context, key string) (embed.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return embed.Lease{}, embed.ErrUnavailable
	}
	return l.leases[key], nil
}

func (l *fakeLeases) PutLease(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	l.mu.Lock()
	before := l.before
	l.before = nil
	l.mu.Unlock()
	if before != nil {
		before()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.cut:
		return 0, embed.ErrUnavailable
	case l.leases[key].Revision != revision:
		return 0, embed.ErrConflict
	}
	l.rev++
	l.leases[key] = embed.Lease{Key: key, Value: value, Revision: l.rev}
	return l.rev, nil
}

// put is another node's write.
func (l *fakeLeases) put(r regions.Record) embed.Lease {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rev++
	lease := embed.Lease{Key: regions.RecordKey(r.Region), Value: data, Revision: l.rev}
	l.leases[lease.Key] = lease
	return lease
}

func (l *fakeLeases) record(t *testing.T, region string) (r regions.Record) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease := l.leases[regions.RecordKey(region)]; lease.Revision > 0 {
		if err := json.Unmarshal(lease.Value, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// fakeServer is where other regions ask this one, and its log.
type fakeServer struct {
	*stream
	mu     sync.Mutex
	listen map[string]func(embed.Msg)
	refuse string                                             // tokens that cannot be subscribed to
	before func(key string, last uint64, list [][]byte) error // AppendAll does that first; nil: nothing
}

const hello = "hello"

func (s *fakeServer) SubscribeHello(f func(embed.Msg)) (func(), error) {
	return s.SubscribeQueue(hello, f)
}

func (s *fakeServer) SubscribeQueue(tokens string, f func(embed.Msg)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tokens == s.refuse {
		return nil, embed.ErrUnavailable
	}
	s.listen[tokens] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listen, tokens)
	}, nil
}

func (s *fakeServer) AppendAll(_ context.Context, key string, last uint64, list [][]byte) (uint64, error) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(key, last, list); err != nil {
			return 0, err
		}
	}
	return s.append(key, last, list...)
}

// ask sends a request of another region, and returns the answer: nil if there is none.
func (s *fakeServer) ask(t *testing.T, tokens string, v any) []byte {
	t.Helper()
	data, ok := v.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	f := s.listen[tokens]
	s.mu.Unlock()
	if f == nil {
		t.Fatalf("nobody listens for %s", tokens)
	}
	answers := make(chan []byte, 1)
	f(embed.NewMsg(tokens, data, func(answer []byte) error { answers <- answer; return nil }))
	synctest.Wait()
	select {
	case a := <-answers:
		return a
	default:
		return nil
	}
}

// fakeHost is a node whose calls are those of a log.
type fakeHost struct {
	notetest.Journal
	log *stream

	mu      sync.Mutex
	is      State
	calls   map[string]*projection.Call // as far as they are folded
	cut     bool                        // the log cannot be read
	full    bool                        // the log takes no events of this node
	orphans []string                    // owners that are gone, and after whose calls this node looks
	answer  func(m *ng.Message) ng.Reply
}

func (h *fakeHost) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *fakeHost) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.is
}

func (h *fakeHost) Handle(ctx context.Context, m *ng.Message) ng.Reply {
	until, _ := ctx.Deadline()
	h.Note("%s %s by %s, %v left", m.Command, m.CallID, m.Via, time.Until(until))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answer == nil {
		return ng.OK()
	}
	return h.answer(m)
}

func (h *fakeHost) Call(key string) Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.calls[key]
	if c == nil {
		return Call{}
	}
	return Call{Known: true, Live: c.Live(), First: c.First}
}

// catchUpLocked folds what the log has of a call.
func (h *fakeHost) catchUpLocked(key string) (*projection.Call, error) {
	c := h.calls[key]
	if c == nil {
		c = &projection.Call{}
	}
	if h.cut {
		return c, embed.ErrUnavailable
	}
	for _, in := range h.log.since(key, c.Seq) {
		env, err := events.Decode(in.Data)
		if err != nil {
			return c, err
		}
		c.ID = env.Call
		c.Apply(in.Seq, env)
		h.calls[key] = c
	}
	return c, nil
}

// fold has the host know all that its log has.
func (h *fakeHost) fold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log.mu.Lock()
	entries := slices.Clone(h.log.entries)
	h.log.mu.Unlock()
	for _, e := range entries {
		if _, err := h.catchUpLocked(e.Key); err != nil {
			panic(err)
		}
	}
}

func (h *fakeHost) Look(_ context.Context, key string) (Call, error) {
	h.Note("look")
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.catchUpLocked(key)
	return Call{Known: c.Gen > 0, Live: c.Live()}, err
}

// writeLocked appends an event to a call and folds it.
func (h *fakeHost) writeLocked(c *projection.Call, ev events.Event) error {
	if h.full {
		return transact.ErrUncertain
	}
	env := events.Envelope{Call: c.ID, Gen: c.Gen, Node: "n1", At: time.Now().UnixMicro(), Event: ev}
	seq, err := h.log.append(events.Key(c.ID), c.Seq, encode(env))
	if err == nil {
		c.Apply(seq, env)
	}
	return err
}

func (h *fakeHost) Adopt(_ context.Context, key, why string, next func(*projection.Call) (regions.Move, error)) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range 6 {
		c, cerr := h.catchUpLocked(key)
		if cerr != nil {
			return cerr
		}
		var move regions.Move
		switch move, err = next(c); move {
		case regions.Rehome:
			ev, derr := projection.DecideTakeover(c, "n1", why, projectiontest.New(), time.Now().UnixMicro())
			if err = derr; err == nil {
				err = h.writeLocked(c, ev)
			}
		case regions.Settled:
			return err
		}
	}
	return err
}

func (h *fakeHost) End(_ context.Context, key string, end events.Ended, which func(*projection.Call) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.calls[key]; c != nil && c.Live() && c.Owner == "n1" && which(c) {
		_ = h.writeLocked(c, end)
	}
}

func (h *fakeHost) EndAll(_ context.Context, end events.Ended, which func(*projection.Call) bool) (left int) {
	h.Note("end all because %s", end.Reason)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c.Live() && which(c) && (c.Owner != "n1" && !slices.Contains(h.orphans, c.Owner) || h.writeLocked(c, end) != nil) {
			left++
		}
	}
	return left
}

// lives tells which calls live by the log of a host.
func (h *fakeHost) lives() (ids []string) {
	h.fold()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c.Live() {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
