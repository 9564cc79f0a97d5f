package regions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection/regions"
)

// said is a reply as text.
func said(r ng.Reply) string { return string(r.Append(nil, ng.JSON)) }

// replies answers a forwarded command with a reply that says who it is from.
func replies(from string) func(string, []byte) ([]byte, error) {
	return func(string, []byte) ([]byte, error) {
		r := ng.OK()
		r.Str("from", from)
		return r.Append([]byte{answerReply}, ng.JSON), nil
	}
}

// only answers a forwarded command with one letter.
func only(letter byte) func(string, []byte) ([]byte, error) {
	return func(string, []byte) ([]byte, error) { return []byte{letter}, nil }
}

// What the home of a call answers decides what becomes of a command: an event is written there from here only if it is certain that
// nobody there carries the command out.
func TestHomeAnswers(t *testing.T) {
	nothing := func(string, []byte) ([]byte, error) { return nil, nil }
	for _, c := range []struct {
		name    string
		answers func(string, []byte) ([]byte, error)
		writes  bool
		says    string
		takes   time.Duration
	}{
		{"a reply", replies("us"), false, `"from":"us"`, 0},
		{"the call is not known", only(answerUnknown), true, `"ok"`, 0},
		{"it begins or ends", only(answerBusy), true, `"ok"`, 0},
		{"nobody listens", nil, true, `"ok"`, 0},
		{"nothing", nothing, false, reasonRegion, 0},
		{"silence", func(string, []byte) ([]byte, error) {
			time.Sleep(homeTime)
			return nil, embed.ErrUnavailable
		}, false, reasonRegion, homeTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			start(t, func(w *world, _ *Config) {
				w.us.answers, w.ap.silent = c.answers, true
				w.us.add(callFor(ng.CommandDelete)...)
			}, func(w *world) {
				before, began := len(w.us.events(t, "call")), time.Now()
				reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandDelete))
				if text := said(reply); !ok || !strings.Contains(text, c.says) || time.Since(began) != c.takes {
					t.Errorf("%v, %s after %v", ok, text, time.Since(began))
				}
				if wrote := len(w.us.events(t, "call")) - before; (wrote == 1) != c.writes || wrote > 1 {
					t.Errorf("%d events are written", wrote)
				}
			})
		})
	}
}

// A query is answered from the mirror with its age, and not from one that nobody can read.
func TestFromMirror(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.add(callFor(ng.CommandQuery)...)
		w.ap.silent = true
	}, func(w *world) {
		w.lose(w.us)
		began := time.Now()
		reply, _ := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery))
		text := said(reply)
		if !strings.Contains(text, "This is from the mirror of region us, as of 8s ago: region us is silent") || !strings.Contains(text, `"mirror age":8`) ||
			!strings.Contains(text, `"region":"us"`) || time.Now() != began {
			t.Errorf("%s after %v", text, time.Since(began))
		}
		w.us.set(func() { w.us.failing = errFake })
		if reply, _ := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery)); reply.Reason() != reasonRegion || w.logged("the mirror of a region cannot be read") != 1 {
			t.Errorf("%s", said(reply))
		}
		w.us.set(func() { w.us.failing = nil })
		newer := []byte(strings.Replace(string(encode(callFor(ng.CommandQuery)[0])), fmt.Sprintf(`"v":%d`, events.Version), `"v":99`, 1))
		w.us.mu.Lock()
		w.us.entries[0].Data = newer
		w.us.mu.Unlock()
		reply, _ = w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery))
		if reply.Reason() != reasonRegion || w.logged("its events are of a newer release, which this node cannot read") != 1 {
			t.Errorf("%s", said(reply))
		}
	})
	for ms, want := range map[int64]string{-1: "which was never complete", 0: "as of 0s ago", 12_345: "as of 12.3s ago"} {
		if got := ageText(ms); got != want {
			t.Errorf("%d ms: %q, want %q", ms, got, want)
		}
	}
}

// A call whose end the index has not seen, and the mirror has, is unknown.
func TestFromMirrorEnded(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.add(callFor(ng.CommandQuery)...) }, func(w *world) {
		w.lose(w.us)
		w.us.mu.Lock() // the follower hears nothing of it
		w.us.entries = append(w.us.entries, embed.Entry{Seq: 99, Key: events.Key("call"), Data: encode(endOf(callFor(ng.CommandQuery), events.ReasonDeleted))})
		w.us.mu.Unlock()
		if reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery)); !ok || reply.Reason() != ng.ReasonUnknownCallID {
			t.Errorf("%v %s", ok, said(reply))
		}
	})
}

// Somebody else writes to the call at the same moment: the command is decided anew on what that one has written.
func TestAppendAtHomeConflict(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.add(callFor(ng.CommandDelete)...)
		w.us.before = func() { w.us.add(endOf(callFor(ng.CommandDelete), events.ReasonDeleted)) }
	}, func(w *world) {
		reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandDelete))
		var ends int
		for _, env := range w.us.events(t, "call") {
			if events.KindOf(env.Event) == events.KindOf(events.Ended{}) {
				ends++
			}
		}
		if !ok || ends != 1 || reply.Reason() == reasonRegion {
			t.Errorf("%v %s, and the call has ended %d times", ok, said(reply), ends)
		}
	})
	start(t, func(w *world, _ *Config) { w.us.add(callFor(ng.CommandDelete)...) }, func(w *world) {
		w.us.before = func() { w.us.set(func() { w.us.failing = embed.ErrUnavailable }) }
		reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandDelete))
		if !ok || reply.Reason() != reasonRegion {
			t.Errorf("%v %s, and the region's log takes nothing", ok, said(reply))
		}
	})
}

// forwardedBy is a command as another region sends it.
func forwardedBy(t *testing.T, name string, head forwarded) []byte {
	t.Helper()
	line, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(line, '\n'), commandOf(t, name).Raw...)
}

// A command that came to another region is carried out here by a node that answers commands, as long as somebody waits for it.
func TestServeCommand(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.server.add(callOf("call", "n1")...)
		w.us.greeting.At = 0
	}, func(w *world) {
		now := time.Now().UnixMicro()
		for _, c := range []struct {
			name   string
			head   forwarded
			answer string // its beginning; empty: there is none
			done   string
		}{
			{"in time", forwarded{Via: "us/n9", LeftMS: 700, At: now}, "r", "query call by us/n9, 700ms left"},
			{"on its way for as long as it had", forwarded{Via: "us/n9", LeftMS: 300, At: now - 300_000}, "r", "query call by us/n9, 300ms left"},
			{"too late", forwarded{Via: "us/n9", LeftMS: 300, At: now - 301_000}, "", ""},
			{"of a node that does not say when", forwarded{Via: "us/n9", LeftMS: 300}, "r", "query call by us/n9, 300ms left"},
			{"of a region that is not configured", forwarded{Via: "ca/n9", LeftMS: 300, At: now - 10_000_000}, "r", "query call by ca/n9, 300ms left"},
			{"of a node of this region", forwarded{Via: "n9", LeftMS: 700, At: now}, "u", ""},
		} {
			got := string(w.server.ask(t, tokensCommand, forwardedBy(t, ng.CommandQuery, c.head)))
			if did := strings.Join(w.host.Take(), "; "); !strings.HasPrefix(got, c.answer) || (got == "") != (c.answer == "") || did != c.done {
				t.Errorf("%s: answered %q, and done %q", c.name, got, did)
			}
		}
		if n := w.logged("nobody waits for it any more"); n != 1 {
			t.Errorf("%d commands are said to be late", n)
		}
		if got := w.server.ask(t, tokensCommand, []byte("nonsense")); string(got) != "u" || w.logged("a command of another region cannot be read") != 1 {
			t.Errorf("nonsense: %q", got)
		}
		w.host.set(func() { w.host.is.Serving = false })
		if got := w.server.ask(t, tokensCommand, forwardedBy(t, ng.CommandQuery, forwarded{Via: "us/n9", LeftMS: 700})); string(got) != "b" || len(w.host.Take()) > 0 {
			t.Errorf("a node that begins: %q", got)
		}
	})
}

// The clock of another region that is off is allowed for.
func TestServeCommandSkew(t *testing.T) {
	start(t, nil, func(w *world) {
		p := w.peer("us")
		p.mu.Lock()
		now := w.now()
		p.link.Heard(regions.Hello{Region: "us", Instance: "us1", At: time.Now().UnixMicro() + 4_000_000}, now, now, time.Now().UnixMicro())
		p.mu.Unlock()
		for ago, late := range map[time.Duration]bool{200 * time.Millisecond: false, 800 * time.Millisecond: true} {
			at := time.Now().Add(-ago).UnixMicro() + 4_000_000 // by the clock of us
			got := w.server.ask(t, tokensCommand, forwardedBy(t, ng.CommandQuery, forwarded{Via: "us/n9", LeftMS: 700, At: at}))
			if (len(got) == 0) != late {
				t.Errorf("sent %v ago: %q", ago, got)
			}
		}
	})
}

// A region that is asked because nobody knows the call carries the command out if it has it, by its log.
func TestServeIfKnown(t *testing.T) {
	start(t, nil, func(w *world) {
		ask := func() string {
			return string(w.server.ask(t, tokensCommand, forwardedBy(t, ng.CommandQuery, forwarded{Via: "us/n9", LeftMS: 700, IfKnown: true}))[:1])
		}
		if got := ask(); got != "u" {
			t.Errorf("a call that nobody knows: %q", got)
		}
		call := callOf("call", "n1")
		w.server.add(call...) // the node has not read it yet
		if got := ask(); got != "r" {
			t.Errorf("a call that began a moment ago: %q", got)
		}
		w.server.add(endOf(call, events.ReasonDeleted))
		w.host.fold()
		if got := ask(); got != "u" {
			t.Errorf("a call that has ended: %q", got)
		}
		w.host.set(func() { w.host.cut = true })
		if got := ask(); got != "u" || w.logged("cannot read the event log") != 1 {
			t.Errorf("without the log: %q", got)
		}
	})
}

// Of a call that nobody here knows all regions are asked that can be, and the first that has it answers.
func TestAskAll(t *testing.T) {
	ask := func(w *world, command string) (string, []string) {
		reply, ok := w.Forward(w.t.Context(), commandOf(w.t, command))
		asked := append(w.us.Take(), w.ap.Take()...)
		if !ok {
			return "", asked
		}
		return said(reply), asked
	}
	start(t, nil, func(w *world) {
		w.us.set(func() { w.us.answers = only(answerUnknown) })
		w.ap.set(func() { w.ap.answers = only(answerBusy) })
		if got, asked := ask(w, ng.CommandQuery); got != "" || len(asked) != 2 {
			t.Errorf("nobody knows the call: %s of %q", got, asked)
		}
		var head forwarded
		w.ap.set(func() {
			w.ap.answers = func(tokens string, data []byte) ([]byte, error) {
				_, head, _ = parseForwarded(data, time.Now(), nil)
				return replies("ap")(tokens, data)
			}
		})
		if got, _ := ask(w, ng.CommandQuery); !strings.Contains(got, `"from":"ap"`) || !head.IfKnown || head.Via != "eu/n1" {
			t.Errorf("ap knows it: %s, asked by %+v", got, head)
		}
		w.us.set(func() { w.us.silent = true })
		began := time.Now()
		if got, _ := ask(w, ng.CommandQuery); !strings.Contains(got, `"from":"ap"`) || time.Now() != began {
			t.Errorf("ap knows it, and us is silent: %s after %v", got, time.Since(began))
		}
		w.ap.set(func() { w.ap.answers = nil })
		if got, _ := ask(w, ng.CommandQuery); got != "" || time.Since(began) != homeTime {
			t.Errorf("us is silent: %s after %v", got, time.Since(began))
		}
		w.lose(w.us)
		if _, asked := ask(w, ng.CommandQuery); len(asked) != 1 {
			t.Errorf("asked are %q, and us is cut off", asked)
		}
		if got, asked := ask(w, ng.CommandOffer); got != "" || len(asked) == 0 {
			t.Errorf("an offer with a to-tag: %s of %q", got, asked)
		}
	})
	start(t, func(w *world, _ *Config) { w.us.answers, w.ap.answers = replies("us"), replies("ap") }, func(w *world) {
		w.host.set(func() { w.host.cut = true })
		if got, asked := ask(w, ng.CommandQuery); got != "" || len(asked) > 0 || w.logged("cannot read the event log") != 1 {
			t.Errorf("the call may be this region's: %s of %q", got, asked)
		}
		w.host.set(func() { w.host.cut = false })
		call := callOf("call", "n1")
		w.server.add(call[0], endOf(call, events.ReasonDeleted))
		if got, asked := ask(w, ng.CommandQuery); got != "" || len(asked) > 0 {
			t.Errorf("the log has had the call: %s of %q", got, asked)
		}
	})
}

// A call that lives here is carried out here, whatever the mirrors say, and so is what came from another region or is about no call.
func TestNotElsewhere(t *testing.T) {
	start(t, func(w *world, _ *Config) {
		w.us.answers = replies("us")
		w.us.add(callOf("call", "n9")...)
	}, func(w *world) {
		via := commandOf(t, ng.CommandQuery)
		via.Via = "ap/n9"
		noCall := commandOf(t, ng.CommandQuery)
		noCall.Request.CallID = ""
		for name, m := range map[string]*ng.Message{"from another region": via, "about no call": noCall, "a ping": commandOf(t, ng.CommandPing)} {
			if reply, ok := w.Forward(w.t.Context(), m); ok {
				t.Errorf("%s: %s", name, said(reply))
			}
		}
		if reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery)); !ok || !strings.Contains(said(reply), `"from":"us"`) {
			t.Fatalf("%v %s", ok, said(reply))
		}
		w.us.Take()
		begins := commandOf(t, ng.CommandOffer)
		begins.Request.CallID, begins.Request.ToTag = "new", ""
		if reply, ok := w.Forward(w.t.Context(), begins); ok || len(w.us.Take()) > 0 {
			t.Errorf("a call that begins here: %s", said(reply))
		}
		w.server.add(callOf("call", "n1")...)
		w.host.fold()
		if reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery)); ok {
			t.Errorf("the call lives here: %s", said(reply))
		}
	})
}

// A mirror that is not read to its end yet is asked itself.
func TestIncompleteMirror(t *testing.T) {
	slow := make(map[string]chan struct{})
	start(t, func(w *world, _ *Config) {
		slow["us"] = make(chan struct{})
		w.us.slow, w.us.answers = slow["us"], replies("us")
		call := callOf("call", "n9")
		w.us.add(append(callOf("over", "n9"), endOf(callOf("over", "n9"), events.ReasonDeleted))...)
		w.us.add(call[0], endOf(call, events.ReasonDeleted), call[0], call[1]) // the same call-id once more
	}, func(w *world) {
		first, ok := w.mirrorHas(w.t.Context(), w.peer("us"), events.Key("call"))
		if !ok || first != 6 {
			t.Errorf("%v, it begins at %d", ok, first)
		}
		if first, ok := w.mirrorHas(w.t.Context(), w.peer("us"), events.Key("over")); ok {
			t.Errorf("a call that has ended begins at %d", first)
		}
		reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery))
		if !ok || !strings.Contains(said(reply), `"from":"us"`) || w.is("us").Calls != 0 || len(w.us.Take()) != 1 || len(w.ap.Take()) > 0 {
			t.Errorf("%v %s", ok, said(reply))
		}
		w.us.set(func() { w.us.failing = errFake })
		if _, ok := w.mirrorHas(w.t.Context(), w.peer("us"), events.Key("call")); ok {
			t.Error("a mirror that cannot be read has the call")
		}
		w.us.set(func() { w.us.failing = nil })
		close(slow["us"])
		w.pass(time.Second)
		if w.is("us").Calls != 1 {
			t.Errorf("%+v", w.is("us"))
		}
		w.us.looked.Take()
		w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery))
		other := commandOf(t, ng.CommandQuery)
		other.Request.CallID = "nobody's"
		w.Forward(w.t.Context(), other)
		if looked := w.us.looked.Take(); len(looked) > 0 {
			t.Errorf("a mirror that is read is looked into for %q", looked)
		}
	})
}

// The calls of a region that is lost may be another one's by now, before its mirror shows that.
func TestHeir(t *testing.T) {
	for _, state := range []string{regions.Promised, regions.Taken} {
		start(t, func(w *world, _ *Config) {
			w.us.add(callFor(ng.CommandQuery)...)
			w.ap.answers = replies("ap")
		}, func(w *world) {
			query := func() string {
				reply, ok := w.Forward(w.t.Context(), commandOf(t, ng.CommandQuery))
				if !ok {
					t.Error("the call is said to be this region's")
				}
				return said(reply)
			}
			w.lose(w.us)
			if got := query(); !strings.Contains(got, "mirror of region us") {
				t.Errorf("without an heir: %s", got)
			}
			w.Recorded(w.leases.put(regions.Record{Region: "us", Instance: "us1", State: state, By: "ap", Seq: 9}), false)
			if got := query(); !strings.Contains(got, `"from":"ap"`) {
				t.Errorf("%s: %s", state, got)
			}
			w.ap.set(func() { w.ap.answers = only(answerUnknown) })
			if got := query(); !strings.Contains(got, "mirror of region us") {
				t.Errorf("%s, and not there yet: %s", state, got)
			}
			w.ap.set(func() { w.ap.answers = replies("ap") })
			w.us.set(func() { w.us.silent, w.us.answers = false, replies("us") })
			for w.is("us").State != regions.Up {
				w.pass(time.Second)
			}
			if got := query(); !strings.Contains(got, `"from":"us"`) {
				t.Errorf("%s, and us is there: %s", state, got)
			}
		})
	}
}

// A forwarded command takes no longer than its client waits for.
func TestRequestDeadline(t *testing.T) {
	start(t, func(w *world, _ *Config) { w.us.add(callFor(ng.CommandQuery)...) }, func(w *world) {
		var head forwarded
		w.us.set(func() {
			w.us.answers = func(tokens string, data []byte) ([]byte, error) {
				_, head, _ = parseForwarded(data, time.Now(), nil)
				return replies("us")(tokens, data)
			}
		})
		for left, want := range map[time.Duration]int64{5 * time.Second: 700, 200 * time.Millisecond: 200} {
			ctx, cancel := context.WithTimeout(w.t.Context(), left)
			w.Forward(ctx, commandOf(t, ng.CommandQuery))
			cancel()
			if head.LeftMS != want || head.At != time.Now().UnixMicro() || head.Cookie != "c" || head.IfKnown {
				t.Errorf("with %v left: %+v", left, head)
			}
		}
	})
}
