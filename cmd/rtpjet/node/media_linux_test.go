package node_test

import (
	"strings"
	"testing"

	"rtpjet/relay/plan"
)

func TestMediaBothWays(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("plain")
	c.talk()
	c.reports()
	if st, _ := n.engine.Stats(c.atA.rtp); st.In.Packets != 1 || st.Out.Packets != 1 {
		t.Errorf("statistics of the stream: %+v", st)
	}
	n.ok(remove(c.id))
	n.idle()
}

// rtcp-mux that both sides agree on: RTCP comes and goes on the RTP port, and the second socket is free.
func TestMediaMuxBoth(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "mux", a: newPhone(t), b: newPhone(t)}
	n.setUp(c, c.a.body("a=rtcp-mux"), c.b.body("a=rtcp-mux"))
	if !c.atA.mux || !c.atB.mux {
		t.Fatalf("a=rtcp-mux is missing: towards a %v, towards b %v", c.atA.mux, c.atB.mux)
	}
	c.talk()
	passPacket(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp, report())
	passPacket(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp, report())
	if got := n.engine.Totals().Streams; got != 2 {
		t.Errorf("%d sockets, want one a side", got)
	}
}

// One side shares the port, the other does not: RTCP moves between the ports.
func TestMediaMuxOneSide(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "mux", a: newPhone(t), b: newPhone(t)}
	keys := dict{"rtcp-mux": []any{"demux"}}
	n.setUp(c, c.a.body("a=rtcp-mux"), c.b.body(), keys)
	if !c.atA.mux || c.atB.mux {
		t.Fatalf("a=rtcp-mux: towards a %v, towards b %v", c.atA.mux, c.atB.mux)
	}
	c.talk()
	passPacket(t, c.a.rtp, c.atA.rtp, c.b.rtcp, c.atB.rtcp, report())
	passPacket(t, c.b.rtcp, c.atB.rtcp, c.a.rtp, c.atA.rtp, report())
}

// A phone behind a NAT says an address that is not its own: media goes where its packets come from.
func TestMediaLearnsWrongAddress(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "nat", a: newPhone(t), b: newPhone(t)}
	n.setUp(c, c.a.body(), behindNAT())
	speak(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
	speak(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
	passPacket(t, c.b.rtcp, c.atB.rtcp, c.a.rtcp, c.atA.rtcp, report())
	passPacket(t, c.a.rtcp, c.atA.rtcp, c.b.rtcp, c.atB.rtcp, report())
	n.engineAwait(c.atB.rtp, 3)
	eventually(t, "the learned addresses are not in the log", func() error { return when(learnedAddresses(n, c.id) >= 2) })
}

func learnedAddresses(n *testNode, id string) int {
	count := 0
	for _, env := range n.events(id) {
		if strings.HasPrefix(string(kindOf(env)), "endpoint_learned") {
			count++
		}
	}
	return count
}

func TestMediaStrictSource(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("strict", dict{"flags": []any{"strict-source"}})
	stranger := newPhone(t)
	c.meet()
	send(t, stranger.rtp, c.atB.rtp, packet())
	eventually(t, "the stranger's packet was not refused", func() error {
		st, _ := n.engine.Stats(c.atB.rtp)
		return when(st.In.Errors == 1)
	})
	c.talk()
}

func TestMediaHandover(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("handover", dict{"flags": []any{"media-handover"}})
	c.meet()
	c.b = newPhone(t)
	eventually(t, "the new source is not followed", func() error {
		send(t, c.b.rtp, c.atB.rtp, packetFrom(c.b.rtp))
		st, _ := n.engine.Stats(c.atB.rtp)
		return when(st.Remote == addrOf(c.b.rtp))
	})
	pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
}

// An asymmetric phone sends from one address and receives at another, the one in its SDP.
func TestMediaAsymmetric(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("asymmetric", dict{"flags": []any{"asymmetric"}})
	sender := newPhone(t)
	pass(t, sender.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
	pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
}

// A phone moves and says so in a re-INVITE: the other gets a new port, and what it still sends to the old one arrives. Until the answer
// it goes to where the phone was.
func TestMediaReInviteMoves(t *testing.T) {
	t.Parallel()
	for name, latching := range map[string]bool{"new port": false, "port latching": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			c := n.place("move")
			c.talk()
			moved := newPhone(t)
			swap := dict{"from-tag": "B", "to-tag": "A"}
			if latching {
				swap["flags"] = []any{"port-latching"}
			}
			toA := legs(t, n.sdp(offer(c.id, moved.body(), swap)))[0]
			if (toA.rtp == c.atA.rtp) != latching {
				t.Fatalf("a is told %v, and was told %v before", toA.rtp, c.atA.rtp)
			}
			pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp) // a has not answered: what was agreed goes on
			toB := legs(t, n.sdp(answer(c.id, c.a.body(), swap)))[0]
			if toB.rtp != c.atB.rtp {
				t.Fatalf("b is told %v, and was told %v before; a has not moved", toB.rtp, c.atB.rtp)
			}
			c.b, c.atA = moved, toA
			c.talk()
			n.ok(remove(c.id))
			n.idle()
		})
	}
}

// Hold by c=0.0.0.0 stops what goes to the holder; the return from it needs no new ports.
func TestMediaHold(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("hold")
	c.talk()
	at := c.a.addr()
	hold := strings.ReplaceAll(c.a.body("a=sendonly"), "c=IN IP4 "+at.Addr().String(), "c=IN IP4 0.0.0.0")
	more := dict{"to-tag": "B"}
	toB := legs(t, n.sdp(offer(c.id, hold, more)))[0]
	toA := legs(t, n.sdp(answer(c.id, c.b.body("a=recvonly"))))[0]
	if toB.port != c.atB.port || toA.port != c.atA.port {
		t.Fatalf("hold changed the ports: %v to %v, %v to %v", c.atB, toB, c.atA, toA)
	}
	before, _ := n.engine.Stats(c.atA.rtp)
	send(t, c.b.rtp, c.atB.rtp, packet())
	n.engineAwait(c.atB.rtp, 2)
	if after, _ := n.engine.Stats(c.atA.rtp); after.Out.Packets != before.Out.Packets {
		t.Error("a packet was sent to a phone on hold")
	}
	pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp) // music on hold
	n.sdp(offer(c.id, c.a.body(), more))
	n.sdp(answer(c.id, c.b.body()))
	c.talk() // what was sent during hold does not come now
}

// T.38 is no RTP: packets go through unseen.
func TestMediaT38(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "fax", a: newPhone(t), b: newPhone(t)}
	fax := func(p *phone) string {
		return session(p.addr().Addr()) + "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n"
	}
	n.setUp(c, fax(c.a), fax(c.b))
	for _, pkt := range [][]byte{{0}, {0, 1, 2}, {0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77}} {
		passPacket(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp, pkt)
		passPacket(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp, pkt)
	}
}

func TestMediaBetweenFamilies(t *testing.T) {
	t.Parallel()
	six := newPhone6(t).addr().Addr()
	n := startNode(t, func(s *settings) {
		s.more = append(s.more, plan.Interface{Name: "main", Addr: six, Advertised: six})
	})
	c := &call{t: t, id: "4to6", a: newPhone(t), b: newPhone6(t)}
	c.atB = legs(t, n.sdp(offer(c.id, c.a.body(), dict{"address-family": "IP6"})))[0]
	c.atA = legs(t, n.sdp(answer(c.id, c.b.body())))[0]
	if !c.atB.rtp.Addr().Is6() || !c.atA.rtp.Addr().Is4() {
		t.Fatalf("a is told %v, b is told %v", c.atA.rtp, c.atB.rtp)
	}
	c.talk()
	c.reports()
	n.ok(remove(c.id))
	n.idle()
}

// Two branches ring and send early media: the caller hears both, at the port that the last answer said, and is heard by the
// branch that answered last.
func TestMediaForks(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	id, a, b1, b2 := "fork", newPhone(t), newPhone(t), newPhone(t)
	at1 := legs(t, n.sdp(offer(id, a.body(), dict{"via-branch": "z9hG4bK1"})))[0]
	at2 := legs(t, n.sdp(offer(id, a.body(), dict{"via-branch": "z9hG4bK2"})))[0]
	if at1.rtp == at2.rtp {
		t.Fatalf("both branches were told %v", at1.rtp)
	}
	atA := legs(t, n.sdp(answer(id, b1.body(), dict{"to-tag": "B1", "via-branch": "z9hG4bK1"})))[0]
	pass(t, b1.rtp, at1.rtp, a.rtp, atA.rtp)
	pass(t, a.rtp, atA.rtp, b1.rtp, at1.rtp)
	atA = legs(t, n.sdp(answer(id, b2.body(), dict{"to-tag": "B2", "via-branch": "z9hG4bK2"})))[0]
	pass(t, b2.rtp, at2.rtp, a.rtp, atA.rtp)
	pass(t, b1.rtp, at1.rtp, a.rtp, atA.rtp)
	before, _ := n.engine.Stats(at1.rtp)
	pass(t, a.rtp, atA.rtp, b2.rtp, at2.rtp)
	if after, _ := n.engine.Stats(at1.rtp); after.Out != before.Out {
		t.Error("the first branch hears the caller, too")
	}
	n.ok(remove(id, dict{"via-branch": "z9hG4bK1"}))
	if _, ok := n.engine.Stats(at1.rtp); ok {
		t.Error("the port of a cancelled branch is open")
	}
	pass(t, b2.rtp, at2.rtp, a.rtp, atA.rtp)
	pass(t, a.rtp, atA.rtp, b2.rtp, at2.rtp)
	n.ok(remove(id))
	n.idle()
}

func TestMediaBlock(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("block")
	c.talk()
	n.ok(dict{"command": "block media", "call-id": c.id})
	send(t, c.a.rtp, c.atA.rtp, packet())
	send(t, c.b.rtp, c.atB.rtp, packet())
	n.engineAwait(c.atA.rtp, 2)
	n.engineAwait(c.atB.rtp, 2)
	n.ok(dict{"command": "unblock media", "call-id": c.id})
	c.talk() // and not what was sent in between
	// DTMF alone.
	n.ok(dict{"command": "block DTMF", "call-id": c.id})
	send(t, c.a.rtp, c.atA.rtp, packetOf(101))
	pass(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
	n.ok(dict{"command": "unblock DTMF", "call-id": c.id})
	passPacket(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp, packetOf(101))
}

func TestMediaTOS(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(s *settings) { s.Defaults.TOS = 0x88 })
	for name, test := range map[string]struct {
		keys dict
		want int
	}{
		"configured": {dict{}, 0x88},
		"of a call":  {dict{"TOS": 0xb8}, 0xb8},
		"none":       {dict{"TOS": 0}, 0},
	} {
		c := n.place(name, test.keys)
		if got := receiveTOS(t, c.b.rtp, func() { send(t, c.a.rtp, c.atA.rtp, packet()) }); got != test.want {
			t.Errorf("%s: TOS %#x, want %#x", name, got, test.want)
		}
	}
}
