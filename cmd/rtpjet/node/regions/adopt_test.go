package regions

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/regions"
)

// promises answers a question for a promise; refusal says why there is none.
func promises(refusal string) func(string, []byte) ([]byte, error) {
	return func(tokens string, data []byte) ([]byte, error) {
		var req promiseRequest
		if err := json.Unmarshal(data, &req); err != nil || tokens != tokensPromise || req != (promiseRequest{Region: "us", By: "eu"}) {
			return nil, errFake
		}
		return json.Marshal(promiseReply{Refusal: refusal})
	}
}

// lostRegion runs a driver that has lost region us, whose mirror has the live calls a and b and one that has ended; ap promises it.
func lostRegion(t *testing.T, change func(w *world, cfg *Config), f func(w *world)) {
	t.Helper()
	start(t, func(w *world, cfg *Config) {
		w.ap.answers = promises("")
		w.us.add(callOf("a", "n9")...)
		over := callOf("over", "n9")
		w.us.add(append(over, endOf(over, events.ReasonDeleted))...)
		w.us.add(callOf("b", "n8")...)
		if change != nil {
			change(w, cfg)
		}
	}, func(w *world) {
		w.lose(w.us)
		f(w)
	})
}

func (w *world) adopt(without ...string) (int, error) {
	return w.Adopt(w.t.Context(), "us", without)
}

// All calls that live in the mirror become this region's, whole, with an owner here, and it is noted up to where they are.
func TestAdopt(t *testing.T) {
	lostRegion(t, nil, func(w *world) {
		if calls, err := w.adopt(); calls != 2 || err != nil {
			t.Fatalf("%d, %v", calls, err)
		}
		w.want("calls", w.host.lives(), "a", "b")
		for _, id := range []string{"a", "b"} {
			w.want(id, w.kinds(id), "offered", "answered", "taken_over")
		}
		first := w.server.events(t, "b")[0]
		if owner := first.Event.(events.Offered).Owner; owner != "us/n8" || first.Node != "us/n8" {
			t.Errorf("the call was %s's, by %s", owner, first.Node)
		}
		taken := w.server.events(t, "b")[2].Event.(events.TakenOver)
		if taken.Owner != "n1" || taken.From != "us/n8" || taken.Why != "region us adopted" {
			t.Errorf("%+v", taken)
		}
		r := w.leases.record(t, "us")
		if r.State != regions.Taken || r.By != "eu" || r.Seq != 7 || r.Upto != 6 || r.Term != 1 || r.Instance != "us1" {
			t.Errorf("the bucket has %+v", r)
		}
		if s := w.is("us"); s.AdoptedBy != "eu" {
			t.Errorf("%+v", s)
		}
		if n := w.logged("adopting the calls of a region"); n != 1 {
			t.Errorf("%d lines", n)
		}

		// Once more: the same calls and no more, though the mirror has got another one.
		w.us.add(callOf("late", "n9")...)
		w.server.add(endOf(callOf("a", "n1"), events.ReasonDeleted))
		w.pass(time.Second)
		if calls, err := w.adopt(); calls != 1 || err != nil {
			t.Errorf("once more: %d, %v", calls, err)
		}
		w.want("calls", w.host.lives(), "b")
		r.Upto = 7 // the end of a
		if again := w.leases.record(t, "us"); again != r {
			t.Errorf("once more: %+v, want %+v", again, r)
		}
	})
}

// What speaks against an adoption is said, and nothing is written.
func TestAdoptRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world)
		says   string
	}{
		{"the region is there", func(w *world) { w.us.set(func() { w.us.silent = false }); w.pass(3 * time.Second) }, "region us answers: only a region that is lost"},
		{"it is another one", func(w *world) {
			w.us.set(func() { w.us.silent, w.us.greeting.Instance = false, "us2" })
			w.pass(3 * time.Second)
		}, "region us cannot be adopted: region us is another one"},
		{"another one does not agree", func(w *world) { w.ap.set(func() { w.ap.answers = promises("it hears it") }) },
			"region ap does not agree to the adoption of us: it hears it"},
		{"another one has no answer", func(w *world) { w.ap.set(func() { w.ap.answers = nil }) }, "region ap cannot be asked"},
		{"another one has no sense", func(w *world) { w.ap.set(func() { w.ap.answers = only('x') }) }, "region ap cannot be asked"},
		{"another one is lost as well", func(w *world) { w.lose(w.ap) }, "or say --without ap if you know that it does not"},
		{"another one has it", func(w *world) {
			w.ap.set(func() { w.ap.greeting.Records = []regions.Record{{Region: "us", State: regions.Taken, By: "ap"}} })
			w.pass(2 * time.Second)
		}, "region us was adopted by ap already"},
		{"it is promised", func(w *world) {
			w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Promised, By: "ap", At: time.Now().UnixMicro()})
		}, "this region has promised us to ap"},
		{"the promises take too long", func(w *world) {
			w.ap.set(func() {
				w.ap.answers = func(tokens string, data []byte) ([]byte, error) {
					time.Sleep(31 * time.Second)
					return promises("")(tokens, data)
				}
			})
		}, "the others have taken too long to promise it"},
		{"the bucket is away", func(w *world) { w.leases.mu.Lock(); w.leases.cut = true; w.leases.mu.Unlock() }, "read what is noted of region us"},
		{"the mirror is away", func(w *world) { w.us.set(func() { w.us.broken = errFake }) }, "read the mirror of region us: out of order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lostRegion(t, nil, func(w *world) {
				c.change(w)
				calls, err := w.adopt()
				if err == nil || !strings.Contains(err.Error(), c.says) || calls != 0 {
					t.Errorf("%d, %v; want %q", calls, err, c.says)
				}
				if r := w.leases.record(t, "us"); r.State == regions.Taken || len(w.server.entries) > 0 {
					t.Errorf("%+v, and %d entries", r, len(w.server.entries))
				}
			})
		})
	}
	lostRegion(t, nil, func(w *world) {
		if _, err := w.Adopt(t.Context(), "ca", nil); err == nil || !strings.Contains(err.Error(), "there is no region ca here") {
			t.Error(err)
		}
		w.lose(w.ap)
		w.ap.Take()
		if calls, err := w.adopt("ap"); calls != 2 || err != nil || slices.Contains(w.ap.Take(), tokensPromise) {
			t.Errorf("without ap: %d, %v", calls, err)
		}
	})
}

// A node that has just begun knows of no region that it is lost, and has no mirror of one that cannot be opened.
func TestAdoptTooEarly(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.silent = true }, func(w *world) {
		if _, err := w.adopt(); err == nil || !strings.Contains(err.Error(), "has not listened for region us long enough") {
			t.Error(err)
		}
	})
	start(t, func(_ *world, cfg *Config) {
		cfg.Peers[0].Open = func(context.Context) (Log, error) { return nil, errFake }
	}, func(w *world) {
		w.pass(8 * time.Second)
		if _, err := w.adopt(); err == nil || !strings.Contains(err.Error(), "the mirror of region us is not open: region us was not heard of") {
			t.Error(err)
		}
	})
}

// A call that does not get into the log here is told of, and had by saying it once more.
func TestAdoptPartly(t *testing.T) {
	lostRegion(t, func(w *world, _ *Config) {
		w.server.before = func(key string, _ uint64, _ [][]byte) error {
			if key == events.Key("b") {
				return errFake
			}
			return nil
		}
	}, func(w *world) {
		calls, err := w.adopt()
		if calls != 1 || err == nil || !strings.HasPrefix(err.Error(), "1 calls of 2 are this region's, and it is not finished, because of: out of order") {
			t.Errorf("%d, %v", calls, err)
		}
		w.want("calls", w.host.lives(), "a")
		if r := w.leases.record(t, "us"); !r.Unfinished("eu") {
			t.Errorf("the bucket has %+v", r)
		}
		if n := w.logged("a call cannot be adopted"); n != 2 { // in the first round and, since that brought one home, in the second
			t.Errorf("%d lines", n)
		}
		w.server.mu.Lock()
		w.server.before = nil
		w.server.mu.Unlock()
		if calls, err := w.adopt(); calls != 2 || err != nil {
			t.Errorf("once more: %d, %v", calls, err)
		}
		if r := w.leases.record(t, "us"); r.Unfinished("eu") || r.State != regions.Taken {
			t.Errorf("the bucket has %+v", r)
		}
	})
}

// A call that lives here with its old owner since no node takes it counts as this region's, and is not finished.
func TestAdoptWithoutOwner(t *testing.T) {
	lostRegion(t, func(w *world, _ *Config) { w.host.full = true }, func(w *world) {
		calls, err := w.adopt()
		if calls != 2 || err == nil || !strings.Contains(err.Error(), "2 calls of 2 are this region's, and it is not finished") {
			t.Errorf("%d, %v", calls, err)
		}
		w.want("a", w.kinds("a"), "offered", "answered")
		w.host.set(func() { w.host.full = false })
		if calls, err := w.adopt(); calls != 2 || err != nil {
			t.Errorf("once more: %d, %v", calls, err)
		}
		w.want("a", w.kinds("a"), "offered", "answered", "taken_over")
	})
}

// A log that is slow for a while is tried for as long as that brings further calls home.
func TestAdoptSlowly(t *testing.T) {
	var tries int
	lostRegion(t, func(w *world, _ *Config) {
		w.server.before = func(string, uint64, [][]byte) error {
			w.server.mu.Lock()
			defer w.server.mu.Unlock()
			if tries++; tries == 1 {
				return embed.ErrUnavailable
			}
			return nil
		}
	}, func(w *world) {
		if calls, err := w.adopt(); calls != 2 || err != nil || tries != 3 {
			t.Errorf("%d, %v after %d tries", calls, err, tries)
		}
	})
}

// Another node of the region is at the same: each call is imported once.
func TestAdoptTogether(t *testing.T) {
	var once bool
	lostRegion(t, func(w *world, _ *Config) {
		w.server.before = func(key string, last uint64, list [][]byte) error {
			if key != events.Key("a") || once {
				return nil
			}
			once = true
			_, err := w.server.append(key, last, list...)
			return err
		}
	}, func(w *world) {
		if calls, err := w.adopt(); calls != 2 || err != nil || !once || w.logged("a call cannot be adopted") > 0 {
			t.Errorf("%d, %v", calls, err)
		}
		w.want("a", w.kinds("a"), "offered", "answered", "taken_over")
	})
}

// An earlier call under the call-id, which had ended here, is not the one of the mirror; one that has ended since is.
func TestAdoptAgainstEarlier(t *testing.T) {
	lostRegion(t, nil, func(w *world) {
		earlier := callOf("a", "n1")
		w.server.add(append(earlier, endOf(earlier, events.ReasonDeleted))...)
		w.pass(time.Second)
		if calls, err := w.adopt(); calls != 2 || err != nil {
			t.Errorf("%d, %v", calls, err)
		}
		w.want("a", w.kinds("a"), "offered", "answered", "ended", "offered", "answered", "taken_over")
		w.pass(time.Second)
		gen := w.server.events(t, "a")[5].Gen
		w.server.add(events.Envelope{Call: "a", Gen: gen, Node: "n1", At: time.Now().UnixMicro(), Event: events.Ended{Reason: events.ReasonDeleted}})
		if calls, err := w.adopt(); calls != 1 || err != nil {
			t.Errorf("once more: %d, %v", calls, err)
		}
		w.want("calls", w.host.lives(), "b")
	})
}

// An adoption that was broken off is finished by the node that archives, with the calls that it is about, when nobody else is at it.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name     string
		archives bool
		record   regions.Record
		want     []string
	}{
		{"by the node that archives", true, regions.Record{State: regions.Taken, By: "eu", Seq: 4}, []string{"a"}},
		{"not by another one", false, regions.Record{State: regions.Taken, By: "eu", Seq: 4}, nil},
		{"not one that is finished", true, regions.Record{State: regions.Taken, By: "eu", Seq: 4, Upto: 1}, nil},
		{"not another region's", true, regions.Record{State: regions.Taken, By: "ap", Seq: 4}, nil},
		{"not what is only promised", true, regions.Record{State: regions.Promised, By: "eu", Seq: 4}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			lostRegion(t, func(w *world, _ *Config) { w.host.is.Archives = c.archives }, func(w *world) {
				c.record.Region, c.record.Instance, c.record.At = "us", "us1", time.Now().UnixMicro()
				w.Recorded(w.leases.put(c.record), false)
				w.pass(9 * time.Second)
				w.want("at once", w.host.lives())
				w.pass(12 * time.Second)
				w.want("calls", w.host.lives(), c.want...)
				if r := w.leases.record(t, "us"); (r.Upto != c.record.Upto) != (len(c.want) > 0) {
					t.Errorf("the bucket has %+v", r)
				}
			})
		})
	}
	lostRegion(t, nil, func(w *world) {
		w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Taken, By: "eu", Seq: 9, At: 1}), false)
		p := w.peer("us")
		p.adopting.Lock() // the operator's is at work
		w.pass(25 * time.Second)
		w.want("calls", w.host.lives())
		p.adopting.Unlock()
		w.us.set(func() { w.us.broken = errFake })
		w.pass(11 * time.Second)
		if n := w.logged("an adoption that was broken off cannot be finished; trying again"); n != 1 {
			t.Errorf("%d lines", n)
		}
		w.us.set(func() { w.us.broken = nil })
		w.pass(11 * time.Second)
		w.want("calls", w.host.lives(), "a", "b")
	})
}

// A call that had ended where it was adopted from, as the mirror shows late, is ended here as well: that call and no other one.
func TestEndCopy(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(w *world)
		end    func(call []events.Envelope) events.Envelope
		ends   bool
	}{
		{"its end", nil, func(call []events.Envelope) events.Envelope { return endOf(call, events.ReasonDeleted) }, true},
		{"the end that the adoption made", nil, func(call []events.Envelope) events.Envelope { return endOf(call, events.ReasonAdopted) }, false},
		{"the end of another call of that call-id", nil, func(call []events.Envelope) events.Envelope {
			end := endOf(call, events.ReasonDeleted)
			end.Event = events.Ended{Reason: events.ReasonDeleted, Created: 5}
			return end
		}, false},
		{"of a region that was not adopted", func(w *world) {
			w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1"}), false)
		}, func(call []events.Envelope) events.Envelope { return endOf(call, events.ReasonDeleted) }, false},
		{"of one that another region adopted", func(w *world) {
			w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Taken, By: "ap"}), false)
		}, func(call []events.Envelope) events.Envelope { return endOf(call, events.ReasonDeleted) }, false},
		{"of one that is back", func(w *world) {
			w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Returned, By: "eu"}), false)
		}, func(call []events.Envelope) events.Envelope { return endOf(call, events.ReasonDeleted) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var call []events.Envelope
			lostRegion(t, func(w *world, _ *Config) { call = w.us.events(t, "a") }, func(w *world) {
				if calls, err := w.adopt(); calls != 2 || err != nil {
					t.Fatalf("%d, %v", calls, err)
				}
				if c.before != nil {
					c.before(w)
				}
				w.pass(time.Second)
				at := time.Now().UnixMicro()
				w.us.add(c.end(call))
				w.pass(time.Second)
				want := []string{"a", "b"}
				if c.ends {
					want = want[1:]
					last := w.server.events(t, "a")[3]
					if ended := last.Event.(events.Ended); ended.Reason != events.ReasonDeleted || ended.Until != at {
						t.Errorf("%+v, want it to have lasted until %d", ended, at)
					}
				}
				w.want("calls", w.host.lives(), want...)
				if n := w.logged("an adopted call had ended where it was adopted from"); (n == 1) != c.ends {
					t.Errorf("%d lines", n)
				}
			})
		})
	}
}

// A region that asks for a promise gets it, unless the other one is heard here or somebody else has it.
func TestServePromise(t *testing.T) {
	start(t, nil, func(w *world) {
		ask := func(region, by string) string {
			t.Helper()
			var r promiseReply
			if err := json.Unmarshal(w.server.ask(t, tokensPromise, promiseRequest{Region: region, By: by}), &r); err != nil {
				t.Fatal(err)
			}
			return r.Refusal
		}
		if why := ask("us", "ap"); !strings.Contains(why, "it hears the region") {
			t.Errorf("us is there: %q", why)
		}
		if why := ask("ca", "ap"); why != "" {
			t.Errorf("a region that is not known here: %q", why)
		}
		w.lose(w.us)
		if why := ask("us", "ap"); why != "" {
			t.Errorf("us is lost: %q", why)
		}
		r := w.leases.record(t, "us")
		if r.State != regions.Promised || r.By != "ap" || r.At != time.Now().UnixMicro() {
			t.Errorf("the bucket has %+v", r)
		}
		if why := ask("us", "ca"); why != "it has promised the region to ap" {
			t.Errorf("promised twice: %q", why)
		}
		w.pass(time.Minute + time.Second)
		if why := ask("us", "ca"); why != "" {
			t.Errorf("a promise does not lapse: %q", why)
		}
		w.leases.mu.Lock()
		w.leases.cut = true
		w.leases.mu.Unlock()
		if why := ask("us", "ca"); !strings.Contains(why, "read what is noted of region us") {
			t.Errorf("promised without the bucket: %q", why)
		}
		if got := string(w.server.ask(t, tokensPromise, []byte("no JSON"))); !strings.Contains(got, "invalid character") {
			t.Errorf("%s", got)
		}
	})
}
