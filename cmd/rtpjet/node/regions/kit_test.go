package regions

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/projection"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
	"rtpjet/tests/procs"
)

// world is a driver of node n1 in region eu, with all that is around it: the regions us and ap.
type world struct {
	t *testing.T
	*Driver
	us, ap *fakeRegion
	host   *fakeHost
	server *fakeServer
	leases *fakeLeases
	log    procs.Output
}

// start runs a driver in a bubble, in which time passes as soon as nobody has anything to do, until f returns. change says what is
// different at the start.
func start(t *testing.T, change func(w *world, cfg *Config), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		here := newStream()
		w := &world{
			t: t, us: newRegion("us"), ap: newRegion("ap"), leases: &fakeLeases{leases: map[string]embed.Lease{}},
			host: &fakeHost{
				log: here, calls: map[string]*projection.Call{}, is: State{Serving: true, Folded: true, Archives: true, Level: events.Level},
			},
			server: &fakeServer{stream: here, listen: map[string]func(embed.Msg){}},
		}
		open := func(f *fakeRegion) Region {
			return Region{Name: f.name, Open: func(context.Context) (Log, error) { return f, nil }}
		}
		cfg := Config{
			Region: "eu", Instance: "eu1", Node: "n1", Peers: []Region{open(w.us), open(w.ap)}, Server: w.server, Leases: w.leases, Host: w.host,
			Settings: transact.Settings{Node: "n1", MaxReply: ngserver.MaxReply}, KeepEnded: time.Minute,
			Encode: events.Encode, Decode: events.Decode, Clock: time.Now,
			Logger: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		if change != nil {
			change(w, &cfg)
		}
		w.Driver = New(cfg)
		for _, lease := range w.leases.leases { // what the bucket has is known before anybody answers
			w.Recorded(lease, false)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		stop, err := w.TakeCommands(ctx)
		if err != nil {
			t.Error(err)
		}
		synctest.Wait()
		f(w)
		cancel()
		stop()
		if err := <-done; err != nil {
			t.Errorf("the driver ended with %v", err)
		}
		if len(w.server.listen) > 0 {
			t.Errorf("the driver has ended and listens yet: %d", len(w.server.listen))
		}
	})
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// is is how another region is for the driver.
func (w *world) is(region string) (s regions.Status) {
	w.t.Helper()
	for _, s := range w.Status() {
		if s.Region == region {
			return s
		}
	}
	w.t.Fatalf("there is no region %s", region)
	return s
}

// over counts the calls that have ended in the mirror of a region, and are not cleaned away.
func (w *world) over(region string) int {
	x := &w.peer(region).index
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.over)
}

// logged tells how often the log has a text, and empties the log.
func (w *world) logged(text string) int {
	n := strings.Count(w.log.Take(), text)
	return n
}

func (w *world) want(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

var errFake = errors.New("out of order")

// callOf are the events of a call that lives: it was offered and answered a moment ago.
func callOf(id, owner string) (out []events.Envelope) {
	s := historytest.New()
	s.Now, s.Owner, s.Node = time.Now().UnixMicro(), owner, owner
	s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
	s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SDP("198.51.100.2", 6000))
	for _, e := range s.History() {
		e.Call = id
		out = append(out, e.Envelope)
	}
	return out
}

// endOf ends a call that callOf has begun.
func endOf(call []events.Envelope, reason events.Reason) events.Envelope {
	return events.Envelope{
		Call: call[0].Call, Gen: 1, Node: call[0].Node, At: time.Now().UnixMicro(), Event: events.Ended{Reason: reason, Created: call[0].At},
	}
}

// lose has a region be silent until it counts as cut off.
func (w *world) lose(f *fakeRegion) {
	w.t.Helper()
	f.set(func() { f.silent = true })
	w.pass(8 * time.Second)
	if s := w.is(f.name); s.State != regions.CutOff {
		w.t.Fatalf("region %s is %s", f.name, s.State)
	}
}

// kinds are the events of a call in this region's log, as words.
func (w *world) kinds(callID string) (out []string) {
	w.t.Helper()
	for _, env := range w.server.events(w.t, callID) {
		out = append(out, string(events.KindOf(env.Event)))
	}
	return out
}
