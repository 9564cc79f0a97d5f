package embed

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
)

// TestConnectEnds: a server that takes the connection and says nothing. The end of the context ends all that Connect has begun.
func TestConnectEnds(t *testing.T) { // not beside others, which connect as well
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		cancel()
		if n, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes came", n)
		}
	}()
	_, err = Connect(ctx, "n", []string{"nats://" + ln.Addr().String()}, Credentials{})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("(*Conn).connect(")) {
		t.Errorf("it is still connecting:\n%s", stacks)
	}
	<-done
}

// TestConnectOutlivesContext: the context of Connect is for the first connection. The next ones are made without it.
func TestConnectOutlivesContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, "localhost:0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	nc, err := Connect(ctx, "n", []string{strings.Replace(s.ClientURL(), "127.0.0.1", "localhost", 1)}, Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	cancel()
	if err := nc.Flush(); err != nil {
		t.Errorf("after the end of the context: %v", err)
	}
	end(s)
	eventually(t, "the loss of the server", func() bool { return !nc.IsConnected() })
	startServer(t, dir, strings.TrimPrefix(s.ClientURL(), "nats://"))
	eventually(t, "another connection", nc.IsConnected)
}
