package regions

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/events"
	"rtpjet/projection/regions"
)

// fence is what region us says when it has adopted this one: calls that began up to seq, which its stream has up to upto.
func fence(seq, upto, term uint64) regions.Record {
	return regions.Record{Region: "eu", Instance: "eu1", State: regions.Taken, By: "us", Seq: seq, Upto: upto, Term: term}
}

// told notes what region us is told of a return.
func told(out *[]returned) func(string, []byte) ([]byte, error) {
	return func(tokens string, data []byte) ([]byte, error) {
		var r returned
		if err := json.Unmarshal(data, &r); err != nil || tokens != tokensReturn {
			return nil, errFake
		}
		*out = append(*out, r)
		return []byte("{}"), nil
	}
}

// The calls that another region has adopted are ended here once its mirror has them, those that began later go on, and the adopter is
// told when none is left.
func TestFence(t *testing.T) {
	var returns []returned
	start(t, func(w *world, _ *Config) {
		w.us.answers = told(&returns)
		w.us.greeting.Records = []regions.Record{fence(4, 3, 1), {Region: "eu", Instance: "eu1", State: regions.Taken, By: "ap", Seq: 9, Upto: 1}}
		w.server.add(callOf("early", "n1")...)
		w.server.add(callOf("colleague", "n2")...)
		w.server.add(callOf("later", "n1")...)
		w.host.is.Folded = false
	}, func(w *world) {
		w.pass(3 * time.Second)
		w.host.fold()
		w.host.set(func() { w.host.is.Folded = true })
		w.pass(3 * time.Second)
		w.want("the mirror has them not yet", w.host.lives(), "colleague", "early", "later")
		if got := w.host.Take(); len(got) > 0 {
			t.Errorf("%q", got)
		}

		w.us.add(callOf("early", "n9")...)
		w.us.add(callOf("colleague", "n9")[0])
		w.pass(3 * time.Second)
		w.want("this node's are ended", w.host.lives(), "colleague", "later")
		if last := w.server.events(t, "early")[2].Event.(events.Ended); last.Reason != events.ReasonAdopted {
			t.Errorf("%+v", last)
		}
		if len(returns) > 0 {
			t.Errorf("the adopter is told %+v, and another node has a call of it", returns)
		}
		w.host.set(func() { w.host.orphans = []string{"n2"} })
		w.pass(3 * time.Second)
		w.want("those of a node that is gone are ended", w.host.lives(), "later")
		if len(returns) == 0 || returns[0] != (returned{Region: "eu", Instance: "eu1", Term: 1}) {
			t.Errorf("the adopter is told %+v", returns)
		}
		if n := w.logged("this region was taken for lost"); n != 1 {
			t.Errorf("it is logged %d times", n)
		}

		// Another adoption, later.
		w.us.set(func() { w.us.greeting.Records = []regions.Record{fence(6, 3, 2)} })
		w.pass(3 * time.Second)
		w.want("the next adoption", w.host.lives())
		if last := returns[len(returns)-1]; last.Term != 2 || w.logged("this region was taken for lost") != 1 {
			t.Errorf("the adopter is told %+v", last)
		}
	})
}

// A call that another region has adopted, and that lives here yet, is that one's: its commands go there.
func TestFenceForwards(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.greeting.Records = []regions.Record{fence(2, 2, 1)}
		w.us.add(callOf("call", "n9")...)
		w.us.answers = replies("us")
		w.server.add(callOf("call", "n1")...)
		w.server.add(callOf("later", "n1")...)
		w.host.full = true
		w.host.fold()
	}, func(w *world) {
		w.want("nothing can be ended", w.host.lives(), "call", "later")
		if reply, ok := w.Forward(w.t.Context(), commandOf(t, "query")); !ok || !strings.Contains(said(reply), `"from":"us"`) {
			t.Errorf("%v %s", ok, said(reply))
		}
		m := commandOf(t, "query")
		m.Request.CallID = "later"
		if reply, ok := w.Forward(w.t.Context(), m); ok {
			t.Errorf("a call that began later: %s", said(reply))
		}
	})
}

// What is not finished, is of another region of this name, or is only said by others ends nothing.
func TestNoFence(t *testing.T) {
	unfinished, other, bySomebody := fence(9, 0, 1), fence(9, 2, 1), fence(9, 2, 1)
	other.Instance, bySomebody.By = "eu0", "ap"
	for name, r := range map[string]regions.Record{"unfinished": unfinished, "another region": other, "by somebody else": bySomebody} {
		start(t, func(w *world, _ *Config) {
			w.us.greeting.Records = []regions.Record{r}
			w.us.add(callOf("call", "n9")...)
			w.ap.add(callOf("call", "n9")...)
			w.server.add(callOf("call", "n1")...)
			w.host.fold()
		}, func(w *world) {
			w.pass(3 * time.Second)
			w.want(name, w.host.lives(), "call")
		})
	}
}

// A region that starts hears of its adoption before it answers commands, and waits no longer than it takes.
func TestAwaitReturn(t *testing.T) {
	await := func(w *world) time.Duration {
		began := time.Now()
		w.AwaitReturn(w.t.Context())
		return time.Since(began)
	}
	start(t, func(w *world, _ *Config) {
		w.us.greeting.Records = []regions.Record{fence(2, 2, 1)}
		w.us.add(callOf("call", "n9")...)
		w.server.add(callOf("call", "n1")...)
		w.host.is.Folded = false
		w.ap.slowHello = 500 * time.Millisecond
	}, func(w *world) {
		w.host.fold()
		w.host.set(func() { w.host.is.Folded = true })
		took := await(w)
		if took < 500*time.Millisecond || took > 540*time.Millisecond || w.logged("without having heard of other regions") != 0 {
			t.Errorf("it took %v until both were heard", took)
		}
		w.want("calls", w.host.lives())
	})
	start(t, func(w *world, _ *Config) {
		w.ap.silent = true
		w.us.greeting.Records = []regions.Record{fence(2, 2, 1)}
		w.us.add(callOf("call", "n9")...)
		w.server.add(callOf("call", "n1")...)
		w.host.is.Folded = false
	}, func(w *world) {
		w.pass(1500 * time.Millisecond)
		if got := append(w.host.Take(), w.us.Take()...); len(got) > 0 {
			t.Errorf("the calls are not known yet, and %q", got)
		}
		w.host.fold()
		w.host.set(func() { w.host.is.Folded = true })
		if took := await(w); took != returnTime {
			t.Errorf("it took %v, and ap is silent", took)
		}
		if n := w.logged("commands are answered without having heard of other regions"); n != 1 {
			t.Errorf("%d lines", n)
		}
		w.want("what us has said counts", w.host.lives())
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		New(Config{}).AwaitReturn(t.Context())
		if time.Now() != began {
			t.Error("it waits for nobody")
		}
	})
}

// The adopter notes that the region is back, by the word of that one and for that adoption.
func TestServeReturned(t *testing.T) {
	start(t, nil, func(w *world) {
		w.leases.put(regions.Record{Region: "us", Instance: "us1", State: regions.Taken, By: "eu", Seq: 9, Upto: 3, Term: 2})
		for _, c := range []struct {
			name string
			ret  returned
			back bool
		}{
			{"an earlier adoption", returned{"us", "us1", 1}, false},
			{"another region", returned{"us", "us2", 2}, false},
			{"it is back", returned{"us", "us1", 2}, true},
			{"it says so again", returned{"us", "us1", 2}, true},
		} {
			if got := string(w.server.ask(t, tokensReturn, c.ret)); got != "{}" {
				t.Errorf("%s: %s", c.name, got)
			}
			if r := w.leases.record(t, "us"); (r.State == regions.Returned) != c.back || r.Seq != 9 || r.By != "eu" {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
		if n := w.logged("a region that was adopted is back"); n != 1 {
			t.Errorf("%d lines", n)
		}
		w.leases.mu.Lock()
		w.leases.cut = true
		w.leases.mu.Unlock()
		for _, v := range []any{returned{"us", "us1", 2}, []byte("no JSON")} {
			if got := string(w.server.ask(t, tokensReturn, v)); !strings.Contains(got, `"refusal":`) {
				t.Errorf("%v: %s", v, got)
			}
		}
	})
}
