package ngserver_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/ngtest"
)

var client = netip.MustParseAddrPort("192.0.2.1:5060")

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func dispatcher(t *testing.T, cfg ngserver.DispatcherConfig) *ngserver.Dispatcher {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = discard
	}
	if cfg.Handler == nil {
		cfg.Handler = echo
	}
	d, err := ngserver.NewDispatcher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The entry points for other transports: with and without a cookie.
func TestDispatcher(t *testing.T) {
	d := dispatcher(t, ngserver.DispatcherConfig{})
	ctx := context.Background()
	tests := []struct{ in, want string }{
		{"c d7:command4:pinge", "c d6:result4:ponge"},
		{"c d7:command4:ping1:ai1ee", "c d6:result4:ponge"},
		{`j {"command":"query","call-id":"x"}`, `j {"command":"query","call-id":"x","result":"ok"}`},
		{"nocookie", ""},
	}
	for _, tt := range tests {
		if got := d.Do(ctx, []byte(tt.in), client); string(got) != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := d.DoPlain(ctx, []byte(`{"command":"ping"}`), client); string(got) != `{"result":"pong"}` {
		t.Errorf("plain: %q", got)
	}
	if got := d.DoPlain(ctx, nil, client); !bytes.Contains(got, []byte(ng.ReasonNoPayload)) {
		t.Errorf("plain and empty: %q", got)
	}
}

// TestTrace: each message and its reply are told of, without the cookies, and what came again as such.
func TestTrace(t *testing.T) {
	var traced []string
	d := dispatcher(t, ngserver.DispatcherConfig{Trace: func(x ngserver.Exchange) {
		traced = append(traced, fmt.Sprintf("%s %s %q %q %s %s %t", x.Source, x.Cookie, x.Command, x.CallID, x.Request, x.Reply, x.Repeated))
	}})
	for _, in := range []string{
		"a d7:command4:pinge", `b {"command":"query","call-id":"x"}`, `b {"command":"query","call-id":"x"}`, `c {"command":`, "nocookie",
	} {
		d.Do(context.Background(), []byte(in), client)
	}
	d.DoPlain(context.Background(), []byte(`{"command":"query","call-id":"y"}`), client)
	at := client.String()
	for i, want := range []string{
		at + ` a "ping" "" d7:command4:pinge d6:result4:ponge false`,
		at + ` b "query" "x" {"command":"query","call-id":"x"} {"command":"query","call-id":"x","result":"ok"} false`,
		at + ` b "" "" {"command":"query","call-id":"x"} {"command":"query","call-id":"x","result":"ok"} true`,
		at + ` c "" "" {"command": {"result":"error",`,
		at + `  "query" "y" {"command":"query","call-id":"y"} {"command":"query","call-id":"y","result":"ok"} false`,
	} {
		if i >= len(traced) || !strings.HasPrefix(traced[i], want) {
			t.Errorf("traced\n%s\nwant as number %d\n%s", strings.Join(traced, "\n"), i, want)
		}
	}
	if len(traced) != 5 {
		t.Errorf("traced %d times", len(traced))
	}
}

func TestDispatcherJoin(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	d := dispatcher(t, ngserver.DispatcherConfig{Handler: ngserver.HandlerFunc(func(context.Context, *ng.Message) ng.Reply {
		entered <- struct{}{}
		<-release
		return ng.OK()
	})})
	msg := func() []byte { return []byte("c d7:command4:liste") }
	var wg sync.WaitGroup
	wg.Go(func() {
		if got := d.Do(context.Background(), msg(), client); string(got) != "c d6:result2:oke" {
			t.Errorf("first: %q", got)
		}
	})
	<-entered
	// One that does not want to wait any longer.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if got := d.Do(gone, msg(), client); got != nil {
		t.Errorf("impatient: %q", got)
	}
	wg.Go(func() {
		if got := d.Do(context.Background(), msg(), client); string(got) != "c d6:result2:oke" {
			t.Errorf("second: %q", got)
		}
	})
	close(release)
	wg.Wait()
}

// A command that waited for all of its time is refused, and a repetition of it is executed.
func TestLateCommand(t *testing.T) {
	clk := &clock{now: time.Unix(1_700_000_000, 0)}
	entered, release := make(chan struct{}, 2), make(chan struct{}, 2)
	var deadline time.Duration
	srv := serve(t, ngserver.Config{Workers: 1, Clock: clk.Now, Handler: ngserver.HandlerFunc(func(ctx context.Context, _ *ng.Message) ng.Reply {
		at, _ := ctx.Deadline()
		deadline = time.Until(at)
		entered <- struct{}{}
		<-release
		return ng.OK()
	})})
	c := dialServer(t, srv)
	list := []byte("d7:command4:liste")
	if err := c.Send("a", list); err != nil {
		t.Fatal(err)
	}
	<-entered
	if deadline > ngserver.DefaultBudget {
		t.Errorf("deadline in %v", deadline)
	}
	if err := c.Send("b", list); err != nil {
		t.Fatal(err)
	}
	waitFor(func() bool { return srv.Stats().Cache.Running == 2 })
	clk.Add(time.Second)
	release <- struct{}{}
	if got, err := c.Receive("a"); err != nil || string(got) != "d6:result2:oke" {
		t.Errorf("first: %q, %v", got, err)
	}
	if got, err := c.Receive("b"); err != nil || !bytes.Contains(got, []byte(ng.ReasonLoadLimit)) {
		t.Errorf("late: %q, %v", got, err)
	}
	release <- struct{}{}
	if got, err := c.DoRaw("b", list); err != nil || string(got) != "d6:result2:oke" {
		t.Errorf("repetition: %q, %v", got, err)
	}
	if n := srv.Stats().Overloaded; n != 1 {
		t.Errorf("%d overloaded", n)
	}
}

func TestStatistics(t *testing.T) {
	clk := &clock{now: time.Unix(1_700_000_000, 0)}
	d := dispatcher(t, ngserver.DispatcherConfig{Clock: clk.Now, Handler: ngserver.HandlerFunc(func(_ context.Context, m *ng.Message) ng.Reply {
		clk.Add(250 * time.Millisecond)
		if m.Command == ng.CommandQuery {
			return ng.Error(ng.ReasonUnknownCallID)
		}
		return ng.OK()
	})})
	other := netip.MustParseAddrPort("[2001:db8::1]:5060")
	for i, msg := range []string{"d7:command4:pinge", "d7:command5:offere", "d7:command5:offere", "d7:command5:querye", "nonsense"} {
		from := client
		if i == 2 {
			from = other
		}
		d.Do(context.Background(), []byte(ngtest.NextCookie()+" "+msg), from)
	}
	o := ng.NewObject()
	d.Stats().ControlStatistics(o)
	got := string(o.Value().AppendJSON(nil))
	for _, want := range []string{
		`{"proxies":[{"proxy":"192.0.2.1","pingcount":1,"pingduration":"0.000000","offercount":1,"offerduration":"0.250000",`,
		`"querycount":1,"queryduration":"0.250000"`, `"errorcount":2},{"proxy":"2001:db8::1","pingcount":0,`,
		`"errorcount":0}],"totalpingcount":1,"totaloffercount":2,"totalanswercount":0,`, `"totalmeshcount":0}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if c := d.Stats().Commands()[1]; c.Count != 2 || c.Duration != 500*time.Millisecond {
		t.Errorf("offers: %+v", c)
	}
}

// Forged sources cannot fill the memory.
func TestProxiesAreBounded(t *testing.T) {
	d := dispatcher(t, ngserver.DispatcherConfig{})
	a := client.Addr()
	for range 3000 {
		a = a.Next()
		d.DoPlain(context.Background(), []byte("d7:command4:liste"), netip.AddrPortFrom(a, 1))
	}
	s := d.Stats()
	if len(s.Proxies) > 1025 || s.Proxies[0].Proxy.IsValid() || s.Proxies[0].Commands[ng.CommandIndex("list")].Count < 1900 {
		t.Errorf("%d proxies, first %v", len(s.Proxies), s.Proxies[0].Proxy)
	}
}

// A word that is not understood is logged once, not with each call.
func TestUnknownWordsAreLoggedOnce(t *testing.T) {
	var buf bytes.Buffer
	d := dispatcher(t, ngserver.DispatcherConfig{Logger: slog.New(slog.NewTextHandler(&buf, nil))})
	for range 3 {
		d.DoPlain(context.Background(), []byte(`{"command":"list","flags":["frobnicate"]}`), client)
	}
	if n := strings.Count(buf.String(), "frobnicate"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, buf.String())
	}
}
