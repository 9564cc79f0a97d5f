package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rtpjet/embed"
	"rtpjet/embed/embedtest"
	"rtpjet/embed/internal/names"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(runChild(spec))
	}
	embedtest.Run(m)
}

func testLogger(testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// startServer starts a server alone, without clients from elsewhere.
func startServer(t testing.TB, dir string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{NodeID: "n1", Region: "r", StoreDir: dir, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t testing.TB, s *Server) *nats.Conn {
	t.Helper()
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// testLog is a log, and what a test asks its server beside it.
type testLog struct {
	*embed.Log
	nc    *nats.Conn
	js    jetstream.JetStream
	calls string // the stream of live calls
}

// newTestLog is what a test has of a log that it closes itself.
func newTestLog(t testing.TB, nc *nats.Conn, l *embed.Log, region string) *testLog {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &testLog{l, nc, js, names.Calls(region)}
}

// openLog opens the log of a region until the test ends.
func openLog(t testing.TB, nc *nats.Conn, cfg embed.Config) *testLog {
	t.Helper()
	cfg.Logger = testLogger(t)
	l, err := embed.Open(t.Context(), nc, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return newTestLog(t, nc, l, cfg.Region)
}

// info asks for the state of a stream, until there is an answer.
func (l *testLog) info(t testing.TB, stream string) (info *jetstream.StreamInfo) {
	t.Helper()
	eventually(t, "the state of "+stream, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := l.js.Stream(ctx, stream)
		if err != nil {
			return false
		}
		info = s.CachedInfo()
		return true
	})
	return info
}

// purgeBelow removes all live entries before a sequence.
func (l *testLog) purgeBelow(t testing.TB, seq uint64) {
	t.Helper()
	s, err := l.js.Stream(t.Context(), l.calls)
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSequence(seq))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, l *testLog, key string, last uint64, data string) uint64 {
	t.Helper()
	seq, err := l.Append(t.Context(), key, last, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func appendMany(t testing.TB, l *testLog, key string, texts ...string) (last uint64) {
	t.Helper()
	for _, s := range texts {
		last = mustAppend(t, l, key, last, s)
	}
	return last
}

func show(entries []embed.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%d:%s=%s ", e.Seq, e.Key, e.Data)
	}
	return strings.TrimSpace(b.String())
}

// history is the data of all entries of a key.
func history(t testing.TB, l *testLog, key string) string {
	t.Helper()
	list, err := l.History(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range list {
		texts = append(texts, string(e.Data))
	}
	return fmt.Sprint(texts)
}

// startArchive archives until the test or the returned function ends it.
func startArchive(t testing.TB, l *testLog) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Archive(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("archive ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// recorder has what a follower got.
type recorder struct {
	mu      sync.Mutex
	entries []embed.Entry
	grown   chan struct{}
}

func startFollow(t testing.TB, l *testLog) *recorder {
	t.Helper()
	r := &recorder{grown: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- l.Follow(ctx, 1, embed.Follower{Entry: func(e embed.Entry) {
			r.mu.Lock()
			r.entries = append(r.entries, e)
			r.mu.Unlock()
			select {
			case r.grown <- struct{}{}:
			default:
			}
		}})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func (r *recorder) all() []embed.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]embed.Entry(nil), r.entries...)
}

// until waits for n entries.
func (r *recorder) until(t testing.TB, n int) []embed.Entry {
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

// eventually waits for a condition that comes by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 60 s: %s", what)
		}
	}
}
