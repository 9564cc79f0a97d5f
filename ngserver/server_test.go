package ngserver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/ngtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

// echo answers with what it understood.
var echo = ngserver.HandlerFunc(func(_ context.Context, m *ng.Message) ng.Reply {
	r := ng.OK()
	r.Str("command", m.Command).Str("call-id", m.CallID)
	return r
})

// serve runs a server until the test ends and returns it.
func serve(t testing.TB, cfg ngserver.Config) *ngserver.Server {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []string{"127.0.0.1:0"}
	}
	if cfg.Handler == nil {
		cfg.Handler = echo
	}
	if cfg.Logger == nil {
		cfg.Logger = discard
	}
	srv, err := ngserver.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return srv
}

func dial(t testing.TB, addr string) *ngtest.Client {
	t.Helper()
	c, err := ngtest.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func dialServer(t testing.TB, srv *ngserver.Server) *ngtest.Client {
	return dial(t, srv.Addrs()[0].String())
}

// waitFor returns when the server has come to a state. The test's own timeout bounds it.
func waitFor(state func() bool) {
	for !state() {
		runtime.Gosched()
	}
}

func TestCommand(t *testing.T) {
	c := dialServer(t, serve(t, ngserver.Config{}))
	got, err := c.Do(map[string]any{"command": "offer", "call-id": "a", "sdp": "v=0"})
	if err != nil {
		t.Fatal(err)
	}
	if got["result"] != "ok" || got["command"] != "offer" || got["call-id"] != "a" {
		t.Errorf("reply %v", got)
	}
}

// What comes back for messages that are no commands. Exchanges are in testdata, one per line:
// payload, tab, reply, both in Go quotes.
func TestExchanges(t *testing.T) {
	c := dialServer(t, serve(t, ngserver.Config{}))
	file, err := os.ReadFile("testdata/exchanges.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		var payload, want string
		if _, err := fmt.Sscanf(line, "%q %q", &payload, &want); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got, err := c.DoRaw(ngtest.NextCookie(), []byte(payload))
		if err != nil || string(got) != want {
			t.Errorf("%q:\n got %q, %v\nwant %q", payload, got, err, want)
		}
	}
}

// What bad input gets: an answer where there is a cookie, silence where there is none, and a server that lives.
func TestBadInput(t *testing.T) {
	srv := serve(t, ngserver.Config{})
	c := dialServer(t, srv)
	noise := make([]byte, 60000)
	for i := range noise {
		noise[i] = byte(i*7919>>3) | 1 // no blank at the front
	}
	noise[0] = 'x'
	for _, datagram := range [][]byte{{}, []byte(" "), []byte(" d7:command4:pinge"), []byte("nocookie"), bytes.Repeat([]byte("l"), 65000)} {
		if _, err := c.Conn().Write(datagram); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, payload, reason string }{
		{"nothing", "", ng.ReasonNoPayload},
		{"noise", string(noise), ng.ReasonBadFormat},
		{"lists without end", strings.Repeat("l", 65000), ng.ReasonBadFormat},
		{"nested dictionaries", strings.Repeat("d1:a", 16000), ng.ReasonBadBencode},
		{"huge length", "d3:sdp2147483647:abce", ng.ReasonBadBencode},
		{"length of 2^63", "d3:sdp9223372036854775808:abce", ng.ReasonBadBencode},
		{"half a JSON object", `{"command":"ping"`, ng.ReasonBadJSON},
		{"nested JSON", `{"a":` + strings.Repeat("[", 60000), ng.ReasonBadJSON},
	}
	for _, tt := range tests {
		got, err := c.DoRaw(ngtest.NextCookie(), []byte(tt.payload))
		if err != nil || !bytes.Contains(got, []byte(tt.reason)) {
			t.Errorf("%s: got %.200q, %v; want reason %q", tt.name, got, err, tt.reason)
		}
	}
	for name, id := range map[string]string{"4 kB": strings.Repeat("i", 4096), "no UTF-8": "a\xff\xfe\x00b"} {
		got, err := c.Do(map[string]any{"command": "query", "call-id": id})
		if err != nil || got["call-id"] != id {
			t.Errorf("call-id of %s: got %.80q, %v", name, got["call-id"], err)
		}
	}
	if got := srv.Stats().Ignored; got != 5 {
		t.Errorf("%d messages ignored, want 5", got)
	}
}

// A repeated command is executed once, whether it comes after the first reply or before it, and gets the same bytes.
func TestDuplicates(t *testing.T) {
	var calls atomic.Int64
	entered, release := make(chan struct{}, 1), make(chan struct{})
	srv := serve(t, ngserver.Config{Handler: ngserver.HandlerFunc(func(context.Context, *ng.Message) ng.Reply {
		n := calls.Add(1)
		entered <- struct{}{}
		<-release
		r := ng.OK()
		r.Int("execution", n)
		return r
	})})
	payload := []byte("d7:command5:offer7:call-id1:ae")
	const clients = 5
	var wg sync.WaitGroup
	replies := make([][]byte, clients)
	first := dialServer(t, srv)
	if err := first.Send("cookie", payload); err != nil {
		t.Fatal(err)
	}
	<-entered
	for i := range replies {
		c := dialServer(t, srv)
		if err := c.Send("cookie", payload); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			var err error
			if replies[i], err = c.Receive("cookie"); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(func() bool { return srv.Stats().Cache.Joined == clients })
	close(release)
	wg.Wait()
	want, err := first.Receive("cookie")
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range replies {
		if !bytes.Equal(got, want) {
			t.Errorf("client %d got %q, the first one %q", i, got, want)
		}
	}
	if got, err := first.DoRaw("cookie", payload); err != nil || !bytes.Equal(got, want) {
		t.Errorf("later repetition got %q, %v", got, err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("executed %d times", n)
	}

	// The same cookie with another payload is another command: clients' cookies collide.
	got, err := first.DoRaw("cookie", []byte("d7:command5:offer7:call-id1:be"))
	if err != nil || bytes.Equal(got, want) {
		t.Errorf("other command with that cookie got %q, %v", got, err)
	}
	if n := srv.Stats().Cache.Collisions; n != 1 {
		t.Errorf("%d collisions counted, want 1", n)
	}
}

// Pings do not wait for slow commands, and each command has a deadline.
func TestSlowCommands(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, ngserver.Config{Workers: 1, Queue: 1, Handler: ngserver.HandlerFunc(func(ctx context.Context, m *ng.Message) ng.Reply {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("command without a deadline")
		}
		<-release
		return ng.OK()
	})})
	c := dialServer(t, srv)
	for _, cookie := range []string{"running", "queued", "refused"} {
		if err := c.Send(cookie, []byte("d7:command4:liste")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.DoRaw("p", []byte("d7:command4:pinge")); err != nil || string(got) != "d6:result4:ponge" {
		t.Errorf("ping: %q, %v", got, err)
	}
	close(release)
}

func TestFullQueueRefuses(t *testing.T) {
	entered, release := make(chan struct{}, 3), make(chan struct{})
	srv := serve(t, ngserver.Config{Workers: 1, Queue: 1, Budget: time.Hour, Handler: ngserver.HandlerFunc(func(context.Context, *ng.Message) ng.Reply {
		entered <- struct{}{}
		<-release
		return ng.OK()
	})})
	list := []byte("d7:command4:liste")
	first := dialServer(t, srv)
	if err := first.Send("first", list); err != nil {
		t.Fatal(err)
	}
	<-entered
	// Of two more, one finds room in the queue.
	clients := map[string]*ngtest.Client{"second": dialServer(t, srv), "third": dialServer(t, srv)}
	for cookie, c := range clients {
		if err := c.Send(cookie, list); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(func() bool { return srv.Stats().Overloaded == 1 })
	close(release)
	clients["first"] = first
	refused := ""
	for cookie, c := range clients {
		got, err := c.Receive(cookie)
		switch {
		case err == nil && refused == "" && bytes.Contains(got, []byte(ng.ReasonLoadLimit)):
			refused = cookie
		case err != nil || string(got) != "d6:result2:oke":
			t.Errorf("%s: %q, %v", cookie, got, err)
		}
	}
	// A refusal is not kept: the repetition is executed.
	if got, err := clients[refused].DoRaw(refused, list); err != nil || string(got) != "d6:result2:oke" {
		t.Errorf("repetition of %q: %q, %v", refused, got, err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	srv := serve(t, ngserver.Config{Handler: ngserver.HandlerFunc(func(_ context.Context, m *ng.Message) ng.Reply {
		if m.CallID == "boom" {
			panic("boom")
		}
		return ng.OK()
	})})
	c := dialServer(t, srv)
	got, err := c.Do(map[string]any{"command": "query", "call-id": "boom"})
	if err != nil || got["error-reason"] != ng.ReasonInternal {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := c.Do(map[string]any{"command": "query", "call-id": "a"}); err != nil || got["result"] != "ok" {
		t.Errorf("after it: %v, %v", got, err)
	}
	if n := srv.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

func TestLargeReplies(t *testing.T) {
	srv := serve(t, ngserver.Config{Handler: ngserver.HandlerFunc(func(_ context.Context, m *ng.Message) ng.Reply {
		r := ng.OK()
		r.Str("x", strings.Repeat("x", int(m.KeyInt("volume", 0))))
		return r
	})})
	c := dialServer(t, srv)
	got, err := c.Do(map[string]any{"command": "query", "volume": 60000})
	if err != nil || got["result"] != "ok" || len(got["x"].(string)) != 60000 {
		t.Errorf("60 kB: %.80v, %v", got, err)
	}
	got, err = c.Do(map[string]any{"command": "query", "volume": 70000})
	if err != nil || got["error-reason"] != ng.ReasonReplyTooLarge {
		t.Errorf("70 kB: %.80v, %v", got, err)
	}
	got, err = c.Do(map[string]any{"command": "delete", "volume": 70000})
	if err != nil || got["result"] != "ok" || got["warning"] != ng.ReasonReplyTooLarge {
		t.Errorf("70 kB for delete: %.80v, %v", got, err)
	}
}

// On a socket bound to all addresses the reply leaves from the address that was asked; ngtest's sockets are connected and
// hear nothing else.
func TestReplySource(t *testing.T) {
	srv := serve(t, ngserver.Config{Listen: []string{"0"}})
	port := srv.Addrs()[0].Port()
	hosts := []string{"127.0.0.1", "127.0.0.2"}
	if len(srv.Addrs()) == 2 {
		hosts = append(hosts, "::1")
	}
	for _, h := range hosts {
		c := dial(t, netip.AddrPortFrom(netip.MustParseAddr(h), port).String())
		for _, payload := range []string{"d7:command4:pinge", "d7:command4:liste"} {
			if _, err := c.DoRaw(ngtest.NextCookie(), []byte(payload)); err != nil {
				t.Errorf("%s from %s: %v", payload, h, err)
			}
		}
	}
}

func TestListenErrors(t *testing.T) {
	busy, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, listen := range [][]string{nil, {""}, {"x"}, {"70000"}, {"127.0.0.1"}, {"127.0.0.1:x"}, {"192.0.2.77:0"}, {busy.LocalAddr().String()}, {"127.0.0.1:0", "-1"}} {
		srv, err := ngserver.Listen(ngserver.Config{Listen: listen, Handler: echo})
		if err == nil {
			srv.Close()
			t.Errorf("%q: no error", listen)
		} else if len(listen) > 0 && !strings.Contains(err.Error(), listen[len(listen)-1]) {
			t.Errorf("%q: error does not name it: %v", listen, err)
		}
	}
	if _, err := ngserver.Listen(ngserver.Config{Listen: []string{"127.0.0.1:0"}}); err == nil {
		t.Error("no handler: no error")
	}
	if _, err := ngserver.Listen(ngserver.Config{Listen: []string{"127.0.0.1:0"}, Handler: echo, ControlTOS: 256}); err == nil {
		t.Error("TOS of 256: no error")
	}
}

func TestCloseWithoutServe(t *testing.T) {
	srv, err := ngserver.Listen(ngserver.Config{Listen: []string{"127.0.0.1:0"}, Handler: echo, ControlTOS: 184})
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	srv.Close()
	if err := srv.Serve(context.Background()); err == nil {
		t.Error("Serve after Close: no error")
	}
}

// When the server stops, a command in execution is finished and answered.
func TestStopFinishesCommands(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv, err := ngserver.Listen(ngserver.Config{Listen: []string{"127.0.0.1:0"}, Logger: discard,
		Handler: ngserver.HandlerFunc(func(context.Context, *ng.Message) ng.Reply {
			close(entered)
			<-release
			return ng.OK()
		})})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- srv.Serve(context.Background()) }()
	c := dialServer(t, srv)
	if err := c.Send("a", []byte("d7:command4:liste")); err != nil {
		t.Fatal(err)
	}
	<-entered
	srv.Close()
	close(release)
	if got, err := c.Receive("a"); err != nil || string(got) != "d6:result2:oke" {
		t.Errorf("reply %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestTemplates: what the configuration says of a command reaches its handler, and the command's own words win.
func TestTemplates(t *testing.T) {
	srv := serve(t, ngserver.Config{
		Templates: ng.Templates{"default": "label=theirs", "query": "from-tag=t", "x": "to-tag=x"},
		Handler: ngserver.HandlerFunc(func(_ context.Context, m *ng.Message) ng.Reply {
			return ng.Error(m.Label + " " + m.FromTag + " " + m.ToTag)
		}),
	})
	c := dialServer(t, srv)
	for _, tt := range []struct {
		in   map[string]any
		want string
	}{
		{map[string]any{"command": "query"}, "theirs t "},
		{map[string]any{"command": "query", "label": "mine"}, "mine t "},
		{map[string]any{"command": "query", "template": "x"}, "theirs t x"},
		{map[string]any{"command": "offer", "rtpp-flags": "template=x"}, "theirs  x"},
	} {
		got, err := c.Do(tt.in)
		if err != nil || got["error-reason"] != tt.want {
			t.Errorf("%v: %v, %v", tt.in, got, err)
		}
	}
}
