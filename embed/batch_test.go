package embed

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestAppendAll: several entries at once, or none.
func TestAppendAll(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	last, err := l.AppendAll(t.Context(), "a", 0, [][]byte{[]byte("1"), []byte("2"), []byte("3")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendAll(t.Context(), "a", last-1, [][]byte{[]byte("4"), []byte("5")}); !errors.Is(err, ErrConflict) {
		t.Errorf("behind another writer's: %v", err)
	}
	if _, err := l.AppendAll(t.Context(), "a", last, nil); err == nil {
		t.Error("nothing was appended")
	}
	if seq := mustAppend(t, l, "a", last, "4"); seq != last+1 {
		t.Errorf("the next one is at %d, want %d", seq, last+1)
	}
}

// TestAppendAllWaitsForRoom: the server has as many batches begun as it takes at once. Somebody who comes then waits until one of
// them has ended.
func TestAppendAllWaitsForRoom(t *testing.T) {
	t.Parallel()
	const most = 50 // the server's limit
	l := newLog(t)
	open := func(id, seq string, commit bool) *nats.Msg {
		t.Helper()
		m := nats.Msg{Subject: l.prefix + "begun." + id, Data: []byte("x"), Header: nats.Header{headerBatchID: []string{id}, headerBatchSeq: []string{seq}}}
		if commit {
			m.Header[headerBatchCommit] = []string{"1"}
		}
		reply, err := l.req.do(t.Context(), &m)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	for i := range most {
		if reply := open(fmt.Sprint(i), "1", false); len(reply.Data) > 0 {
			t.Fatalf("batch %d is not taken: %s", i, reply.Data)
		}
	}
	list := [][]byte{[]byte("1"), []byte("2")}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.AppendAll(short, "a", 0, list); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("one batch more than the server takes: %v", err)
	}

	tries, err := l.nc.SubscribeSync(l.prefix + "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := l.AppendAll(ctx, "a", 0, list)
		done <- err
	}()
	for range 3 {
		if _, err := tries.NextMsg(30 * time.Second); err != nil {
			t.Fatalf("it is not tried again: %v", err)
		}
	}
	open("7", "2", true)
	if err := <-done; err != nil {
		t.Errorf("with room for it: %v", err)
	}
}
