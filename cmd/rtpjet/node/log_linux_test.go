package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/cli"
	"rtpjet/cmd/rtpjet/node"
	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/events"
	"rtpjet/tests/procs"
)

const logAway = "Event log unavailable"

// While the log takes nothing, commands that change a call are refused, ports come back, and media flows on; when it is
// back, everything works again.
func TestLogTrouble(t *testing.T) {
	t.Parallel()
	fails := func(err error) fault {
		return func(context.Context, string, uint64, []byte) (uint64, error, bool) { return 0, err, true }
	}
	for name, f := range map[string]fault{
		"unavailable": fails(fmt.Errorf("append: %w", embed.ErrUnavailable)),
		"full":        fails(fmt.Errorf("append: %w", embed.ErrFull)),
		"other":       fails(fmt.Errorf("append: message of a kind that nobody knows")),
		"conflict":    fails(&embed.ConflictError{}),
		"slow": func(ctx context.Context, _ string, _ uint64, _ []byte) (uint64, error, bool) {
			<-ctx.Done() // the time budget of the command
			return 0, fmt.Errorf("append: %w: %w", embed.ErrUnavailable, ctx.Err()), true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			c := n.place("before")
			last, used := n.last(), n.inUse()
			n.journal.disturb(f)
			fresh := offer("fresh", newPhone(t).body())
			n.refused(fresh, logAway)
			n.refused(with(fresh, dict{"call-id": "fresh 2"}), logAway)
			n.refused(c.answer2(), logAway)
			n.refused(remove(c.id), logAway)
			n.refused(dict{"command": "block media", "call-id": c.id}, logAway)
			n.ok(dict{"command": "query", "call-id": c.id})
			if got := n.calls(); !slices.Equal(got, []string{c.id}) {
				t.Errorf("calls: %q", got)
			}
			if name != "unavailable" && name != "slow" { // then the log may hold an event that names them
				if got := n.inUse(); got != used {
					t.Errorf("%d ports in use, and there were %d", got, used)
				}
			}
			c.meet()
			c.reports()
			if got := n.last(); got != last {
				t.Errorf("%d events were appended", got-last)
			}
			n.journal.heal()
			n.sdp(fresh)
			// What was learned meanwhile is not forgotten.
			eventually(t, "addresses learned while the log was away are not in it", func() error {
				return when(learnedAddresses(n, c.id) == 4)
			})
			n.sdp(c.answer2())
			c.talk()
			n.ok(remove(c.id))
			n.ok(remove("fresh 2"))
			n.idle()
		})
	}
}

// answer2 is an answer that changes something.
func (c *call) answer2() dict { return answer(c.id, c.b.body("a=sendrecv")) }

// Another writer is faster a few times: the decision is made anew, and the ports of the failed ones come back.
func TestLogConflicts(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	var left atomic.Int64
	n.journal.disturb(func(context.Context, string, uint64, []byte) (uint64, error, bool) {
		return 0, &embed.ConflictError{}, left.Add(-1) >= 0
	})
	left.Store(3)
	c := n.place("faster")
	left.Store(3)
	n.sdp(c.answer2())
	c.talk()
	if got := n.inUse(); got != 4 {
		t.Errorf("%d ports in use, want 4", got)
	}
	left.Store(3)
	n.ok(remove(c.id))
	n.idle()
}

// The log has stored an event, and its answer is lost: the client hears of an error, and finds the truth when it asks again.
func TestLogAnswerLost(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late ", late), func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			stored := make(chan error, 1)
			n.journal.disturb(func(ctx context.Context, key string, last uint64, data []byte) (uint64, error, bool) {
				store := func(ctx context.Context) {
					_, err := n.log.Append(ctx, key, last, data)
					stored <- err
				}
				if late {
					<-ctx.Done()
					go store(context.WithoutCancel(ctx))
				} else {
					store(ctx)
				}
				return 0, embed.ErrUnavailable, true
			})
			c := &call{t: t, id: "lost", a: newPhone(t), b: newPhone(t)}
			n.refused(offer(c.id, c.a.body()), logAway)
			if err := <-stored; err != nil {
				t.Fatal(err)
			}
			n.journal.heal()
			eventually(t, "the stored event has no effect", func() error { return when(slices.Contains(n.calls(), c.id)) })
			n.setUp(c, c.a.body(), c.b.body())
			c.talk()
			c.reports()
			if all := n.events(c.id); kindOf(all[0]) != events.KindOffered || kindOf(all[1]) != events.KindAnswered {
				t.Errorf("events: %v, %v", kindOf(all[0]), kindOf(all[1]))
			}
			n.ok(remove(c.id))
			n.idle()
		})
	}
}

// What the node appends on its own account must leave a command for the same call enough of its time.
func TestLogSlowOwnEvents(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	var longest atomic.Int64
	var seen atomic.Int64
	c := n.place("learned")
	n.journal.disturb(func(ctx context.Context, _ string, _ uint64, _ []byte) (uint64, error, bool) {
		deadline, ok := ctx.Deadline()
		if !ok {
			deadline = time.Now().Add(time.Hour)
		}
		longest.Store(max(longest.Load(), int64(time.Until(deadline))))
		seen.Add(1)
		<-ctx.Done()
		return 0, embed.ErrUnavailable, true
	})
	c.meet()
	eventually(t, "nothing was learned", func() error { return when(seen.Load() > 0) })
	n.ok(dict{"command": "query", "call-id": c.id})
	if d := time.Duration(longest.Load()); d > 500*time.Millisecond {
		t.Errorf("an event of the node's own may hold the call for %v; a client waits 1 s in all", d)
	}
}

// Events that this release cannot read are reported, left where they are, and harm nobody.
func TestLogUnreadable(t *testing.T) {
	t.Parallel()
	s, host := newStore(t), newHost()
	var text procs.Output
	begin := func() *testNode {
		return startNode(t, func(o *settings) {
			o.store, o.host = s, host
			o.Logger = slog.New(slog.NewTextHandler(&text, nil))
		})
	}
	n := begin()
	c := n.place("mine")
	entries, _, err := s.log.Since(t.Context(), events.Key(c.id), 0)
	if err != nil {
		t.Fatal(err)
	}
	newer := []byte(strings.Replace(string(entries[0].Data), `"v":1`, `"v":99`, 1))
	unknown := []byte(strings.Replace(string(entries[0].Data), `"kind":"offered"`, `"kind":"sung"`, 1))
	alien := [][]byte{newer, []byte("no event\n"), {}, {0xff, 0x00}, unknown}
	put := func(key string) {
		for i, data := range alien {
			_, last, err := s.log.Since(t.Context(), key, 0)
			if err != nil {
				t.Fatal(err)
			}
			if all, _, _ := s.log.Since(t.Context(), key, 0); len(all) > 0 {
				last = all[len(all)-1].Seq
			}
			if _, err := s.log.Append(t.Context(), key, last, data); err != nil {
				t.Fatalf("entry %d: %v", i, err)
			}
		}
	}
	put(events.Key(c.id))
	put(events.Key("theirs"))
	check := func() {
		c.talk()
		n.sdp(c.answer2())
		n.sdp(with(offer(c.id, c.a.body(), dict{"to-tag": "B"})))
		n.sdp(c.answer2())
		c.talk()
		if got := n.calls(); !slices.Equal(got, []string{c.id}) {
			t.Errorf("calls: %q", got)
		}
	}
	check()
	eventually(t, "not every event was reported", func() error {
		return when(strings.Count(text.String(), "cannot read an event") == 8)
	})
	if !strings.Contains(text.String(), "newer version") {
		t.Error("the report does not say that an event is of a newer version")
	}
	var list, show strings.Builder
	if err := cli.CallList(t.Context(), s.log, &list, false); err == nil || !strings.Contains(list.String(), c.id) {
		t.Errorf("call list: %v\n%s", err, &list)
	}
	if err := cli.CallShow(t.Context(), s.log, c.id, &show, false, false, nil); err != nil || !strings.Contains(show.String(), "newer version") {
		t.Errorf("call show: %v\n%s", err, &show)
	}
	n.stop()
	n = begin()
	check()
	n.sdp(offer("theirs", c.a.body())) // its generations are unknown, the call-id is as good as any
	n.ok(remove("theirs"))
	n.ok(remove(c.id))
	n.idle()
	left := 0
	all, err := s.log.History(t.Context(), events.Key("theirs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range all {
		if slices.ContainsFunc(alien, func(b []byte) bool { return string(b) == string(in.Data) }) {
			left++
		}
	}
	if left != len(alien) {
		t.Errorf("%d of %d alien events are still there", left, len(alien))
	}
}

// A NATS elsewhere goes away and comes back.
func TestLogServerAway(t *testing.T) {
	t.Parallel()
	host, dir := newHost(), t.TempDir()
	run := func() *server.Server { return natsElsewhere(t, host, dir) }
	server := run()
	elsewhere := connectStore(t, server)
	n := startNode(t, func(o *settings) { o.store = elsewhere })
	c := n.place("before")
	server.Shutdown()
	fresh := offer("fresh", newPhone(t).body())
	n.refused(fresh, logAway)
	n.ok(dict{"command": "query", "call-id": c.id})
	c.meet()
	server2 := run()
	eventually(t, "the node does not work again", func() error {
		if reply := n.do(fresh); reply["result"] != "ok" {
			return fmt.Errorf("%v", reply)
		}
		return nil
	})
	n.ok(remove("fresh"))
	eventually(t, "addresses learned meanwhile are not in the log", func() error { return when(learnedAddresses(n, c.id) >= 2) })
	n.ok(remove(c.id))
	n.idle()
	server2.Shutdown()
	n.stop() // does not wait for it
}

var _ node.Journal = (*journal)(nil)
