package embed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// newTestRequester is a requester and somebody who answers what it is told to.
func newTestRequester(t *testing.T, answer func(*nats.Msg)) *requester {
	t.Helper()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	if _, err := nc.Subscribe("ask", answer); err != nil {
		t.Fatal(err)
	}
	r, err := newRequester(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// open is how many wait.
func (r *requester) open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// TestRequesterEach: of many requests at once each gets its own answer, and the first one only.
func TestRequesterEach(t *testing.T) {
	t.Parallel()
	r := newTestRequester(t, func(m *nats.Msg) {
		for range 2 {
			_ = m.Respond(m.Data)
		}
	})
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 100 {
				want := fmt.Sprint(g, " ", i)
				got, err := r.do(t.Context(), &nats.Msg{Subject: "ask", Data: []byte(want)})
				if err != nil || string(got.Data) != want {
					t.Errorf("%v, want %s", err, want)
					return
				}
			}
		})
	}
	all.Wait()
	if n := r.open(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// TestRequesterEnds: what ends a wait without an answer, and that nothing of it is left for the next one.
func TestRequesterEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan *nats.Msg, 100)
	r := newTestRequester(t, func(m *nats.Msg) { asked <- m })
	ask := func() *nats.Msg { return &nats.Msg{Subject: "ask"} }

	if _, err := r.do(t.Context(), &nats.Msg{Subject: "nobody"}); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nobody: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, err := r.send(ask(), 0)
	if err != nil {
		t.Fatal(err)
	}
	first := <-asked
	cancel()
	if _, err := r.wait(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of the context: %v", err)
	}
	_ = first.Respond([]byte("late"))

	if _, err := r.slice(t.Context(), ask()); !errors.Is(err, errLate) {
		t.Errorf("the end of a slice: %v", err)
	}
	_ = (<-asked).Respond([]byte("late"))

	p, err = r.send(ask(), 0)
	if err != nil {
		t.Fatal(err)
	}
	last := <-asked // what was answered too late came before, and has met nobody
	r.failAll()
	if _, err := r.wait(t.Context(), p); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("the loss of the connection: %v", err)
	}
	_ = last.Respond([]byte("late"))
	go func() { _ = (<-asked).Respond([]byte("in time")) }()
	if m, err := r.do(t.Context(), ask()); err != nil || string(m.Data) != "in time" {
		t.Errorf("the next one: %v", err)
	}
	if n := r.open(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	r.nc.Close()
	if _, err := r.do(t.Context(), ask()); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("a connection that is closed: %v", err)
	}
	if n := r.open(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// TestWithDeadline: a deadline that is there stays, later or earlier.
func TestWithDeadline(t *testing.T) {
	for _, d := range []time.Duration{time.Minute, time.Hour} {
		own, stop := context.WithTimeout(t.Context(), d)
		ctx, cancel := withDeadline(own, 10*time.Minute)
		want, _ := own.Deadline()
		if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
			t.Errorf("%v became %v", want, got)
		}
		cancel()
		stop()
	}
	ctx, cancel := withDeadline(t.Context(), time.Minute)
	defer cancel()
	if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Minute {
		t.Errorf("%v, %v", at, ok)
	}
}
