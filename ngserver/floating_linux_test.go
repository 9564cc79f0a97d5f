package ngserver_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"rtpjet/ngserver"
)

// TestStaleCommands: what has waited on a floating address for too long is not executed, what comes next is.
func TestStaleCommands(t *testing.T) {
	var late atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	srv, err := ngserver.Listen(ngserver.Config{
		Listen: []string{"127.0.0.1:0"}, Floating: []string{"127.0.0.1:0"}, Handler: echo, Logger: discard, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	late.Store(int64(ngserver.StaleAfter))
	conn, err := net.Dial("udp4", srv.Addrs()[1].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("old d7:command4:pinge")); err != nil {
		t.Fatal(err)
	}
	go func() { done <- srv.Serve(ctx) }()
	waitFor(func() bool { return srv.Stats().Stale == 1 })
	if _, err := dial(t, srv.Addrs()[0].String()).Do(map[string]any{"command": "ping"}); err != nil {
		t.Errorf("on an address that does not float the clock matters: %v", err)
	}
	late.Store(0)
	if _, err := conn.Write([]byte("new d7:command4:pinge")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if got := string(buf[:n]); err != nil || got != "new d6:result4:ponge" {
		t.Errorf("got %q, %v", got, err)
	}
}
