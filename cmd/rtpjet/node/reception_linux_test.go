package node_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"rtpjet/events"
)

// voiceAt is a packet of 20 ms of PCMU with a sequence number.
func voiceAt(seq uint16) []byte {
	pkt := make([]byte, 12+160)
	pkt[0] = 0x80
	pkt[2], pkt[3] = byte(seq>>8), byte(seq)
	pkt[6], pkt[7] = byte(160*seq>>8), byte(160*seq)
	copy(pkt[8:], "loss")
	return pkt
}

// What is lost, late and twice on the way from a phone stands in query, delete, statistics, metrics, and in the last event of the call.
func TestReceptionIsTold(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("lossy")
	for _, seq := range []uint16{1, 2, 5, 4, 4, 9, 10} { // 3, 6, 7 and 8 are missing
		passPacket(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp, voiceAt(seq))
	}
	want := map[string]int64{"packets_lost": 4, "rtp_duplicates": 1, "rtp_skips": 2, "rtp_seq_resets": 0, "rtp_reordered": 1}
	told := func(what string, reply dict, path ...any) {
		t.Helper()
		for key, value := range want {
			if got := dig(any(reply), append(path, key)...); got != value {
				t.Errorf("%s: %s is %v, want %d", what, key, got, value)
			}
		}
	}
	party := []any{"tags", "A", "medias", 0}
	q := n.ok(dict{"command": "query", "call-id": c.id})
	told("query", q, append(party, "streams", 0, "reception")...)
	source := append(party, "ingress SSRCs", 0)
	if lost := dig(any(q), append(source, "cumulative loss")...); lost != int64(4) {
		t.Errorf("query: the source has lost %v, want 4", lost)
	}
	if _, known := dig(any(q), append(source, "jitter us")...).(int64); !known {
		t.Error("query: jitter of PCMU was not measured")
	}
	if r := dig(any(q), append(party, "streams", 1, "reception")...); r != nil {
		t.Errorf("query: RTCP has lost %v, and has no sequence numbers", r)
	}
	eventually(t, "statistics do not tell", func() error {
		s := n.ok(dict{"command": "statistics"})
		if lost := dig(any(s), "statistics", "voip_metrics", "packets_lost"); lost != int64(4) {
			return fmt.Errorf("%v packets lost", lost)
		}
		told("statistics", s, "statistics", "voip_metrics")
		return nil
	})
	eventually(t, "interfaces do not tell", func() error { // a thread publishes its sums when it has no more packets
		s := n.ok(dict{"command": "statistics"})
		var lost, in int64
		for _, i := range dig(any(s), "statistics", "interfaces").([]any) {
			lost += dig(i, "packets_lost").(int64)
			in += dig(i, "ingress", "packets").(int64)
		}
		if lost != 4 || in != 7 {
			return fmt.Errorf("%d packets lost and %d received, want 4 and 7", lost, in)
		}
		return nil
	})
	d := n.ok(remove(c.id))
	told("delete", d, append(party, "streams", 0, "reception")...)
	n.ended(c.id)
	for _, env := range n.events(c.id) {
		if end, ok := env.Event.(events.Ended); ok && end.Lost != 4 {
			t.Errorf("the call has lost %d packets by its last event, want 4", end.Lost)
		}
	}
}

// changed sends a packet that has to arrive as another one.
func changed(t *testing.T, from *net.UDPConn, in netip.AddrPort, to *net.UDPConn, out netip.AddrPort, pkt, want []byte) {
	t.Helper()
	send(t, from, in, pkt)
	if got, src := receive(t, to); !bytes.Equal(got, want) || src != out {
		t.Fatalf("received % x from %v, want % x from %v", got, src, want, out)
	}
}

// RTCP that comes on the RTP port without rtcp-mux leaves from our RTCP port, to the RTCP port of the other side.
func TestRTCPOnTheRTPPort(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("apart")
	c.talk()
	passPacket(t, c.a.rtp, c.atA.rtp, c.b.rtcp, c.atB.rtcp, report())
	passPacket(t, c.b.rtp, c.atB.rtp, c.a.rtcp, c.atA.rtcp, report())
	c.talk()
	c.reports()
}

// An extension that the other side was not told of does not reach it, and reaches the one that knows it.
func TestMaskedExtensionIsDeleted(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "mask", a: newPhone(t), b: newPhone(t)}
	level, offset := "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=extmap:2 urn:ietf:params:rtp-hdrext:toffset"
	n.setUp(c, c.a.body(level, offset), c.b.body(level), dict{"extmap": dict{"mask": []any{"urn:ietf:params:rtp-hdrext:toffset"}}})
	c.talk()
	packet := func(extension string) []byte {
		pkt := voiceAt(9)
		pkt[0] |= 0x10
		return slices.Concat(pkt[:12], []byte(extension), pkt[12:])
	}
	both, one := packet("\xbe\xde\x00\x02\x10a\x22bbb\x00\x00"), packet("\xbe\xde\x00\x01\x10a\x00\x00")
	changed(t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp, both, one)
	passPacket(t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp, both)
}

// A phone with AVP gets no feedback from one with AVPF, and the rest of what comes with it.
func TestFeedbackEndsAtAVP(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "feedback", a: newPhone(t), b: newPhone(t)}
	c.atB = legs(t, n.sdp(offer(c.id, strings.Replace(c.a.body(), "RTP/AVP", "RTP/AVPF", 1), dict{"transport-protocol": "RTP/AVP"})))[0]
	c.atA = legs(t, n.sdp(answer(c.id, c.b.body())))[0]
	c.talk()
	pli := []byte("\x81\xce\x00\x02ppppqqqq")
	send(t, c.a.rtcp, c.atA.rtcp, pli)
	changed(t, c.a.rtcp, c.atA.rtcp, c.b.rtcp, c.atB.rtcp, slices.Concat(reportOf(1), pli), reportOf(1))
	passPacket(t, c.b.rtcp, c.atB.rtcp, c.a.rtcp, c.atA.rtcp, slices.Concat(reportOf(2), pli))
}

// reportOf is a receiver report without blocks.
func reportOf(ssrc byte) []byte { return []byte{0x80, 201, 0, 1, 0, 0, 0, ssrc} }

// A party that was not heard yet gets its echo at the address of its SDP.
func TestEchoUnheard(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := &call{t: t, id: "echo", a: newPhone(t), b: newPhone(t)}
	n.setUp(c, c.a.body(), c.b.body(), dict{"media echo": "both"})
	passPacket(t, c.a.rtp, c.atA.rtp, c.a.rtp, c.atA.rtp, voiceAt(1))
	passPacket(t, c.b.rtp, c.atB.rtp, c.b.rtp, c.atB.rtp, voiceAt(1))
}
