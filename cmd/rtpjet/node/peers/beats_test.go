package peers

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/embed"
	"rtpjet/projection/members"
)

// beatsOf collects the heartbeats that a node sends by NATS.
func (w *world) beatsOf(id string) (take func() []members.Beat) {
	heard := make(chan members.Beat, 1000)
	w.listen("beat", func(m embed.Msg) {
		var b members.Beat
		if err := json.Unmarshal(m.Data, &b); err != nil {
			w.t.Error(err)
		}
		if b.Node == id {
			heard <- b
		}
	})
	return func() (out []members.Beat) {
		synctest.Wait()
		for len(heard) > 0 {
			out = append(out, <-heard)
		}
		return out
	}
}

// unlisten ends all who listen to a subject, nodes included.
func (w *world) unlisten(tokens string) {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	for in := range w.subs[tokens] {
		delete(w.subs[tokens], in)
		close(in)
	}
}

// TestBeats: ten times a second, what the node has to do; at the end, that it leaves.
func TestBeats(t *testing.T) {
	play(t, func(w *world) {
		take := w.beatsOf("n1")
		n := w.joinAs("n1", func(_ *Config, n *node) {
			n.skew = time.Hour
			n.host.load = Load{Calls: 7, Room: 3}
		})
		pass(250 * time.Millisecond)
		got := take()
		if len(got) != 3 {
			t.Fatalf("%d beats in 250 ms", len(got))
		}
		now := time.Now().Add(n.skew).UnixMicro()
		for i, b := range got {
			if want := (members.Beat{Node: "n1", Epoch: 1, At: now - 250_000 + int64(i)*100_000, Calls: 7, Room: 3}); b != want {
				t.Errorf("got  %+v\nwant %+v", b, want)
			}
		}
		n.host.set(func(h *fakeHost) { h.load = Load{Calls: 8, Room: -1, Draining: true} })
		n.Beat()
		if got := take(); len(got) != 1 || !got[0].Draining || got[0].Calls != 8 || got[0].Room != -1 || got[0].Leaving {
			t.Errorf("at once: %+v", got)
		}
		n.link.setCut(true)
		n.link.disturb(func(verb, what string) error {
			if verb == "publish" {
				t.Errorf("without NATS something is published to %s", what)
			}
			return nil
		})
		pass(time.Second)
		n.link.disturb(nil)
		n.link.setCut(false)
		if err := n.end(); err != nil {
			t.Error(err)
		}
		if got := take(); len(got) != 1 || !got[0].Leaving {
			t.Errorf("at the end: %+v", got)
		}
		if l, _ := w.lease(t, "n1"); l.State != members.Down || l.At != time.Now().Add(n.skew).UnixMicro() {
			t.Errorf("the lease is %+v", l)
		}
		w.unlisten("beat")
	})
}

// TestRecovering: who follows a process of the same name takes no new calls as long as one that its peers had sockets for may come.
func TestRecovering(t *testing.T) {
	play(t, func(w *world) {
		take := w.beatsOf("n1")
		w.put("node.n1", leaseOf("n1", 1, members.Down).Encode())
		n := w.join("n1")
		held := budget + 500*time.Millisecond
		pass(held - 50*time.Millisecond)
		if !n.Recovering() {
			t.Error("not recovering")
		}
		for _, b := range take() {
			if b.Room != 0 {
				t.Errorf("%+v", b)
			}
		}
		pass(50 * time.Millisecond)
		if n.Recovering() {
			t.Error("recovering yet")
		}
		n.Beat()
		if got := take(); got[len(got)-1].Room != -1 {
			t.Errorf("%+v", got)
		}
		w.unlisten("beat")

		if first := w.join("n2"); first.Recovering() {
			t.Error("the first process of its name is recovering")
		}
	})
}

// TestTwoPaths: what each of two nodes thinks of the other while either path is cut.
func TestTwoPaths(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		is := func(what string, n *node, of string, want members.Verdict) {
			t.Helper()
			if got := n.Judge(of); got != want {
				t.Errorf("%s: %s thinks that %s is %v, want %v", what, n.id, of, got, want)
			}
		}
		pass(time.Second)
		is("both paths", a, "n2", members.Alive)
		is("both paths", b, "n1", members.Alive)
		is("both paths", a, "n1", members.Alive)

		w.net.set(w.net.cut, "n2", true)
		pass(2 * time.Second)
		is("NATS only", a, "n2", members.Alive)
		w.net.set(w.net.cut, "n2", false)

		b.link.setCut(true)
		pass(2 * time.Second)
		is("UDP only", a, "n2", members.Silent)
		is("UDP only", b, "n1", members.Silent) // it hears nobody by NATS, and does not know why
		if !a.CutOff("n2") || a.CutOff("n1") {
			t.Errorf("n2 is cut off: %v, n1: %v", a.CutOff("n2"), a.CutOff("n1"))
		}
		if _, gone := a.GoneFor("n2"); gone {
			t.Error("n2 is gone")
		}

		w.net.set(w.net.cut, "n2", true)
		pass(DefaultTimeout + 2*BeatEvery)
		is("neither", a, "n2", members.Gone)
		is("neither, and it cannot know why", b, "n1", members.Silent)
		if a.CutOff("n2") {
			t.Error("n2 is cut off")
		}
		pass(time.Second)
		gone, ok := a.GoneFor("n2")
		if !ok || gone < time.Second || gone > time.Second+2*BeatEvery {
			t.Errorf("n2 is gone for %v %v", gone, ok)
		}
		if unheard, ok := a.Unheard("n2"); !ok || unheard < time.Second+DefaultTimeout || unheard > gone+DefaultTimeout+3*BeatEvery {
			t.Errorf("n2 is unheard for %v %v", unheard, ok)
		}
		if unheard, ok := a.Unheard("n7"); ok {
			t.Errorf("n7 is unheard for %v", unheard)
		}

		b.link.setCut(false)
		w.net.set(w.net.cut, "n2", false)
		pass(time.Second)
		is("both again", a, "n2", members.Alive)
		is("both again", b, "n1", members.Alive)
	})
}

// TestLeaving: a node that ends as it should is gone at once, and sent no heartbeats any more.
func TestLeaving(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		pass(time.Second)
		w.putLease(leaseOf("n3", 1, members.Up)) // which hears none by UDP
		if len(a.beatAddrs()) != 1 || !a.Accompanied() {
			t.Errorf("beats go to %v", a.beatAddrs())
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
		if a.Judge("n2") != members.Gone || a.Accompanied() {
			t.Errorf("n2 is %v", a.Judge("n2"))
		}
		if len(a.beatAddrs()) != 0 {
			t.Errorf("beats go to %v", a.beatAddrs())
		}
	})
}

// TestKilled: the machine of a process that was killed refuses heartbeats; two refusals, and silence for three beats, are enough.
func TestKilled(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		pass(time.Second)
		b.kill()
		w.net.set(w.net.cut, "n2", false)
		w.net.set(w.net.refuses, "n2", true)
		pass(4 * BeatEvery)
		if v := a.Judge("n2"); v != members.Gone {
			t.Errorf("after four beats n2 is %v", v)
		}
	})
}

// TestProbe: who asks finds out at once, by a request that nobody answers and two probes.
func TestProbe(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		pass(time.Second)
		a.Probe("n2")
		a.Probe("n2")
		if v := a.Judge("n2"); v != members.Alive {
			t.Errorf("after two probes that arrive n2 is %v", v)
		}
		b.kill()
		w.net.set(w.net.cut, "n2", false)
		w.net.set(w.net.refuses, "n2", true)
		if err := a.Hello(w.t.Context(), "n2", time.Second); !errors.Is(err, embed.ErrNobody) {
			t.Errorf("hello: %v", err)
		}
		a.Probe("n2")
		if v := a.Judge("n2"); v != members.Silent {
			t.Errorf("after one probe n2 is %v", v)
		}
		a.Probe("n2")
		if v := a.Judge("n2"); v != members.Gone {
			t.Errorf("after two probes n2 is %v", v)
		}
	})
}

// TestStrangeBeats: what is no heartbeat of another node is none.
func TestStrangeBeats(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		pass(time.Second) // at 0 s nothing was ever heard
		for _, data := range []string{"", "{", `[]`, `{"node":7}`, `{"node":""}`, `{"node":"n1","epoch":9}`} {
			w.send("beat", []byte(data), nil)
			n.wire.in <- []byte(data)
		}
		synctest.Wait()
		if got := n.Peers(); len(got) != 0 {
			t.Errorf("heard of %+v", got)
		}
		w.want("of its own clock", having(n.log.Take(), "peer=n1"))
		w.says(members.Beat{Node: "n2", Epoch: 2, Calls: 5, At: time.Now().UnixMicro()})
		w.says(members.Beat{Node: "n2", Epoch: 1, Calls: 9, At: time.Now().UnixMicro()}) // of a process that is no more
		if got := n.Peers(); len(got) != 1 || got[0].Calls != 5 || got[0].Heard != [2]int64{0, -1} {
			t.Errorf("heard of %+v", got)
		}
	})
}

// TestSkew: of a clock that is far off the log tells once a minute.
func TestSkew(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		say := func(id string, ahead time.Duration) {
			w.says(members.Beat{Node: id, Epoch: 1, At: time.Now().Add(ahead).UnixMicro()})
		}
		text := func(peer, ahead string) string {
			return `level=ERROR msg="the clocks of two nodes differ; timers of calls and the order of logs suffer: set the clocks (NTP)" peer=` +
				peer + ` ahead=` + ahead
		}
		say("n2", maxSkew)
		say("n2", -maxSkew)
		w.want("near", n.log.Take())
		say("n2", 7*time.Second)
		say("n2", 7*time.Second)
		say("n3", -maxSkew-time.Millisecond)
		w.want("far", n.log.Take(), text("n2", "7s"), text("n3", "-5.001s"))
		n.hearBeat(members.UDP, encodeBeat(members.Beat{Node: "n4", Epoch: 1, At: 1}))
		w.want("by UDP, which may be late", n.log.Take())
		pass(warnEvery)
		say("n2", 7*time.Second)
		w.want("a minute later", n.log.Take(), text("n2", "7s"))
	})
}
