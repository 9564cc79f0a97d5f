package embed

import (
	"context"
	"errors"
	"slices"
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

// TestBusQueue: of those who share a subscription one gets each message, and a region that is greeted answers, whatever its name is.
func TestBusQueue(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t, t.TempDir(), ""))
	a, b := openLog(t, nc), openLog(t, nc)
	if _, err := a.Hello(t.Context(), []byte("eu")); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody answers greetings: %v", err)
	}
	got := make(chan string, 100)
	for _, l := range []*Log{a, b} {
		stop, err := l.SubscribeQueue("region.*", func(m Msg) {
			got <- m.Tokens + " " + string(m.Data)
			if err := m.Respond(m.Data); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		hello, err := l.SubscribeHello(func(m Msg) { _ = m.Respond(append([]byte("hello "), m.Data...)) })
		if err != nil {
			t.Fatal(err)
		}
		defer hello()
	}
	const n = 20
	for range n {
		if answer, err := a.Request(t.Context(), "region.command", []byte("x")); err != nil || string(answer) != "x" {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	if err := a.Publish("region.end", nil); err != nil { // an answer to it goes nowhere, and is no error
		t.Fatal(err)
	}
	for range n {
		if text := <-got; text != "region.command x" {
			t.Errorf("%q", text)
		}
	}
	if text := <-got; text != "region.end " {
		t.Errorf("after %d requests came %q", n, text)
	}
	if answer, err := b.Hello(t.Context(), []byte("eu")); err != nil || string(answer) != "hello eu" {
		t.Errorf("%q, %v", answer, err)
	}
	if got := HelloTokens("n1"); got != "node.n1.hello" {
		t.Errorf("a node answers to %s", got)
	}
}

// TestMsg: a message that a test makes is answered like one that came from a server.
func TestMsg(t *testing.T) {
	t.Parallel()
	var answers []string
	request := NewMsg("node.n1.reserve", []byte("x"), func(data []byte) error {
		answers = append(answers, string(data))
		return nil
	})
	if err := errors.Join(request.Respond([]byte("plain")), request.RespondJSON(map[string]int{"a": 1})); err != nil {
		t.Error(err)
	}
	if !slices.Equal(answers, []string{"plain", `{"a":1}`}) {
		t.Errorf("answered %q", answers)
	}
	if err := request.RespondJSON(func() {}); err == nil || len(answers) != 2 {
		t.Errorf("a function as JSON: %v, %q", err, answers)
	}
	if err := NewMsg("beat", nil, nil).Respond(nil); err != nil {
		t.Errorf("no request: %v", err)
	}
}

// TestBusClosed: without a connection everything of the bus is unavailable, and a question that is given up is that and no more.
func TestBusClosed(t *testing.T) {
	t.Parallel()
	l, s := newScript(t, Config{})
	s.on(t, l, "rtpjet.r.ask", silence)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Request(ctx, "ask", nil); !errors.Is(err, context.Canceled) || len(matches(err)) > 0 {
		t.Errorf("given up: %v", err)
	}
	l.nc.Close()
	_, asked := l.Request(t.Context(), "ask", nil)
	_, subscribed := l.Subscribe("ask", func(Msg) {})
	_, queued := l.SubscribeQueue("ask", func(Msg) {})
	for what, err := range map[string]error{
		"send to ask": l.Publish("ask", nil), "subscribe to ask": subscribed, "ask ask": asked,
	} {
		if !errors.Is(err, ErrUnavailable) || err.Error() != what+": the event log does not answer: nats: connection closed" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !errors.Is(queued, ErrUnavailable) || l.Connected() {
		t.Errorf("%v, connected %v", queued, l.Connected())
	}
}
