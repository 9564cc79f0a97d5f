package embed

import (
	"context"
	"errors"
	"testing"
)

// TestBus: messages and requests cross the cluster, and a request to nobody fails at once.
func TestBus(t *testing.T) {
	t.Parallel()
	members := startMembers(t, 3)
	a, b := members[0].log, members[2].log
	if _, err := a.Request(t.Context(), "node.n3.reserve", nil); !errors.Is(err, ErrNobody) {
		t.Errorf("to nobody: %v", err)
	}
	got := make(chan string, 1000)
	stop, err := b.Subscribe("node.n3.*", func(m Msg) {
		if err := m.Respond(append([]byte("re: "), m.Data...)); err != nil {
			t.Error(err)
		}
		got <- m.Tokens + " " + string(m.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer across the cluster", func() bool {
		answer, err := a.Request(t.Context(), "node.n3.reserve", []byte("x"))
		if err != nil && !errors.Is(err, ErrNobody) {
			t.Fatal(err)
		}
		return err == nil && string(answer) == "re: x"
	})
	if text := <-got; text != "node.n3.reserve x" {
		t.Errorf("%q", text)
	}
	if err := a.Publish("node.n3.tell", []byte("y")); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "node.n3.tell y" {
		t.Errorf("%q", text)
	}
	stop()
	eventually(t, "nobody again", func() bool { // a server that has not heard of it yet passes the request on to nobody
		ctx, cancel := context.WithTimeout(t.Context(), 4*sliceBeat)
		defer cancel()
		_, err := a.Request(ctx, "node.n3.reserve", nil)
		return errors.Is(err, ErrNobody)
	})
	if !a.Connected() {
		t.Error("not connected")
	}

	silent, err := a.Subscribe("silent", func(Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	defer silent()
	ctx, cancel := context.WithTimeout(t.Context(), sliceBeat)
	defer cancel()
	if _, err := a.Request(ctx, "silent", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no answer: %v", err)
	}
}
