package peers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/events"
	"rtpjet/projection/members"
)

// TestMeet: before a node answers commands it knows its peers, is answered, and has heard a clock or waited for one.
func TestMeet(t *testing.T) {
	type beat struct {
		node  string
		ahead time.Duration
	}
	for name, tc := range map[string]struct {
		up    []string // nodes that have a lease
		beats []beat   // after a quarter of a second
		udp   bool     // by UDP, and not by NATS
		takes time.Duration
		err   string
	}{
		"alone":                       {takes: 0},
		"a clock that is right":       {up: []string{"n2"}, beats: []beat{{"n2", 4 * time.Second}}, takes: 250 * time.Millisecond},
		"a clock that is ahead":       {up: []string{"n2"}, beats: []beat{{"n2", 3600 * time.Second}}, takes: 250 * time.Millisecond, err: "1h0m0s off from that of node n2"},
		"a clock that is behind":      {up: []string{"n2"}, beats: []beat{{"n2", -7400 * time.Millisecond}}, takes: 250 * time.Millisecond, err: "7s off from that of node n2"},
		"one of two":                  {up: []string{"n2", "n3"}, beats: []beat{{"n2", time.Hour}, {"n3", 0}}, takes: 250 * time.Millisecond},
		"two of three":                {up: []string{"n2", "n3", "n4"}, beats: []beat{{"n2", time.Hour}, {"n3", 0}, {"n4", time.Hour}}, takes: 250 * time.Millisecond, err: "1h0m0s off from that of node n4"},
		"a peer that is not heard":    {up: []string{"n2"}, takes: 400 * time.Millisecond},
		"by UDP, which is not looked": {up: []string{"n2"}, beats: []beat{{"n2", time.Hour}}, udp: true, takes: 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.put("node.n9", leaseOf("n9", 1, members.Down).Encode()) // who has ended need not be heard
				for _, id := range tc.up {
					w.put("node."+id, leaseOf(id, 1, members.Up).Encode())
				}
				n := w.join("n1")
				met, began := make(chan error, 1), time.Now()
				go func() { met <- n.Meet(w.t.Context()) }()
				time.Sleep(225 * time.Millisecond)
				for _, b := range tc.beats {
					data := encodeBeat(members.Beat{Node: b.node, Epoch: 1, At: time.Now().Add(b.ahead).UnixMicro()})
					if tc.udp {
						n.wire.in <- data
					} else {
						w.send("beat", data, nil)
					}
				}
				if tc.takes == 0 {
					began = time.Now()
				}
				err := <-met
				if took := time.Since(began); took != tc.takes {
					t.Errorf("it took %v", took)
				}
				if tc.err == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				w.wantError("meet", err, "the clock of this machine is "+tc.err+": set the clocks (NTP), and start again")
			})
		})
	}
}

// TestMeetWaits: not before the leases are known, and not longer than the node is to run.
func TestMeetWaits(t *testing.T) {
	play(t, func(w *world) {
		n := w.make("n1", nil)
		ctx, cancel := context.WithCancel(w.t.Context())
		met := make(chan error, 1)
		go func() { met <- n.Meet(ctx) }()
		pass(time.Minute)
		if len(met) > 0 {
			t.Error("met nobody")
		}
		if level, who := n.Level(); level != events.LevelFirst || who != "n1" {
			t.Errorf("level %d because of %q before the leases are known", level, who)
		}
		cancel()
		if err := <-met; err != nil {
			t.Error(err)
		}
		n.run()
		if err := n.Meet(w.t.Context()); err != nil {
			t.Error(err)
		}
		if level, who := n.Level(); level != events.Level || who != "" {
			t.Errorf("level %d because of %q alone", level, who)
		}
	})
}

// TestMeetBoth: knowing the leases is not enough, and being answered is not.
func TestMeetBoth(t *testing.T) {
	for _, slow := range []string{"follow", "subscribe"} {
		play(t, func(w *world) {
			n := w.make("n1", nil)
			wait := make(chan struct{})
			n.link.disturb(func(verb, what string) error {
				if verb == slow && what != "beat" {
					<-wait
				}
				return nil
			})
			if slow == "follow" { // the claim of a first node looks at no lease of others
				w.put("cluster.key", []byte("none"))
			}
			n.run()
			met := make(chan error, 1)
			go func() { met <- n.Meet(w.t.Context()) }()
			pass(time.Minute)
			if len(met) > 0 {
				t.Errorf("met although it does not %s yet", slow)
			}
			close(wait)
			if err := <-met; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLevel: what level of events may be written follows the leases of the others.
func TestLevel(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		is := func(what string, want int, because string) {
			t.Helper()
			if level, who := n.Level(); level != want || who != because {
				t.Errorf("%s: level %d because of %q, want %d, %q", what, level, who, want, because)
			}
		}
		early := leaseOf("n2", 1, members.Up)
		early.Level = 0 // of a build that announces none
		w.putLease(early)
		is("an earlier build", events.LevelFirst, "n2")
		later := leaseOf("n3", 1, members.Up)
		later.Level = events.Level + 1
		w.putLease(later)
		is("a later build", events.LevelFirst, "n2")
		early.State = members.Down
		w.putLease(early)
		is("it has ended", events.Level, "")
		early.State, early.Epoch = members.Up, 2
		w.putLease(early)
		is("it is back", events.LevelFirst, "n2")
		pass(DefaultTimeout + time.Second)
		is("not heard any more", events.LevelFirst, "n2")
		pass(orphanTimeout + time.Second)
		is("gone for longer than its calls live", events.Level, "")
	})
}

// TestEnd: the first reason to end counts, and what runs beside the membership ends first.
func TestEnd(t *testing.T) {
	play(t, func(w *world) {
		n := w.make("n1", nil)
		if err := n.Claim(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		ended, began := errors.New("drained"), uint64(0)
		done := make(chan error, 1)
		go func() {
			done <- n.Run(w.t.Context(), func(ctx context.Context, epoch uint64) error {
				began = epoch
				<-ctx.Done()
				return nil
			})
		}()
		synctest.Wait()
		n.End(ended)
		n.End(errors.New("another reason"))
		if err := <-done; !errors.Is(err, ended) || began != 1 {
			t.Errorf("%v; it had begun with epoch %d", err, began)
		}
		if l, _ := w.lease(t, "n1"); l.State != members.Down {
			t.Errorf("the lease is %+v", l)
		}
		synctest.Wait()
	})
}

// TestMeanwhile: what runs beside the membership ends it with its error, and so does whatever keeps the streams.
func TestMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct{ beside, kept error }{
		"beside it": {beside: errors.New("no")}, "the streams": {kept: errors.New("no")},
	} {
		play(t, func(w *world) {
			n := w.make("n1", nil)
			n.link.kept = func(ctx context.Context) error {
				if tc.kept == nil {
					<-ctx.Done()
				}
				return tc.kept
			}
			if err := n.Claim(w.t.Context()); err != nil {
				t.Fatal(err)
			}
			err := n.Run(w.t.Context(), func(ctx context.Context, _ uint64) error {
				if tc.beside == nil {
					<-ctx.Done()
				}
				return tc.beside
			})
			w.wantError(name, err, "no")
			if l, _ := w.lease(t, "n1"); l.State != members.Down {
				t.Errorf("%s: the lease is %+v", name, l)
			}
			synctest.Wait()
		})
	}
}

// TestLeaveWithoutLog: a node whose log is away ends all the same, after the time for its goodbye.
func TestLeaveWithoutLog(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		n.link.disturb(func(verb, _ string) error {
			if verb == "put" {
				return errHangs
			}
			return nil
		})
		began := time.Now()
		if err := n.end(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != leaveTime {
			t.Errorf("it took %v", took)
		}
		if l, _ := w.lease(t, "n1"); l.State != members.Up {
			t.Errorf("the lease is %+v", l)
		}
	})
}
