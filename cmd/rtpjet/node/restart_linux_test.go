package node_test

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rtpjet/events"
)

// A node that is killed comes back with every call on its ports and with what it had learned. Each case prepares a call
// before the kill, and looks at it after the restart.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := serve(t)
	l := s.log()
	var after []func()
	prepare := func(name string, f func(t *testing.T) (check func(t *testing.T))) {
		t.Helper()
		if check := f(t); check != nil {
			after = append(after, func() { t.Run(name, check) })
		}
	}

	prepare("plain", func(t *testing.T) func(*testing.T) {
		c := s.place("plain")
		c.meet()
		c.reports()
		awaitLearned(t, l, c.id, 4)
		return func(*testing.T) {
			c.talk()
			c.reports()
		}
	})
	prepare("never heard", func(*testing.T) func(*testing.T) {
		c := s.place("never heard")
		return func(*testing.T) {
			c.talk()
			c.reports()
		}
	})
	prepare("behind NAT", func(t *testing.T) func(*testing.T) {
		c := &call{t: t, id: "behind NAT", a: newPhone(t), b: newPhone(t)}
		s.setUp(c, c.a.body(), behindNAT())
		speak(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
		passPacket(t, c.b.rtcp, c.atB.rtcp, c.a.rtcp, c.atA.rtcp, report())
		awaitLearned(t, l, c.id, 2)
		return func(t *testing.T) { // b stays silent, and hears
			pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
			passPacket(t, c.a.rtcp, c.atA.rtcp, c.b.rtcp, c.atB.rtcp, report())
		}
	})
	prepare("on hold", func(t *testing.T) func(*testing.T) {
		c := &call{t: t, id: "on hold", a: newPhone(t), b: newPhone(t)}
		s.setUp(c, behindNAT(), c.b.body())
		speak(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
		awaitLearned(t, l, c.id, 1)
		hold := holdByAddress(c.offer["sdp"].(string))
		s.sdp(with(maps.Clone(c.offer), dict{"sdp": hold, "to-tag": "B"}))
		s.sdp(c.answer)
		return func(t *testing.T) {
			pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp) // music on hold
			before := s.heard(c.id)
			send(t, c.b.rtp, c.atB.rtp, packet()) // goes nowhere
			eventually(t, "the packet was not taken in", func() error { return when(s.heard(c.id) > before) })
			if got := legs(t, s.sdp(with(maps.Clone(c.offer), dict{"to-tag": "B"})))[0]; got != c.atB {
				t.Errorf("the return from hold tells b %v, and it was told %v", got, c.atB)
			}
			if got := legs(t, s.sdp(c.answer))[0]; got != c.atA {
				t.Errorf("the return from hold tells a %v, and it was told %v", got, c.atA)
			}
			pass(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
		}
	})
	prepare("early dialogue", func(t *testing.T) func(*testing.T) {
		c := &call{t: t, id: "early", a: newPhone(t), b: newPhone(t)}
		c.atB = legs(t, s.sdp(offer(c.id, c.a.body())))[0]
		return func(t *testing.T) {
			c.atA = legs(t, s.sdp(answer(c.id, c.b.body())))[0]
			c.talk()
			c.reports()
		}
	})
	const deleted = "to be deleted" // ends before the kill or after it
	prepare(deleted, func(t *testing.T) func(*testing.T) {
		c := s.place(deleted)
		s.ok(remove(c.id, dict{"delete delay": 1}))
		due := time.Now().Add(time.Second)
		eventually(t, "time stands still", func() error { return when(time.Now().After(due)) })
		return func(t *testing.T) {
			eventually(t, "a call whose end came while the node was down goes on", func() error {
				return when(!slices.Contains(s.calls(), c.id))
			})
			eventually(t, "its port is still bound", func() error {
				conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(c.atA.rtp))
				if err == nil {
					err = conn.Close()
				}
				return err
			})
		}
	})
	prepare("command repeated", func(t *testing.T) func(*testing.T) {
		b := newPhone(t)
		req, res := encode(t, offer("repeated", newPhone(t).body())), encode(t, answer("repeated", b.body()))
		other := encode(t, offer("repeated, early", newPhone(t).body()))
		raw := func(cookie string, payload []byte) string {
			reply, err := s.c.DoRaw(cookie, payload)
			if err != nil {
				t.Fatal(err)
			}
			return string(reply)
		}
		raw("r1", req)
		first, early := raw("r2", res), raw("r3", other)
		return func(t *testing.T) {
			entries := func() int {
				return len(eventsOf(t, s.log(), "repeated")) + len(eventsOf(t, s.log(), "repeated, early"))
			}
			before := entries()
			for _, cookie := range []string{"r2", "new1"} {
				if got := raw(cookie, res); got != first {
					t.Errorf("the answer repeated with cookie %s gets\n%s\nand got\n%s", cookie, got, first)
				}
			}
			for _, cookie := range []string{"r3", "new2"} {
				if got := raw(cookie, other); got != early {
					t.Errorf("the offer repeated with cookie %s gets\n%s\nand got\n%s", cookie, got, early)
				}
			}
			if got := entries(); got != before {
				t.Errorf("repeated commands appended %d events", got-before)
			}
		}
	})
	prepare("blocked", func(t *testing.T) func(*testing.T) {
		c := s.place("blocked")
		s.ok(dict{"command": "block media", "call-id": c.id})
		return func(*testing.T) {
			send(t, c.a.rtp, c.atA.rtp, packet())
			send(t, c.b.rtp, c.atB.rtp, packet())
			eventually(t, "blocked packets were not counted", func() error {
				return when(dig(s.ok(dict{"command": "query", "call-id": c.id}), "totals", "RTP", "packets") == int64(2))
			})
			s.ok(dict{"command": "unblock media", "call-id": c.id})
			c.talk()
		}
	})
	prepare("ended", func(t *testing.T) func(*testing.T) {
		c := s.place("ended")
		s.ok(remove(c.id))
		return func(t *testing.T) {
			s.refused(dict{"command": "query", "call-id": c.id}, "Unknown call-id")
			s.refused(c.answer, "Unknown call-id")
			s.sdp(c.offer) // begins anew
		}
	})
	for name, id := range map[string]string{
		"long call-id": strings.Repeat("long-", 820)[:4096], "call-id without UTF-8": "\xff\xfe\x00\n\r\x80id \xc3",
		"call-id of a subject": "a.b.>.*", "call-id like JSON": `{"a":"\ud800"}`,
	} {
		prepare(name, func(*testing.T) func(*testing.T) {
			c := s.place(id)
			return func(t *testing.T) {
				if !slices.Contains(s.calls(), id) {
					t.Error("the call is not listed")
				}
				s.ok(dict{"command": "query", "call-id": id})
				c.talk()
				s.ok(remove(id))
				if reply := s.ok(remove(id)); reply["warning"] == nil {
					t.Errorf("a second delete says %v", reply)
				}
			}
		})
	}
	var many []*call
	for i := range 50 {
		many = append(many, s.place(fmt.Sprint("many ", i)))
	}

	stay := func() []string {
		return slices.DeleteFunc(s.calls(), func(id string) bool { return id == deleted })
	}
	before := stay()
	states := map[string]any{}
	for _, id := range before {
		states[id] = shape(s.ok(dict{"command": "query", "call-id": id}))
	}
	s.kill()
	s.start()
	now := stay()
	if gone := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return slices.Contains(now, id) }); len(gone) > 0 {
		t.Errorf("calls are gone: %q", gone)
	}
	for _, id := range now {
		if got := shape(s.ok(dict{"command": "query", "call-id": id})); !reflect.DeepEqual(got, states[id]) {
			t.Errorf("%q has changed:\n%v\nit was\n%v", id, got, states[id])
		}
	}
	for _, c := range many {
		c.talk()
	}
	eventually(t, "statistics count other calls than there are", func() error {
		if got := dig(s.ok(dict{"command": "statistics"}), "statistics", "currentstatistics", "sessionsown"); got != int64(len(s.calls())) {
			return fmt.Errorf("%v, and there are %d", got, len(s.calls()))
		}
		return nil
	})
	for _, f := range after {
		f()
	}
}

// heard is how many RTP packets a call has received.
func (n *ng) heard(id string) int64 {
	n.t.Helper()
	return n.ok(dict{"command": "query", "call-id": id})["totals"].(dict)["RTP"].(dict)["packets"].(int64)
}

// holdByAddress puts the sender on hold.
func holdByAddress(sdp string) string {
	var out strings.Builder
	for line := range strings.Lines(sdp) {
		if strings.HasPrefix(line, "c=") {
			line = "c=IN IP4 0.0.0.0\r\n"
		}
		out.WriteString(line)
	}
	return out.String() + "a=sendonly\r\n"
}

// shape is what a query says of a call but for what packets have counted or shown since the start.
func shape(reply dict) any {
	var drop func(v any) any
	drop = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			out := dict{}
			for k, x := range v {
				switch k {
				case "stats", "stats_out", "totals", "SSRC", "last packet", "last user packet", "ingress SSRCs", "egress SSRCs", "codec":
				default:
					out[k] = drop(x)
				}
			}
			return out
		case []any:
			for i := range v {
				v[i] = drop(v[i])
			}
		}
		return v
	}
	return drop(reply)
}

// A call that began before the kill ends after it with one event, and the same call-id begins the next generation.
func TestRestartGenerations(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.place("again")
	s.ok(remove(c.id))
	s.sdp(c.offer)
	s.kill()
	s.start()
	s.sdp(c.answer)
	s.ok(remove(c.id))
	s.kill()
	s.start()
	s.sdp(c.offer)
	var gens []uint64
	var kinds []events.Kind
	for _, env := range eventsOf(t, s.log(), c.id) {
		gens, kinds = append(gens, env.Gen), append(kinds, kindOf(env))
	}
	if want := []uint64{1, 1, 1, 2, 2, 2, 3}; !slices.Equal(gens, want) {
		t.Errorf("generations %v of %v, want %v", gens, kinds, want)
	}
}

// A port that somebody else has taken meanwhile comes back to its call as soon as it can.
func TestRestartPortTaken(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, other := s.place("port taken"), s.place("other")
	s.kill()
	thief := listen(t, c.atA.rtp)
	s.start()
	other.talk()
	passPacket(t, c.a.rtcp, c.atA.rtcp, c.b.rtcp, c.atB.rtcp, report()) // half a call is better than none
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port does not come back", func() error {
		send(t, c.a.rtp, c.atA.rtp, packet())
		heard, _ := dig(s.ok(dict{"command": "query", "call-id": c.id}), "totals", "RTP", "packets").(int64) // absent while no port is there
		return when(heard > 0)
	})
	receive(t, c.b.rtp)
	s.ok(remove(c.id))
}
