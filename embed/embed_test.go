package embed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed/embedtest"
	"rtpjet/embed/internal/names"
)

func TestMain(m *testing.M) { embedtest.Run(m) }

func testLogger(testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func openLog(t testing.TB, nc *nats.Conn) *Log {
	t.Helper()
	l, err := Open(t.Context(), nc, Config{Region: "r", Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// newLog is a log on a server of its own.
func newLog(t testing.TB) *Log {
	t.Helper()
	return openLog(t, connect(t, startServer(t, t.TempDir(), "")))
}

// TestNext: the first entry of any call from a sequence on, removed ones passed over.
func TestNext(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	next := func(seq uint64) (uint64, bool) {
		t.Helper()
		e, found, err := l.Next(t.Context(), seq)
		if err != nil || found && (e.Time.IsZero() || len(e.Data) == 0) {
			t.Fatalf("%+v, %v", e, err)
		}
		return e.Seq, found
	}
	if seq, found := next(1); found {
		t.Errorf("an empty log has %d", seq)
	}
	a := mustAppend(t, l, "k1", 0, "one")
	b := mustAppend(t, l, "k2", 0, "two")
	if seq, found := next(a); !found || seq != a {
		t.Errorf("%d, want %d", seq, a)
	}
	if err := l.Purge(t.Context(), "k1", a); err != nil {
		t.Fatal(err)
	}
	if seq, found := next(a); !found || seq != b {
		t.Errorf("%d, want %d", seq, b)
	}
	if seq, found := next(b + 1); found {
		t.Errorf("beyond the end there is %d", seq)
	}
}

func mustAppend(t testing.TB, l *Log, key string, last uint64, data string) uint64 {
	t.Helper()
	seq, err := l.Append(t.Context(), key, last, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func show(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d:%s=%s ", e.Seq, e.Key, e.Data)
	}
	return strings.TrimSpace(b.String())
}

// recorder is a Follower's other end.
type recorder struct {
	mu      sync.Mutex
	entries []Entry
	caught  chan uint64
	grown   chan struct{}
}

func startFollow(t testing.TB, l *Log, from uint64) *recorder {
	t.Helper()
	r := &recorder{caught: make(chan uint64, 1), grown: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- l.Follow(ctx, from, Follower{
			Entry: func(e Entry) {
				r.mu.Lock()
				r.entries = append(r.entries, e)
				r.mu.Unlock()
				select {
				case r.grown <- struct{}{}:
				default:
				}
			},
			CaughtUp: func(last uint64) { r.caught <- last },
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func (r *recorder) all() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Entry(nil), r.entries...)
}

// until waits for n entries.
func (r *recorder) until(t testing.TB, n int) []Entry {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		if got := r.all(); len(got) >= n {
			return got
		}
		select {
		case <-r.grown:
		case <-timeout:
			t.Fatalf("%d entries within 30 s, want %d", len(r.all()), n)
		}
	}
}

func (r *recorder) caughtUp(t testing.TB) uint64 {
	t.Helper()
	select {
	case last := <-r.caught:
		return last
	case <-time.After(30 * time.Second):
		t.Fatal("not caught up within 30 s")
		return 0
	}
}

func TestAppendAndConflict(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	a := mustAppend(t, l, "k1", 0, "one")
	b := mustAppend(t, l, "k1", a, "two")
	mustAppend(t, l, "k2", 0, "other")

	for _, last := range []uint64{0, a, b + 1, 99} {
		_, err := l.Append(t.Context(), "k1", last, []byte("late"))
		var c *ConflictError
		if !errors.Is(err, ErrConflict) || !errors.As(err, &c) || c.Key != "k1" || c.Last != b {
			t.Errorf("append after %d: %v, want a conflict that ends at %d", last, err, b)
		}
	}
	got, last, err := l.Since(t.Context(), "k1", 0)
	if err != nil || show(got) != "1:k1=one 2:k1=two" || last != b {
		t.Errorf("since 0: %s, %d, %v", show(got), last, err)
	}
	got, last, err = l.Since(t.Context(), "k1", a)
	if err != nil || show(got) != "2:k1=two" || last != b {
		t.Errorf("since %d: %s, %d, %v", a, show(got), last, err)
	}
	got, last, err = l.Since(t.Context(), "k1", b)
	if err != nil || len(got) != 0 || last != b {
		t.Errorf("since the end: %s, %d, %v", show(got), last, err)
	}
	got, last, err = l.Since(t.Context(), "nobody", 0)
	if err != nil || len(got) != 0 || last != 0 {
		t.Errorf("since of an unknown key: %s, %d, %v", show(got), last, err)
	}
}

// TestAppendRace: of many that append after the same entry, one wins.
func TestAppendRace(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	const writers, rounds = 16, 50
	var last uint64
	for round := range rounds {
		wins := make(chan uint64, writers)
		var wg sync.WaitGroup
		for writer := range writers {
			wg.Go(func() {
				seq, err := l.Append(t.Context(), "k", last, fmt.Append(nil, writer))
				switch {
				case err == nil:
					wins <- seq
				case !errors.Is(err, ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(wins) != 1 {
			t.Fatalf("round %d: %d winners", round, len(wins))
		}
		last = <-wins
	}
}

// TestAppendTwice: the same bytes are stored once, although the repetition does not know of the first.
func TestAppendTwice(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	ctx := t.Context()
	first, err := l.Append(ctx, "k", 0, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Append(ctx, "k", 0, []byte("x"))
	if err != nil || again != first {
		t.Errorf("repeated append: %d, %v; want %d", again, err, first)
	}
	if _, err := l.Append(ctx, "k", 0, []byte("y")); !errors.Is(err, ErrConflict) {
		t.Errorf("another append: %v, want a conflict", err)
	}
}

func TestAppendTooLarge(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	_, err := l.Append(t.Context(), "k", 0, make([]byte, MaxEntry+1))
	if !errors.Is(err, ErrFull) {
		t.Errorf("%v, want %v", err, ErrFull)
	}
}

func TestStreamLimit(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	l, err := Open(t.Context(), nc, Config{Region: "r", MaxBytes: 10_000, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 100 {
		if _, err = l.Append(t.Context(), fmt.Sprint("k", i), 0, make([]byte, 1000)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("%v, want %v", err, ErrFull)
	}
	if got, _, err := l.Since(t.Context(), "k0", 0); err != nil || len(got) != 1 {
		t.Errorf("the first entry was given up for a later one: %v, %v", got, err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	empty := startFollow(t, l, 1)
	if last := empty.caughtUp(t); last != 0 {
		t.Errorf("caught up with nothing at %d", last)
	}
	a := mustAppend(t, l, "k1", 0, "one")
	mustAppend(t, l, "k2", 0, "two")
	c := mustAppend(t, l, "k1", a, "three")
	want := "1:k1=one 2:k2=two 3:k1=three"
	if got := show(empty.until(t, 3)); got != want {
		t.Errorf("from the start: %s", got)
	}
	late := startFollow(t, l, 2)
	if last := late.caughtUp(t); last != c {
		t.Errorf("caught up at %d, want %d", last, c)
	}
	if got := show(late.all()); got != "2:k2=two 3:k1=three" {
		t.Errorf("from 2, when caught up: %s", got)
	}
	if got := late.all(); time.Since(got[0].Time).Abs() > time.Minute || got[1].Pending != 0 {
		t.Errorf("details of an entry: %+v", got)
	}
	end := startFollow(t, l, 4)
	if last := end.caughtUp(t); last != c || len(end.all()) != 0 {
		t.Errorf("from the end: caught up at %d with %s", last, show(end.all()))
	}
}

// TestFollowLeavesNothing: a consumer that is left behind would cost time at every purge.
func TestFollowLeavesNothing(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	mustAppend(t, l, "k", 0, "x")
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		err := l.Follow(ctx, 1, Follower{Entry: func(Entry) {}, CaughtUp: func(uint64) { cancel() }})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; {
		s, err := l.js.Stream(t.Context(), l.callsStream())
		if err != nil {
			t.Fatal(err)
		}
		n := s.CachedInfo().State.Consumers
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d consumers are left", n)
		}
	}
}

func TestFollowBeyondEnd(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	mustAppend(t, l, "k", 0, "x")
	if err := l.Follow(t.Context(), 12, Follower{Entry: func(Entry) {}}); !errors.Is(err, ErrReset) {
		t.Errorf("%v, want %v", err, ErrReset)
	}
}

// TestFollowPurgedTail: what was purged at the end of the backlog is not waited for.
func TestFollowPurgedTail(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	mustAppend(t, l, "k1", 0, "one")
	b := mustAppend(t, l, "k2", 0, "two")
	if err := l.Purge(t.Context(), "k2", b); err != nil {
		t.Fatal(err)
	}
	r := startFollow(t, l, 1)
	r.caughtUp(t)
	if got := show(r.all()); got != "1:k1=one" {
		t.Errorf("when caught up: %s", got)
	}
	gone := startFollow(t, l, 2) // no entry is left
	gone.caughtUp(t)
}

// TestFollowAcrossRestart: a follower of a server elsewhere goes on where it was when that comes back.
func TestFollowAcrossRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, "127.0.0.1:0")
	url := s.ClientURL()
	nc, err := Connect(t.Context(), "n2", []string{url}, Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l := openLog(t, nc)
	a := mustAppend(t, l, "k", 0, "before")
	r := startFollow(t, l, 1)
	r.caughtUp(t)
	end(s)

	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := l.Append(ctx, "k", a, []byte("nobody")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append without a server: %v, want %v", err, ErrUnavailable)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("append without a server took %v", d)
	}

	startServer(t, dir, strings.TrimPrefix(url, "nats://"))
	for { // the first appends may come before the connection does
		if _, err := l.Append(t.Context(), "k", a, []byte("after")); err == nil {
			break
		} else if !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if got := show(r.until(t, 2)); got != "1:k=before 2:k=after" {
		t.Errorf("across the restart: %s", got)
	}
}

// TestRestart: entries are there after the server was dropped in the middle of things, and the follower of the old one
// ends.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, "")
	nc := connect(t, s)
	l := openLog(t, nc)
	const n = 500
	for i := range n {
		mustAppend(t, l, fmt.Sprint("k", i%50), lastOf(t, l, fmt.Sprint("k", i%50)), fmt.Sprint(i))
	}
	end(s) // under the clients

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := l.Append(ctx, "x", 0, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append after the shutdown: %v", err)
	}
	l2 := openLog(t, connect(t, startServer(t, dir, "")))
	r := startFollow(t, l2, 1)
	if last := r.caughtUp(t); last != n {
		t.Errorf("caught up at %d, want %d", last, n)
	}
	for i, e := range r.all() {
		if e.Seq != uint64(i+1) || string(e.Data) != fmt.Sprint(i) {
			t.Fatalf("entry %d: %+v", i, e)
		}
	}
}

func lastOf(t testing.TB, l *Log, key string) uint64 {
	t.Helper()
	_, last, err := l.Since(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestNewerStream(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	l := openLog(t, nc)
	sc := callsConfig(l.cfg)
	sc.Metadata = map[string]string{metaFormat: "7"}
	if _, err := l.js.UpdateStream(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), nc, Config{Region: "r"})
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "CALLS_r") {
		t.Errorf("%v, want %v", err, ErrNewer)
	}
	s, err := l.js.Stream(t.Context(), sc.Name)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config.Metadata[metaFormat]; got != "7" {
		t.Errorf("the newer stream was changed to format %s", got)
	}
}

func TestNoJetStream(t *testing.T) {
	t.Parallel()
	_, err := Connect(t.Context(), "n", []string{"nats://127.0.0.1:1"}, Credentials{})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v, want %v", err, ErrUnavailable)
	}
}

func TestInstanceID(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	a, err := openLog(t, nc).InstanceID(t.Context())
	if err != nil || len(a) != 12 {
		t.Fatalf("%q, %v", a, err)
	}
	if b, err := openLog(t, nc).InstanceID(t.Context()); err != nil || a != b {
		t.Errorf("opened again: %q, %v; want %q", b, err, a)
	}
}

// TestOpenAgain: a stream that is as it should be is not written to.
func TestOpenAgain(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	l := openLog(t, nc)
	for _, want := range []jetstream.StreamConfig{callsConfig(l.cfg), archiveConfig(l.cfg), indexConfig(l.cfg)} {
		s, err := l.js.Stream(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		have := s.CachedInfo().Config
		want.Replicas = 1
		if !sameConfig(have, want) {
			t.Errorf("%s would be updated from\n%+v to\n%+v", want.Name, have, want)
		}
		want.MaxBytes = 1 << 30
		if sameConfig(have, want) {
			t.Errorf("%s would not get another size", want.Name)
		}
	}
}

// TestStreamNotFound: a server that has just begun to lead the list of streams may say that there is none which is there. Who
// has opened the log asks again, and who only looks does not.
func TestStreamNotFound(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	l := openLog(t, nc)
	if err := l.js.DeleteStream(t.Context(), names.LeasesStream(l.cfg.Region)); err != nil {
		t.Fatal(err)
	}
	looking, err := Attach(t.Context(), nc, l.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(looking.Close)
	if _, err := looking.GetLease(t.Context(), "k"); !hasCode(err, codeStreamNotFound) {
		t.Errorf("a tool that looks: %v", err)
	}
	questions, err := nc.SubscribeSync("$JS.API.STREAM.MSG.GET." + names.LeasesStream(l.cfg.Region))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan error)
	go func() {
		_, err := l.GetLease(t.Context(), "k")
		asked <- err
	}()
	for range 2 {
		if _, err := questions.NextMsgWithContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.js.CreateOrUpdateKeyValue(t.Context(), leasesConfig(l.cfg)); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Errorf("it is there again: %v", err)
	}
}
