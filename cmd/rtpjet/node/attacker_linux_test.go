package node_test

import (
	"bytes"
	"maps"
	"net"
	"net/netip"
	"testing"
	"time"
)

// attacker is somebody who can send to every port, from any port of his own address, and who guesses payload types and SSRCs
// rightly, but sees no packet. His address is his own; his ports are those that the phones here have in their SDPs.
type attacker struct {
	t     *testing.T
	n     *testNode
	phone *phone
	ports []netip.AddrPort // that the call had before
	seq   byte
	sent  int
}

// mark is in all that he sends, and in nothing else.
var mark = []byte("attack")

// flood sends a bit of everything to each port.
func (x *attacker) flood(ports ...netip.AddrPort) {
	x.t.Helper()
	for _, to := range ports {
		x.seq++
		rtp := append([]byte{0x80, 0, 0, x.seq, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe}, mark...)
		other := append([]byte{0x80, 96, x.seq, 0, 1, 2, 3, 4, 5, 6, 7, 8}, mark...)
		bye := append([]byte{0x81, 203, 0, 1, 0xca, 0xfe, 0xba, 0xbe}, mark...)
		stun := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, append(make([]byte, 12), mark...)...)
		for _, pkt := range [][]byte{rtp, other, bye, stun, mark} {
			send(x.t, x.phone.rtp, to, pkt)
			send(x.t, x.phone.rtcp, to, pkt)
			x.sent += 2
		}
	}
}

// settle returns once what was sent has been handled, as far as a thread can tell.
func (x *attacker) settle() {
	x.t.Helper()
	for range 2 {
		if err := x.n.engine.Answers(x.t.Context()); err != nil {
			x.t.Fatal(err)
		}
	}
}

// drain takes what has arrived at a phone and returns how many packets there were, and how many of them are the attacker's.
func drain(t *testing.T, p *phone) (all, injected int) {
	t.Helper()
	buf := make([]byte, 2048)
	for _, conn := range []*net.UDPConn{p.rtp, p.rtcp} {
		for {
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			all++
			if bytes.Contains(buf[:n], mark) {
				injected++
			}
		}
	}
	return all, injected
}

// attack is one case.
type attack struct {
	name  string
	setUp func(x *attacker, c *call)
	// silent is how long the attacker has before the party a speaks; 0: some rounds.
	silent time.Duration
	// meet has a speak for the first time, where its SDP says that it is; nil: it has spoken before.
	meet func(x *attacker, c *call)
	// met is true if a has spoken before from another address.
	met bool
	// end, if it is not nil, brings the call back from hold.
	end func(x *attacker, c *call)
}

func (x *attacker) meet(c *call) {
	speak(c.t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
	speak(c.t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
}

// reinvite sends a re-INVITE of a.
func (x *attacker) reinvite(c *call, body string) {
	c.atB = legs(x.t, x.n.sdp(with(maps.Clone(c.offer), dict{"sdp": body, "to-tag": "B"})))[0]
	c.atA = legs(x.t, x.n.sdp(c.answer))[0]
}

func (x *attacker) plain(c *call) { x.n.setUp(c, c.a.body(), c.b.body()) }

func (x *attacker) talked(c *call) {
	x.plain(c)
	x.meet(c)
}

func (x *attacker) resume(c *call) { x.reinvite(c, c.a.body()) }

var attacks = []attack{
	{name: "at its SDP address", setUp: (*attacker).plain, meet: (*attacker).meet},
	{name: "silent", setUp: (*attacker).plain, silent: 4 * time.Second, meet: (*attacker).meet},
	{name: "behind NAT, received from", setUp: func(x *attacker, c *call) {
		c.offer = offer(c.id, behindNAT(), dict{"received from": []any{"IP4", c.a.addr().Addr().String()}})
		c.answer = answer(c.id, c.b.body())
		c.atB, c.atA = legs(x.t, x.n.sdp(c.offer))[0], legs(x.t, x.n.sdp(c.answer))[0]
	}, silent: 4 * time.Second, meet: (*attacker).meet},
	{name: "behind NAT, nothing known", setUp: func(x *attacker, c *call) { // who speaks first is believed
		x.n.setUp(c, behindNAT(), c.b.body())
		for range 20 {
			x.meet(c)
		}
	}},
	{name: "early media", setUp: func(x *attacker, c *call) {
		c.offer, c.answer = offer(c.id, c.a.body()), answer(c.id, c.b.body())
		c.atB = legs(x.t, x.n.sdp(c.offer))[0]
	}, meet: func(x *attacker, c *call) {
		c.atA = legs(x.t, x.n.sdp(c.answer))[0]
		x.meet(c)
	}},
	{name: "hold by address", setUp: func(x *attacker, c *call) {
		x.talked(c)
		x.reinvite(c, holdByAddress(c.a.body()))
	}, end: (*attacker).resume},
	{name: "hold", setUp: func(x *attacker, c *call) {
		x.talked(c)
		x.reinvite(c, c.a.body("a=inactive"))
	}, end: (*attacker).resume},
	{name: "re-INVITE that changes nothing", setUp: func(x *attacker, c *call) {
		x.talked(c)
		x.resume(c)
	}},
	{name: "re-INVITE to another address", setUp: func(x *attacker, c *call) {
		x.talked(c)
		x.ports = c.ports()
		c.a = newPhone(x.t)
		x.reinvite(c, c.a.body())
		speak(x.t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
	}, met: true, meet: (*attacker).meet},
	{name: "T.38", setUp: func(x *attacker, c *call) {
		fax := func(p *phone) string { return session(p.addr().Addr()) + "m=image 4000 udptl t38\r\n" }
		x.n.setUp(c, fax(c.a), fax(c.b))
	}, meet: (*attacker).meet},
}

// TestAttacker: with default settings he hears at most five packets before the phone's first ones and none after, injects nothing
// then, silences nobody and keeps no call alive.
func TestAttacker(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			c := &call{t: t, id: "call", a: newPhone(t), b: newPhone(t)}
			x := &attacker{t: t, n: n, phone: newPhone(t)}
			a.setUp(x, c)
			before := x.attack(c, nil, time.Now().Add(a.silent))
			if a.meet != nil {
				a.meet(x, c)
				x.spoils(c)
			}
			after := x.attack(c, func() { send(t, c.a.rtp, c.atA.rtp, packetFrom(c.a.rtp)) }, time.Time{})
			was, _ := n.engine.Stats(c.atA.rtp)
			quiet := x.attack(c, nil, time.Now().Add(time.Second))
			is, _ := n.engine.Stats(c.atA.rtp)
			heard, injected := after.heard+quiet.heard, after.injected+quiet.injected
			t.Logf("before the phone's first packets: heard %d, injected %d; after: heard %d, injected %d; %d packets sent",
				before.heard, before.injected, heard, injected, x.sent)
			if heard > 0 || injected > 0 || before.heard > 5 {
				t.Error("he heard or injected too much")
			}
			if (a.meet == nil || a.met) && (before.heard > 0 || before.injected > 0) {
				t.Error("he had something of a party that was known")
			}
			if is.LastPacket != was.LastPacket || is.In != was.In {
				t.Errorf("his packets count: %+v, then %+v", was, is)
			}
			if a.end != nil {
				a.end(x, c)
			}
			x.spoils(c)
			pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
			pass(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
		})
	}
}

// loot is what the attacker got.
type loot struct{ heard, injected int }

// attack has him send until a time, and at least 30 rounds, while b speaks and a does what it does.
func (x *attacker) attack(c *call, a func(), until time.Time) (got loot) {
	x.t.Helper()
	for i := 0; i < 30 || time.Now().Before(until); i++ {
		if a != nil {
			a()
		}
		x.flood(append(c.ports(), x.ports...)...)
		send(x.t, c.b.rtp, c.atB.rtp, packetFrom(c.b.rtp))
		x.settle()
		if i%10 == 9 { // before a queue is full
			l := x.spoils(c)
			got.heard, got.injected = got.heard+l.heard, got.injected+l.injected
		}
	}
	l := x.spoils(c)
	return loot{got.heard + l.heard, got.injected + l.injected}
}

// spoils takes what has arrived anywhere.
func (x *attacker) spoils(c *call) (got loot) {
	x.t.Helper()
	got.heard, _ = drain(x.t, x.phone)
	for _, p := range []*phone{c.a, c.b} {
		_, injected := drain(x.t, p)
		got.injected += injected
	}
	return got
}

// ports are those that the parties were told.
func (c *call) ports() (out []netip.AddrPort) {
	for _, l := range []leg{c.atA, c.atB} {
		for _, a := range []netip.AddrPort{l.rtp, l.rtcp} {
			if a.IsValid() {
				out = append(out, a)
			}
		}
	}
	return out
}
