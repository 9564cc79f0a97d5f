package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rtpjet/cmd/rtpjet/node"
	"rtpjet/embed"
	"rtpjet/embed/server"
	"rtpjet/events"
	"rtpjet/tests/procs"
)

// Calls that are served while the log is away (--log-loss=serve).

// away is a log that does not answer appends; slow takes all the time that it is given.
func away(context.Context, string, uint64, []byte) (uint64, error, bool) {
	return 0, fmt.Errorf("append: %w", embed.ErrUnavailable), true
}

func slow(ctx context.Context, _ string, _ uint64, _ []byte) (uint64, error, bool) {
	<-ctx.Done()
	return 0, fmt.Errorf("append: %w: %w", embed.ErrUnavailable, ctx.Err()), true
}

func serving(o *settings) { o.ServeUnlogged = true }

// waiting expects that some events wait for the log, or none.
func (n *testNode) waiting(some bool) {
	n.ng.t.Helper()
	eventually(n.ng.t, fmt.Sprintf("events wait: %v expected", some), func() error {
		if got := node.Inspect(n.node).State().Unlogged; got > 0 != some {
			return fmt.Errorf("%d events wait", got)
		}
		return nil
	})
}

func kindsOf(envs []events.Envelope) (out []events.Kind) {
	for _, env := range envs {
		if k := kindOf(env); k != events.KindEndpointLearned { // of any number, at any time
			out = append(out, k)
		}
	}
	return out
}

// logged expects that the log has these events of a call, addresses learned aside.
func (n *testNode) logged(id string, want ...events.Kind) {
	n.ng.t.Helper()
	if got := kindsOf(n.events(id)); !slices.Equal(got, want) {
		n.ng.t.Errorf("%s: the log has %v, want %v", id, got, want)
	}
}

// While the log is away calls go on from beginning to end, and it has everything when it is back.
func TestUnlogged(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"unavailable": away, "slow": slow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, serving, func(o *settings) { o.Timeouts.Media = time.Hour.Microseconds() })
			old, short := n.place("old"), n.place("short")
			last := n.last()
			n.journal.disturb(f)

			// A call of before goes on, ends, and its call-id begins another one.
			began := time.Now()
			n.sdp(old.answer2())
			if took := time.Since(began); took > time.Second {
				t.Errorf("the first command took %v; its client has given up", took)
			}
			old.talk()
			n.ok(dict{"command": "block media", "call-id": old.id, "from-tag": "A"})
			n.ok(dict{"command": "unblock media", "call-id": old.id, "from-tag": "A"})
			n.ok(remove(short.id))
			short.a, short.b = newPhone(t), newPhone(t)
			n.setUp(short, short.a.body(), short.b.body())
			short.talk()

			// A new one: the same request gets the same reply, under the same cookie and under another one.
			c := &call{t: t, id: "new", a: newPhone(t), b: newPhone(t)}
			c.offer, c.answer = offer(c.id, c.a.body()), answer(c.id, c.b.body())
			first := n.raw("cookie", c.offer)
			if got := n.raw("cookie2", c.offer); got != first {
				t.Errorf("the same offer gets\n%s\nand got\n%s", got, first)
			}
			n.setUp(c, c.a.body(), c.b.body())
			again := n.sdp(c.answer)
			if got := n.sdp(c.answer); got != again {
				t.Errorf("the same answer gets\n%s\nand got\n%s", got, again)
			}
			c.talk()
			c.reports()
			n.ok(dict{"command": "query", "call-id": c.id})
			gone := n.place("gone")
			gone.talk()
			n.ok(remove(gone.id))
			if w := n.ok(remove(gone.id))["warning"]; w == nil {
				t.Error("a call is deleted twice")
			}
			if got := n.last(); got != last {
				t.Fatalf("%d events were appended", got-last)
			}
			n.clock.advance(2 * time.Minute) // an ended call that the log does not have stays known
			old.talk()
			short.talk()
			c.talk()
			n.waiting(true)

			n.journal.heal()
			n.waiting(false)
			n.logged(old.id, events.KindOffered, events.KindAnswered, events.KindAnswered,
				events.KindMediaBlocked, events.KindMediaBlocked)
			n.logged(short.id, events.KindOffered, events.KindAnswered, events.KindEnded, events.KindOffered, events.KindAnswered)
			n.logged(c.id, events.KindOffered, events.KindAnswered)
			n.logged(gone.id, events.KindOffered, events.KindAnswered, events.KindEnded)
			if got := n.sdp(c.answer); got != again {
				t.Errorf("once it is in the log, the same answer gets\n%s\nand got\n%s", got, again)
			}
			c.talk()
			n.ok(remove(old.id))
			n.ok(remove(short.id))
			n.ok(remove(c.id))
			n.idle()
			if held := node.Inspect(n.node).State().Held; held != 0 {
				t.Errorf("%d reservations are uncertain", held)
			}
		})
	}
}

// What was published folds to what was served: a node that starts afterwards says the same of each call.
func TestUnloggedFoldsAlike(t *testing.T) {
	t.Parallel()
	s, host := newStore(t), newHost()
	begin := func() *testNode {
		return startNode(t, serving, func(o *settings) { o.store, o.host = s, host })
	}
	n := begin()
	c := n.place("before")
	n.journal.disturb(away)
	n.sdp(c.answer2())
	d := n.place("during")
	moved := newPhone(t)
	d.atB = legs(t, n.sdp(offer(d.id, moved.body(), dict{"to-tag": "B"})))[0]
	d.atA = legs(t, n.sdp(answer(d.id, d.b.body())))[0]
	d.a = moved
	for _, x := range []*call{c, d} {
		x.meet()
		x.reports()
	}
	n.journal.heal()
	n.waiting(false)
	var want [2]string
	eventually(t, "not every address is learned", func() error {
		for i, x := range []*call{c, d} {
			want[i] = fmt.Sprint(shape(n.ok(dict{"command": "query", "call-id": x.id})))
		}
		return when(learnedAddresses(n, c.id) >= 4 && learnedAddresses(n, d.id) >= 4)
	})
	n.stop()
	n = begin()
	for i, x := range []*call{c, d} {
		if got := fmt.Sprint(shape(n.ok(dict{"command": "query", "call-id": x.id}))); got != want[i] {
			t.Errorf("%s: after a restart\n%s\nand before\n%s", x.id, got, want[i])
		}
		x.talk()
		n.ok(remove(x.id))
	}
	n.idle()
}

// The log has stored events of which the answer was lost. They are not doubled, whether the stream tells of them or the
// publisher finds them.
func TestUnloggedAnswerLost(t *testing.T) {
	t.Parallel()
	n := startNode(t, serving)
	n.journal.disturb(func(ctx context.Context, key string, last uint64, data []byte) (uint64, error, bool) {
		if _, err := n.log.Append(ctx, key, last, data); err != nil {
			t.Error(err)
		}
		return 0, embed.ErrUnavailable, true
	})
	c := n.place("stored")
	c.talk()
	n.sdp(c.answer2())
	n.journal.disturb(away)
	n.sdp(c.answer)
	n.journal.heal()
	n.ok(remove(c.id))
	n.waiting(false)
	n.logged(c.id, events.KindOffered, events.KindAnswered, events.KindAnswered, events.KindAnswered, events.KindEnded)
	n.idle()
}

// write appends an event that another node might have written meanwhile.
func (n *testNode) write(id string, event events.Event) {
	n.ng.t.Helper()
	entries, last, err := n.store.log.Since(n.ng.t.Context(), events.Key(id), 0)
	if err != nil {
		n.ng.t.Fatal(err)
	}
	env := events.Envelope{Call: id, Gen: 1, Node: "n2", At: n.clock.now().UnixMicro(), Event: event}
	if len(entries) > 0 {
		was, err := events.Decode(entries[len(entries)-1].Data)
		if err != nil {
			n.ng.t.Fatal(err)
		}
		env.Gen = was.Gen
	}
	data, err := events.Encode(env)
	if err != nil {
		n.ng.t.Fatal(err)
	}
	if _, err := n.store.log.Append(n.ng.t.Context(), events.Key(id), last, data); err != nil {
		n.ng.t.Fatal(err)
	}
}

// Another node has changed a call meanwhile. What still fits follows; what does not is dropped, with one line for the call, and
// its sockets are closed.
func TestUnloggedOvertaken(t *testing.T) {
	t.Parallel()
	yes := true
	for name, c := range map[string]struct {
		theirs events.Event
		fresh  bool // the call began without the log
		want   []events.Kind
		keeps  bool // it is still this node's
	}{
		"blocked": {
			theirs: events.MediaBlocked{DTMF: &yes}, keeps: true,
			want: []events.Kind{
				events.KindOffered, events.KindAnswered, events.KindMediaBlocked, // theirs
				events.KindOffered, events.KindAnswered, events.KindMediaBlocked,
			},
		},
		"taken over": {
			theirs: events.TakenOver{Owner: "n2", Epoch: 2},
			want:   []events.Kind{events.KindOffered, events.KindAnswered, events.KindTakenOver},
		},
		"ended": {
			theirs: events.Ended{Reason: events.ReasonDeleted},
			want:   []events.Kind{events.KindOffered, events.KindAnswered, events.KindEnded},
		},
		"begun": {
			fresh: true, theirs: events.Offered{Signalling: events.Signalling{Owner: "n2"}},
			want: []events.Kind{events.KindOffered},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text procs.Output
			n := startNode(t, serving, func(o *settings) { o.Logger = slog.New(slog.NewTextHandler(&text, nil)) })
			var x *call
			if c.fresh {
				n.journal.disturb(away)
				x = n.place("mine")
			} else {
				x = n.place("mine")
				n.journal.disturb(away)
			}
			n.sdp(offer(x.id, newPhone(t).body(), dict{"to-tag": "B"})) // more sockets
			n.sdp(answer(x.id, x.b.body("a=sendrecv")))
			n.ok(dict{"command": "block media", "call-id": x.id})
			n.write(x.id, c.theirs)
			if c.keeps {
				n.journal.heal()
				n.waiting(false)
				n.logged(x.id, c.want...)
				n.ok(remove(x.id))
				n.idle()
				return
			}
			n.waiting(false) // the stream tells of it, before anything can be appended
			n.idle()
			n.journal.heal()
			n.logged(x.id, c.want...)
			if got := strings.Count(text.String(), "are dropped"); got != 1 {
				t.Errorf("%d lines about what was dropped\n%s", got, &text)
			}
			n.ok(remove("another")) // commands find the log again
		})
	}
}

// A process that ends, or is killed, while the log is away finds its events on disk.
func TestUnloggedRestart(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprint("log back ", back), func(t *testing.T) {
			t.Parallel()
			s, host, dir := newStore(t), newHost(), t.TempDir()
			begin := func(f fault) *testNode {
				j := &journal{Log: s.log}
				if f != nil {
					j.disturb(f)
				}
				n := startNode(t, func(o *settings) {
					o.store, o.host, o.Journal, o.ServeUnlogged, o.UnloggedDir = s, host, j, f != nil, dir
				})
				n.journal = j
				return n
			}
			n := begin(away)
			n.journal.heal()
			c := n.place("before")
			n.journal.disturb(away)
			n.sdp(c.answer2())
			d, over := n.place("during"), n.place("over")
			n.ok(remove(over.id))
			d.talk()
			stored := n.place("stored") // the log has the first two of its events, and nobody knows
			n.stop()
			file := filepath.Join(dir, "unlogged")
			storeFirst(t, s, file, stored.id, 2)
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(`{"key":"torn`); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			if back {
				n = begin(nil) // with another setting, too
			} else {
				n = begin(away)
				n.waiting(true)
				n.sdp(d.answer2())
			}
			for _, x := range []*call{c, d, stored} {
				x.talk()
			}
			n.journal.heal()
			n.waiting(false)
			n.logged(c.id, events.KindOffered, events.KindAnswered, events.KindAnswered)
			n.logged(stored.id, events.KindOffered, events.KindAnswered)
			n.logged(over.id, events.KindOffered, events.KindAnswered, events.KindEnded)
			if st, err := os.Stat(file); err != nil || st.Size() != 0 {
				t.Errorf("the file is not empty: %v, %v", st, err)
			}
			if aside, _ := filepath.Glob(file + ".unreadable-*"); len(aside) != 1 {
				t.Errorf("moved aside: %q", aside)
			}
			for _, x := range []*call{c, d, stored} {
				n.ok(remove(x.id))
			}
			n.idle()
		})
	}
}

// Nothing is refused that was refused before the setting was there, and nothing is served: the default.
func TestUnloggedRefuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNode(t, func(o *settings) { o.UnloggedDir = dir })
	c := n.place("before")
	n.journal.disturb(away)
	n.refused(c.answer2(), logAway)
	n.refused(offer("new", c.a.body()), logAway)
	n.refused(remove(c.id), logAway)
	if got := node.Inspect(n.node).State().Unlogged; got != 0 {
		t.Errorf("%d events wait", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files: %v", left)
	}
	n.journal.heal()
	n.ok(remove(c.id))
	n.idle()
}

// A full disk: the log says so, and nothing is served in its place. Where the file has no room, events wait in memory.
func TestUnloggedFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	var text procs.Output
	n := startNode(t, serving, func(o *settings) {
		o.UnloggedDir, o.Logger = dir, slog.New(slog.NewTextHandler(&text, nil))
	})
	c := n.place("full")
	full := func(context.Context, string, uint64, []byte) (uint64, error, bool) {
		return 0, fmt.Errorf("append: %w", embed.ErrFull), true
	}
	n.journal.disturb(full)
	n.refused(c.answer2(), logAway)
	n.journal.disturb(away)
	const calls = 40
	for i := range calls {
		n.place(fmt.Sprint("call", i)).talk()
	}
	if !strings.Contains(text.String(), "no longer written to disk") {
		t.Error("nobody is told that the file is full")
	}
	n.journal.disturb(full) // the log answers, and takes nothing: what waits goes on waiting
	n.ok(remove("call0"))
	n.waiting(true)
	n.journal.heal()
	n.waiting(false)
	n.logged("call0", events.KindOffered, events.KindAnswered, events.KindEnded)
	for i := range calls {
		n.ok(remove(fmt.Sprint("call", i)))
	}
	n.ok(remove(c.id))
	n.idle()
}

// Timers go on, and a peer's calls stay refused.
func TestUnloggedTimersAndPeers(t *testing.T) {
	t.Parallel()
	n := peers(t, 2, serving)
	mine, theirs := n[0].place("mine"), n[1].place("theirs")
	n[0].counted(2)
	n[0].journal.disturb(away)
	n[0].refused(theirs.answer2(), logAway)
	n[0].sdp(mine.answer2())
	mine.talk()
	theirs.talk()
	n[0].ok(remove(mine.id, dict{"delete delay": 1}))
	n[0].clock.advance(2 * time.Second)
	eventually(t, "the call does not end", func() error { return when(!slices.Contains(n[0].calls(), mine.id)) })
	n[0].idle()
	n[0].journal.heal()
	n[0].waiting(false)
	n[0].logged(mine.id, events.KindOffered, events.KindAnswered, events.KindAnswered, events.KindDeletionScheduled, events.KindEnded)
	n[1].ok(remove(theirs.id))
	n[1].idle()
}

// Clients at work on many calls while the log answers now and then, sometimes only after it has stored: each call's events are
// in it once, in order, and no port is lost.
func TestUnloggedFlapping(t *testing.T) {
	t.Parallel()
	n := startNode(t, serving, func(o *settings) { o.UnloggedDir = t.TempDir() })
	var round atomic.Uint64
	n.journal.disturb(func(ctx context.Context, key string, last uint64, data []byte) (uint64, error, bool) {
		switch i := round.Add(1); {
		case i%16 < 5:
			return away(ctx, key, last, data)
		case i%16 < 8: // if it cannot be stored, the error is what it is
			if _, err := n.log.Append(ctx, key, last, data); err != nil {
				return 0, err, true
			}
			return 0, embed.ErrUnavailable, true
		}
		return 0, nil, false
	})
	var wait sync.WaitGroup
	for i := range 8 {
		client := dial(t, n.addr)
		a, b := newPhone(t), newPhone(t)
		wait.Go(func() {
			for j := range 10 {
				id := fmt.Sprint("call ", i, " ", j)
				for _, req := range []dict{offer(id, a.body()), answer(id, b.body()), answer(id, b.body("a=sendrecv")), remove(id)} {
					if reply, err := client.c.Do(req); err != nil || reply["result"] != "ok" || reply["warning"] != nil {
						t.Errorf("%s: %v: %v, %v", id, req["command"], reply, err)
					}
				}
			}
		})
	}
	wait.Wait()
	n.journal.heal()
	n.waiting(false)
	for i := range 8 {
		for j := range 10 {
			n.logged(fmt.Sprint("call ", i, " ", j), events.KindOffered, events.KindAnswered, events.KindAnswered, events.KindEnded)
		}
	}
	n.idle()
}

// A NATS elsewhere goes away, and reading fails as well.
func TestUnloggedServerAway(t *testing.T) {
	t.Parallel()
	host, dir := newHost(), t.TempDir()
	run := func() *server.Server { return natsElsewhere(t, host, dir) }
	server := run()
	elsewhere := connectStore(t, server)
	n := startNode(t, serving, func(o *settings) { o.store = elsewhere })
	c, d := n.place("before"), n.place("asked again")
	server.Shutdown()
	within := func(req dict) {
		t.Helper()
		began := time.Now()
		n.ok(req)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%v took %v", req["command"], took)
		}
	}
	within(d.offer) // whose reply is in the log, which does not tell
	within(c.answer2())
	fresh := n.place("fresh")
	n.refused(remove("unknown"), logAway)
	sdp := n.sdp(fresh.answer)
	if got := n.sdp(fresh.answer); got != sdp {
		t.Errorf("the same answer gets\n%s\nand got\n%s", got, sdp)
	}
	for _, x := range []*call{c, d, fresh} {
		x.talk()
		x.reports()
	}
	within(remove(c.id))
	server2 := run()
	n.waiting(false)
	n.logged(c.id, events.KindOffered, events.KindAnswered, events.KindAnswered, events.KindEnded)
	n.logged(fresh.id, events.KindOffered, events.KindAnswered)
	n.ok(remove(d.id))
	n.ok(remove(fresh.id))
	n.idle()
	server2.Shutdown()
	n.stop() // does not wait for it
}

// storeFirst appends the first events of a call that are in a file of unlogged events to the log.
func storeFirst(t *testing.T, s *store, file, id string, num int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var last uint64
	for line := range strings.Lines(string(text)) {
		data, ok := unloggedData(t, line, events.Key(id))
		if !ok || num == 0 {
			continue
		}
		num--
		if last, err = s.log.Append(t.Context(), events.Key(id), last, data); err != nil {
			t.Fatal(err)
		}
	}
}

// unloggedData is the event of a call in a line of the file.
func unloggedData(t *testing.T, line, key string) ([]byte, bool) {
	t.Helper()
	var l struct {
		Key  string
		Data []byte
	}
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		t.Fatal(err)
	}
	return l.Data, l.Key == key && len(l.Data) > 0
}
