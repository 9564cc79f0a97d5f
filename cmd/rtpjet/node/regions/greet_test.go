package regions

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
)

// A region that answers is up, and its identity is noted once, by whichever node hears it first.
func TestGreeting(t *testing.T) {
	start(t, nil, func(w *world) {
		s := w.is("us")
		if s.State != regions.Up || s.Reason != "" || s.Instance != "us1" || !s.Ready || s.AgeMS < 0 || s.AdoptedBy != "" {
			t.Errorf("%+v", s)
		}
		if r := w.leases.record(t, "us"); r.Instance != "us1" || r.Level != events.Level || r.State != "" {
			t.Errorf("the bucket has %+v", r)
		}
		rev := w.leases.rev
		w.pass(10 * time.Second)
		if n := w.logged("region is there"); n != 2 { // each of two once
			t.Errorf("it is logged %d times that a region is there", n)
		}
		if w.leases.rev != rev {
			t.Errorf("%d more writes to the bucket", w.leases.rev-rev)
		}
	})
}

// What is not the region that it should be is refused, and a command does not go there.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		says  func(h *regions.Hello)
		state string
		why   string
	}{
		{"this region", func(h *regions.Hello) { h.Region, h.Instance = "eu", "eu1" }, regions.Refused, "the addresses of us lead back to this region"},
		{"one of this name", func(h *regions.Hello) { h.Region, h.Instance = "eu", "eu2" }, regions.Refused, "has the name of this one"},
		{"one of another name", func(h *regions.Hello) { h.Region = "ca" }, regions.Refused, "calls itself ca"},
		{"another one of its name", func(h *regions.Hello) { h.Instance = "us2" }, regions.Refused, "is another one than before (us2, it was us1)"},
		{"one that refuses", func(h *regions.Hello) { h.Refused = "it has my name" }, regions.Refused, "region us refuses this one: it has my name"},
		{"one of a later release", func(h *regions.Hello) { h.Format++ }, regions.Up, "its mirror not be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start(t, func(w *world, _ *Config) {
				w.leases.put(regions.Record{Region: "us", Instance: "us1", Level: events.Level})
				w.us.greeting.Level = events.LevelFirst
				c.says(&w.us.greeting)
			}, func(w *world) {
				w.pass(2 * time.Second)
				if s := w.is("us"); s.State != c.state || !strings.Contains(s.Reason, c.why) {
					t.Errorf("%s: %s", s.State, s.Reason)
				}
				if l, _ := w.reach(w.peer("us")); (l != nil) != (c.state == regions.Up) {
					t.Errorf("it can be asked: %v", l != nil)
				}
				if r := w.leases.record(t, "us"); r.Instance != "us1" {
					t.Errorf("the bucket has %+v", r)
				}
				if _, who := w.Level(events.Level); (who == "us") != (c.state == regions.Up) {
					t.Errorf("events are written for %q, which is %s", who, c.state)
				}
				if n := w.logged(c.why); n != 1 {
					t.Errorf("it is logged %d times", n)
				}
			})
		})
	}
}

// A region falls silent and answers again; under its name comes another one, whose entries may be in the mirror by then.
func TestCutOff(t *testing.T) {
	for _, archives := range []bool{true, false} {
		start(t, func(w *world, _ *Config) { w.host.is.Archives = archives }, func(w *world) {
			w.lose(w.us)
			if s := w.is("us"); s.Cuts != 1 || !strings.Contains(s.Reason, "is silent") || s.SilentMS < 3000 {
				t.Errorf("%+v", s)
			}
			w.us.set(func() { w.us.silent, w.us.greeting.Instance = false, "us2" })
			w.pass(3 * time.Second)
			if s := w.is("us"); s.State != regions.Refused || !strings.Contains(s.Reason, "rtpjet region forget us") {
				t.Errorf("%+v", s)
			}
			w.us.Take()
			w.us.set(func() { w.us.greeting.Instance = "us1" })
			w.us.add(callOf("old", "n9")...)
			w.pass(20 * time.Second)
			if s := w.is("us"); s.State != regions.Up || (s.Calls == 0) != archives {
				t.Errorf("%+v", s)
			}
			var resets int
			for _, line := range w.us.Take() {
				if line == "reset" {
					resets++
				}
			}
			if (resets == 1) != archives || resets > 1 {
				t.Errorf("the mirror is made anew %d times by a node that archives: %v", resets, archives)
			}
		})
	}
}

// A mirror that cannot be made anew is made anew later.
func TestRenewMirrorAgain(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.greeting.Region = "ca" }, func(w *world) {
		w.us.set(func() { w.us.greeting.Region, w.us.failing = "us", errFake })
		w.pass(5 * time.Second)
		if w.logged("cannot make the mirror of a region anew") == 0 {
			t.Error("nobody says that the mirror cannot be made anew")
		}
		w.us.set(func() { w.us.failing = nil })
		w.us.Take()
		w.pass(2 * time.Second)
		w.want("then", w.us.Take(), "reset")
	})
}

// What is noted of a region stays when another node has noted it first, and is tried again when the bucket does not answer.
func TestNoteIdentity(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.ap.silent = true
		w.leases.before = func() { w.leases.put(regions.Record{Region: "us", Instance: "us0", Level: 1}) }
	}, func(w *world) {
		if r := w.leases.record(t, "us"); r.Instance != "us0" || r.Level != 1 {
			t.Errorf("what another node has noted is overwritten: %+v", r)
		}
		w.pass(2 * time.Second)
		if s := w.is("us"); s.State != regions.Refused {
			t.Errorf("what another node has noted does not count: %+v", s)
		}
	})
	start(t, func(w *world, _ *Config) { w.leases.cut = true }, func(w *world) {
		if r := w.leases.record(t, "us"); r.Instance != "" {
			t.Errorf("the bucket has %+v", r)
		}
		w.leases.mu.Lock()
		w.leases.cut = false
		w.leases.mu.Unlock()
		w.us.set(func() { w.us.greeting.Level-- })
		w.pass(2 * time.Second)
		if r := w.leases.record(t, "us"); r.Instance != "us1" || r.Level != events.Level-1 {
			t.Errorf("the bucket has %+v", r)
		}
		w.us.set(func() { w.us.greeting.Level++ })
		w.pass(2 * time.Second)
		if r := w.leases.record(t, "us"); r.Level != events.Level {
			t.Errorf("a region that was upgraded: %+v", r)
		}
	})
}

// A promise is taken back when the region is heard, and not while it is silent; an adoption stays.
func TestWithdrawPromise(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.silent = true }, func(w *world) {
		w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Promised, By: "ap", At: 1}), false)
		w.pass(5 * time.Second)
		if r := w.leases.record(t, "us"); r.State != regions.Promised {
			t.Errorf("taken back while the region is silent: %+v", r)
		}
		w.us.set(func() { w.us.silent = false })
		w.pass(5 * time.Second)
		if r := w.leases.record(t, "us"); r.State != "" || r.By != "" || r.Instance != "us1" || r.At == 1 {
			t.Errorf("the region is there, and the bucket has %+v", r)
		}
		w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Taken, By: "eu", Upto: 1}), false)
		w.pass(5 * time.Second)
		if r := w.leases.record(t, "us"); r.State != regions.Taken {
			t.Errorf("an adoption is taken back like a promise: %+v", r)
		}
	})
}

// A greeting is answered with what this node knows of its region, and with why the other one is not welcome.
func TestServeHello(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.silent, w.ap.silent = true, true
		w.host.is = State{Serving: true, Followed: 17, Level: 3}
	}, func(w *world) {
		w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Taken, By: "eu", Seq: 5}), false)
		w.Recorded(w.leases.put(regions.Record{Region: "ap", Instance: "ap1"}), false)
		for _, c := range []struct {
			name string
			from regions.Hello
			why  string
		}{
			{"a region that was never heard", regions.Hello{Region: "ca", Instance: "ca1", Level: 4}, ""},
			{"one that is known", regions.Hello{Region: "us", Instance: "us1", Level: 4}, ""},
			{"another one of that name", regions.Hello{Region: "us", Instance: "us2"}, "region eu knows another region us (us1, this one is us2)"},
			{"one of our name", regions.Hello{Region: "eu", Instance: "eu2"}, "it has the name of region eu, to which it connects"},
			{"this one", regions.Hello{Region: "eu", Instance: "eu1"}, ""},
		} {
			var h regions.Hello
			if err := json.Unmarshal(w.server.ask(t, hello, c.from), &h); err != nil {
				t.Fatal(c.name, err)
			}
			if !strings.HasPrefix(h.Refused, c.why) || (h.Refused == "") != (c.why == "") {
				t.Errorf("%s is refused because of %q", c.name, h.Refused)
			}
			if h.Region != "eu" || h.Instance != "eu1" || h.Node != "n1" || h.Head != 17 || h.Level != 3 || !h.Ready || h.Format != events.Version {
				t.Errorf("%+v", h)
			}
			if len(h.Records) != 1 || h.Records[0].Region != "us" || h.Records[0].Seq != 5 || h.At != time.Now().UnixMicro() {
				t.Errorf("%s hears %+v", c.name, h)
			}
		}
		var h regions.Hello
		if err := json.Unmarshal(w.server.ask(t, hello, []byte("no JSON")), &h); err != nil || h.Region != "eu" || h.Refused != "" {
			t.Errorf("%v, %+v", err, h)
		}
		for region, want := range map[string]int{"us": 4, "ca": 4} {
			w.mu.Lock()
			if got := w.reads[region]; got != want {
				t.Errorf("region %s reads level %d", region, got)
			}
			w.mu.Unlock()
		}
		w.mu.Lock()
		if _, ok := w.reads["eu"]; ok {
			t.Error("this region counts as another one")
		}
		w.mu.Unlock()
	})
}

// Events are written so that each region reads them that was heard: by its last word, or by what is noted of it.
func TestLevel(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.silent, w.ap.silent = true, true
		w.us.greeting.Level = events.Level - 1
	}, func(w *world) {
		level := func(want int, due string) {
			t.Helper()
			if got, who := w.Level(events.Level); got != want || who != due {
				t.Errorf("level %d because of %q, want %d because of %q", got, who, want, due)
			}
		}
		level(events.Level, "") // who was never heard has no mirror of this region
		w.Recorded(w.leases.put(regions.Record{Region: "ap", Instance: "ap1"}), false)
		level(events.LevelFirst, "ap")
		w.ap.set(func() { w.ap.silent = false })
		w.pass(3 * time.Second)
		level(events.Level, "")
		w.us.set(func() { w.us.silent = false })
		w.pass(3 * time.Second)
		level(events.Level-1, "us")
		if got, who := w.Level(events.LevelFirst); got != events.LevelFirst || who != "" {
			t.Errorf("level %d because of %q", got, who)
		}
	})
}

// What cannot be read of the bucket of leases is left alone, and what is older than what is known as well.
func TestRecorded(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.silent, w.ap.silent = true, true }, func(w *world) {
		lease := embed.Lease{Key: regions.RecordKey("us"), Value: []byte(`{"region":"us","instance":"us1"}`), Revision: 7}
		if !w.Recorded(lease, false) || w.noted("us").Instance != "us1" {
			t.Errorf("noted %+v", w.noted("us"))
		}
		lease.Value = []byte("no JSON")
		w.Recorded(lease, false)
		if n := w.logged("cannot be read"); n != 1 || w.noted("us").Instance != "us1" {
			t.Errorf("%d lines, and noted %+v", n, w.noted("us"))
		}
		lease.Value, lease.Revision = []byte(`{"region":"us","instance":"us0"}`), 6
		w.Recorded(lease, false)
		if w.noted("us").Instance != "us1" {
			t.Errorf("an older revision counts: %+v", w.noted("us"))
		}
		lease.Revision = 8
		w.Recorded(lease, true)
		if got := w.noted("us"); got != (regions.Record{}) {
			t.Errorf("deleted, and noted %+v", got)
		}
		if w.Recorded(embed.Lease{Key: "node.n1"}, false) {
			t.Error("the lease of a node is a region's")
		}
	})
	var none *Driver
	if !none.Recorded(embed.Lease{Key: regions.RecordKey("us")}, false) || none.Recorded(embed.Lease{Key: "float.1"}, false) {
		t.Error("a node without other regions takes leases for others than one with them")
	}
}

// A region is forgotten on an operator's word: another one may have its name then.
func TestForget(t *testing.T) {
	start(t, nil, func(w *world) {
		w.us.set(func() { w.us.greeting.Instance = "us2" })
		w.pass(2 * time.Second)
		if s := w.is("us"); s.State != regions.Refused {
			t.Fatalf("%+v", s)
		}
		w.us.Take()
		if err := w.Forget(t.Context(), "us"); err != nil {
			t.Error(err)
		}
		w.want("the mirror", w.us.Take(), "reset")
		w.pass(2 * time.Second)
		if s := w.is("us"); s.State != regions.Up || s.Instance != "us2" {
			t.Errorf("%+v", s)
		}
		if r := w.leases.record(t, "us"); r.Instance != "us2" {
			t.Errorf("the bucket has %+v", r)
		}
		if err := w.Forget(t.Context(), "ca"); err == nil || !strings.Contains(err.Error(), "there is no region ca here") {
			t.Error(err)
		}
		w.leases.cut = true
		if err, did := w.Forget(t.Context(), "us"), w.us.Take(); err == nil || slices.Contains(did, "reset") {
			t.Errorf("forgotten without the bucket: %v, %q", err, did)
		}
	})
}

// A mirror that cannot be opened is tried again for ever; why there is no connection is known to who opens it.
func TestOpen(t *testing.T) {
	tries := 0
	start(t, func(w *world, cfg *Config) {
		open := cfg.Peers[0].Open
		cfg.Peers[0].Open = func(ctx context.Context) (Log, error) {
			if tries++; tries < 4 {
				return nil, errFake
			}
			return open(ctx)
		}
		cfg.Peers[0].Why = func() string { return "the name us does not resolve" }
	}, func(w *world) {
		if s := w.is("us"); s.State != regions.Connecting || s.Reason != "the name us does not resolve" {
			t.Errorf("%+v", s)
		}
		if err := w.Forget(t.Context(), "us"); err != nil { // there is no mirror yet
			t.Error(err)
		}
		w.pass(16 * time.Second)
		if s := w.is("us"); tries != 4 || s.State != regions.Up || w.logged("cannot mirror a region; trying again") != 3 {
			t.Errorf("%d tries, %+v", tries, s)
		}
	})
	start(t, func(_ *world, cfg *Config) {
		cfg.Peers[0].Open = func(context.Context) (Log, error) { return nil, errFake }
	}, func(*world) {}) // a driver that has not opened it ends as well
}

// Nothing is begun if other regions cannot be listened to.
func TestCannotListen(t *testing.T) {
	for _, tokens := range []string{hello, tokensPromise, tokensReturn} {
		s := &fakeServer{listen: map[string]func(embed.Msg){}, refuse: tokens}
		err := New(Config{Server: s}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "cannot listen for other regions") || len(s.listen) > 0 {
			t.Errorf("%s: %v, and %d are listened to yet", tokens, err, len(s.listen))
		}
	}
}

// A node without other regions has nothing to say of them.
func TestNone(t *testing.T) {
	var d *Driver
	if level, who := d.Level(4); level != 4 || who != "" || d.Status() != nil {
		t.Errorf("%d %q %v", level, who, d.Status())
	}
	if _, ok := d.Forward(t.Context(), commandOf(t, "query")); ok {
		t.Error("a command is another region's")
	}
	stop, err := d.TakeCommands(t.Context())
	if err != nil {
		t.Error(err)
	}
	stop()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d.AwaitReturn(t.Context())
		if time.Now() != began {
			t.Error("it waits for regions")
		}
	})
}
