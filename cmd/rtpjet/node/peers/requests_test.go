package peers

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/embed"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

var ports = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:30000"), netip.MustParseAddrPort("192.0.2.2:30001")}

// reservation asks for ports.
func reservation(owner string, fresh bool) Reservation {
	return Reservation{Key: "k", Owner: owner, Bind: ports[0].Addr(), Num: len(ports), New: fresh}
}

// TestReserve: sockets of a peer, for which that says how long it holds them, and what it answers instead.
func TestReserve(t *testing.T) {
	asked := func(owner string) string {
		return `reserve k of "` + owner + `": 2 at 192.0.2.2, held for 3s`
	}
	for name, tc := range map[string]struct {
		load    Load
		follows bool // n2 follows a process of its name
		want    Reservation
		refused error
		gives   []netip.AddrPort
		asked   string // what the peer's node is asked; "": nothing
		err     error  // is matched
		text    string // of another error
	}{
		"for a call":                    {load: Load{Room: -1}, want: reservation("", false), gives: ports, asked: asked("")},
		"for a new call":                {load: Load{Room: 1}, want: reservation("", true), gives: ports, asked: asked("")},
		"for a call of a float":         {load: Load{Room: -1}, want: reservation("float.a", true), gives: ports, asked: asked("float.a")},
		"full":                          {load: Load{Room: 0}, want: reservation("", true), err: transact.ErrNoRoom},
		"full, for a call":              {load: Load{Room: 0}, want: reservation("", false), gives: ports, asked: asked("")},
		"draining":                      {load: Load{Room: -1, Draining: true}, want: reservation("", true), err: transact.ErrNoRoom},
		"draining, for a call":          {load: Load{Room: -1, Draining: true}, want: reservation("", false), gives: ports, asked: asked("")},
		"recovering":                    {load: Load{Room: -1}, follows: true, want: reservation("", true), err: transact.ErrNoRoom},
		"recovering, for a call":        {load: Load{Room: -1}, follows: true, want: reservation("", false), gives: ports, asked: asked("")},
		"recovering, of a float":        {load: Load{Room: -1}, follows: true, want: reservation("float.a", true), gives: ports, asked: asked("float.a")},
		"a float that has moved":        {load: Load{Room: -1}, want: reservation("float.a", false), refused: ErrMoved, asked: asked("float.a"), err: transact.ErrSilent},
		"a float that moved, full":      {load: Load{Room: 0}, want: reservation("float.a", true), refused: ErrMoved, err: transact.ErrNoRoom},
		"no ports":                      {load: Load{Room: -1}, want: reservation("", false), refused: errors.New("no ports"), asked: asked(""), text: "no ports"},
		"no ports for a new call":       {load: Load{Room: -1}, want: reservation("", true), refused: errors.New("no ports"), asked: asked(""), err: transact.ErrNoRoom},
		"fewer than were asked for":     {load: Load{Room: -1}, want: reservation("", false), gives: ports[:1], asked: asked(""), text: "node n2 gave 1 ports instead of 2"},
		"another region's, like a node": {load: Load{Room: -1}, want: reservation("eu:n2", false), gives: ports, asked: asked("eu:n2")},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				a := w.join("n1")
				if tc.follows {
					w.putLease(*down(1))
				}
				b := w.joinAs("n2", func(_ *Config, n *node) { n.host.load, n.host.ports, n.host.refused = tc.load, tc.gives, tc.refused })
				b.host.Take()
				got, err := a.Reserve(w.t.Context(), "n2", tc.want)
				switch {
				case tc.text != "":
					w.wantError("reserve", err, tc.text)
				case !errors.Is(err, tc.err):
					t.Errorf("got %v, want %v", err, tc.err)
				case err == nil && (len(got) != 2 || got[0] != ports[0] || got[1] != ports[1]):
					t.Errorf("got %v", got)
				}
				if tc.asked != "" {
					w.want("the node", b.host.Take(), tc.asked)
				} else {
					w.want("the node", b.host.Take())
				}
			})
		})
	}
}

// TestReserveMalformed: what is no request is answered with an error, and asks the node for nothing.
func TestReserveMalformed(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		for text, want := range map[string]string{
			"":            `{"error":"unexpected end of JSON input"}`,
			"[]":          `{"error":"json: cannot unmarshal array into Go value of type peers.Reservation"}`,
			`{"bind":"x`:  `{"error":"unexpected end of JSON input"}`,
			`{"bind":"x"`: `{"error":"unexpected end of JSON input"}`,
		} {
			got, err := w.request(w.t.Context(), "node.n1.reserve", []byte(text))
			if err != nil || string(got) != want {
				t.Errorf("%q: %s, %v", text, got, err)
			}
		}
		w.want("the node", having(n.host.Take(), "reserve"))
	})
}

// TestRelease: what was not needed goes back, and what is no release changes nothing.
func TestRelease(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		b.host.Take()
		a.Release("n2", "k", ports)
		a.Release("n7", "k", ports) // who is not there
		w.send("node.n2.release", []byte("{"), nil)
		w.send("node.n2.release", []byte(`{"ports":["x"]}`), nil)
		synctest.Wait()
		w.want("the node", b.host.Take(), "release k [192.0.2.2:30000 192.0.2.2:30001]")
	})
}

// TestStats: counters of the sockets that are open at a peer.
func TestStats(t *testing.T) {
	play(t, func(w *world) {
		a := w.join("n1")
		counted := plan.Stats{In: plan.Counters{Packets: 7, Bytes: 1204}, LastPacket: 99}
		w.joinAs("n2", func(_ *Config, n *node) { n.host.stats = map[netip.AddrPort]plan.Stats{ports[0]: counted} })
		got, err := a.Stats(w.t.Context(), "n2", ports)
		if err != nil || len(got) != 1 || got[ports[0]] != counted {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := a.Stats(w.t.Context(), "n2", nil); err != nil || len(got) != 0 {
			t.Errorf("of nothing: %+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		if got, err := w.request(ctx, "node.n2.stats", []byte("{")); err == nil {
			t.Errorf("no request, and the answer is %s", got)
		}
	})
}

// TestUnanswered: a peer that does not answer counts as silent until its next heartbeat.
func TestUnanswered(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		pass(time.Second)
		for name, ask := range map[string]func(ctx context.Context) error{
			"reserve": func(ctx context.Context) error { _, err := a.Reserve(ctx, "n2", reservation("", false)); return err },
			"stats":   func(ctx context.Context) error { _, err := a.Stats(ctx, "n2", ports); return err },
			"hello":   func(ctx context.Context) error { return a.Hello(ctx, "n2", 30*time.Millisecond) },
		} {
			b.link.setCut(true)
			ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Millisecond)
			began := time.Now()
			err := ask(ctx)
			cancel()
			if took := time.Since(began); !errors.Is(err, embed.ErrUnavailable) || took != 30*time.Millisecond {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			if name != "hello" && (!errors.Is(err, transact.ErrSilent) || err.Error()[:8] != "ask n2: ") {
				t.Errorf("%s: %v", name, err)
			}
			if v := a.Judge("n2"); v != members.Silent {
				t.Errorf("%s: n2 is %v", name, v)
			}
			b.link.setCut(false)
			pass(BeatEvery)
			if v := a.Judge("n2"); v != members.Alive {
				t.Errorf("%s: a beat later n2 is %v", name, v)
			}
			if err := a.Hello(w.t.Context(), "n2", time.Second); err != nil {
				t.Errorf("%s: hello: %v", name, err)
			}
		}
	})
}

// TestStrangeAnswers: an answer that is none is an error, and no silence.
func TestStrangeAnswers(t *testing.T) {
	play(t, func(w *world) {
		n := w.join("n1")
		pass(time.Second)
		w.says(members.Beat{Node: "n2", Epoch: 1, At: time.Now().UnixMicro()})
		for _, verb := range []string{"reserve", "stats"} {
			defer w.listen("node.n2."+verb, func(m embed.Msg) { _ = m.Respond([]byte("{")) })()
		}
		_, err := n.Reserve(w.t.Context(), "n2", reservation("", false))
		w.wantError("reserve", err, "ask n2: unexpected end of JSON input")
		_, err = n.Stats(w.t.Context(), "n2", ports)
		w.wantError("stats", err, "ask n2: unexpected end of JSON input")
		if v := n.Judge("n2"); v != members.Alive {
			t.Errorf("n2 is %v", v)
		}
	})
}

// TestAnswers: a member gives a sign of life and answers operators, and one that has ended does neither.
func TestAnswers(t *testing.T) {
	play(t, func(w *world) {
		a, b := w.join("n1"), w.join("n2")
		if got, err := w.request(w.t.Context(), embed.HelloTokens("n2"), nil); err != nil || string(got) != "n2" {
			t.Errorf("hello: %s, %v", got, err)
		}
		if s, err := admin.AskStatus(w.t.Context(), a.link, "n2"); err != nil || s.Node != "n2" {
			t.Errorf("status: %+v, %v", s, err)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
		if err := a.Hello(w.t.Context(), "n2", time.Second); !errors.Is(err, embed.ErrNobody) {
			t.Errorf("hello after its end: %v", err)
		}
	})
}
