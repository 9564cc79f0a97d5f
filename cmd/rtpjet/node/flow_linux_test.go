package node_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	be "encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
)

// This file has the directions of calls with SRTP on either side or both. What comes out of the relay is judged by
// pion/srtp.

// heard is a datagram that has arrived at a phone.
type heard struct {
	pkt []byte
	at  time.Time
}

// listenTo reads all that arrives at a phone's socket until the end of the test.
func listenTo(t testing.TB, conn *net.UDPConn) <-chan heard {
	out := make(chan heard, 4096)
	go func() {
		for {
			buf := make([]byte, 2048)
			n, err := conn.Read(buf)
			if err != nil {
				return // the end of the test has closed it
			}
			select {
			case out <- heard{buf[:n], time.Now()}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return out
}

// flow is one direction of a call.
type flow struct {
	t             testing.TB
	name, id      string
	ssrc          uint32
	rtp, rtcp     *net.UDPConn // of who speaks
	to            leg          // where it speaks to
	ears, reports <-chan heard // what the other one hears
	seal, open    *secure      // nil: plain
	ends          int          // how many of the two are not nil: each has a rollover counter in the relay
	next          uint64       // index of the next packet: rollover counter and sequence number

	sent    map[string]uint64 // plain packets that nobody has heard yet, and their indices
	count   int               // of packets that were heard
	since   uint64            // index of the first packet after the last kill
	first   time.Time         // arrival of the first one that was heard of those
	indices map[uint32]bool   // SRTCP indices that the relay has used
}

// speak sends the packet with the next index.
func (f *flow) speak() string {
	p := make([]byte, 12, 64)
	p[0] = 0x80
	be.BigEndian.PutUint16(p[2:], uint16(f.next))
	be.BigEndian.PutUint32(p[8:], f.ssrc)
	p = fmt.Appendf(p, "%s %d", f.name, f.next)
	plain := string(p)
	f.sent[plain] = f.next
	f.next++
	if f.seal != nil {
		p = f.seal.seal(p)
	}
	send(f.t, f.rtp, f.to.rtp, p)
	return plain
}

// late sends a packet that was left out. It may arrive or not, and must do no harm.
func (f *flow) late(index uint64) {
	next := f.next
	f.next = index
	f.speak()
	f.next = next
}

// judge takes one packet that was heard: it must be authentic, and one that was sent and not heard yet.
func (f *flow) judge(h heard) string {
	f.t.Helper()
	plain := h.pkt
	if f.open != nil {
		var err error
		if plain, err = f.open.ctx.DecryptRTP(nil, h.pkt, nil); err != nil {
			f.t.Fatalf("%s: near packet %d one was heard that cannot be decrypted: %v", f.name, f.next, err)
		}
	}
	index, ok := f.sent[string(plain)]
	if !ok {
		f.t.Fatalf("%s: near packet %d this was heard, which nobody has said, or twice: %q", f.name, f.next, plain)
	}
	delete(f.sent, string(plain))
	f.count++
	if f.first.IsZero() && index >= f.since {
		f.first = h.at
	}
	return string(plain)
}

// talk sends the next packet, which must arrive. Others that are still under way are judged as well.
func (f *flow) talk() {
	f.t.Helper()
	want := f.speak()
	for {
		select {
		case h := <-f.ears:
			if f.judge(h) == want {
				return
			}
		case <-time.After(patience):
			f.t.Fatalf("%s: packet %d was not heard", f.name, f.next-1)
		}
	}
}

// report sends an RTCP packet, which must arrive under an index that was never used.
func (f *flow) report() {
	f.t.Helper()
	plain := report()
	be.BigEndian.PutUint32(plain[4:], f.ssrc)
	pkt := plain
	if f.seal != nil {
		var err error
		if pkt, err = f.seal.ctx.EncryptRTCP(nil, plain, nil); err != nil {
			f.t.Fatal(err)
		}
	}
	send(f.t, f.rtcp, f.to.rtcp, pkt)
	select {
	case h := <-f.reports:
		got := h.pkt
		if f.open != nil {
			var err error
			if got, err = f.open.ctx.DecryptRTCP(nil, h.pkt, nil); err != nil {
				f.t.Fatalf("%s: an RTCP packet cannot be decrypted: %v", f.name, err)
			}
			f.used(f.indexOf(h.pkt))
		}
		if !bytes.Equal(got, plain) {
			f.t.Fatalf("%s: heard % x, want % x", f.name, got, plain)
		}
	case <-time.After(patience):
		f.t.Fatalf("%s: an RTCP packet was not heard", f.name)
	}
}

// indexOf reads the index of an SRTCP packet: it stands before the tag (RFC 3711 §3.4), or at the end (RFC 7714 §9).
func (f *flow) indexOf(pkt []byte) uint32 {
	end := len(pkt)
	if !strings.HasPrefix(f.open.suite, "AEAD_") {
		end -= 10
	}
	return be.BigEndian.Uint32(pkt[end-4:]) &^ (1 << 31)
}

func (f *flow) used(index uint32) {
	f.t.Helper()
	if f.indices[index] {
		f.t.Errorf("%s: SRTCP index %d was used twice", f.name, index)
	}
	f.indices[index] = true
}

// awaitCrossing returns once the log knows at all ends that the flow has come to index.
func (f *flow) awaitCrossing(l *embed.Log, index uint64) {
	f.t.Helper()
	eventually(f.t, fmt.Sprintf("%s: the log does not tell of packet %d", f.name, index), func() error {
		return when(f.logged(l, index) == f.ends)
	})
}

// logged is at how many ends the log knows that the flow has come to index.
func (f *flow) logged(l *embed.Log, index uint64) (ends int) {
	f.t.Helper()
	known := map[bool]bool{}
	for _, env := range eventsOf(f.t, l, f.id) {
		if ev, ok := env.Event.(events.RolledOver); ok && ev.SSRC == f.ssrc && !ev.RTCP && uint64(ev.ROC)<<16|uint64(ev.Seq) >= index {
			known[ev.Out] = true
		}
	}
	return len(known)
}

// side is a phone and what it encrypts with; an empty suite is plain RTP.
type side struct {
	*phone
	suite   string
	key     []byte
	in, out *secure
}

func newSide(t testing.TB, suite string, key byte) *side {
	s := &side{phone: newPhone(t), suite: suite}
	if suite == "" {
		return s
	}
	n := map[string]int{"AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44, "AES_256_CM_HMAC_SHA1_80": 46}[suite]
	if n == 0 {
		n = 30
	}
	s.key = bytes.Repeat([]byte{key}, n)
	s.out = newSecure(t, suite, s.key)
	return s
}

// body is the phone's SDP; tag is that of its a=crypto line.
func (s *side) body(tag string) string {
	if s.suite == "" {
		return s.phone.body()
	}
	return strings.Replace(s.phone.body(), "RTP/AVP", "RTP/SAVP", 1) +
		"a=crypto:" + tag + " " + s.suite + " inline:" + base64.RawStdEncoding.EncodeToString(s.key) + "\r\n"
}

// placeFlows sets a call up between phones of two suites and returns its directions.
func (n *ng) placeFlows(id, suiteA, suiteB string) []*flow {
	t := n.t
	t.Helper()
	a, b := newSide(t, suiteA, 1), newSide(t, suiteB, 2)
	protocol := "RTP/AVP"
	if suiteB != "" {
		protocol = "RTP/SAVP"
	}
	toB := n.sdp(offer(id, a.body("1"), dict{"transport-protocol": protocol}))
	tag := ""
	if suiteB != "" {
		b.in = newSecure(t, suiteB, keyOf(t, toB, suiteB))
		for _, m := range cryptoLine.FindAllStringSubmatch(toB, -1) {
			if m[2] == suiteB {
				tag = m[1]
			}
		}
	}
	toA := n.sdp(answer(id, b.body(tag)))
	if suiteA != "" {
		a.in = newSecure(t, suiteA, keyOf(t, toA, suiteA))
	}
	var flows []*flow
	for i, f := range []struct {
		from, to *side
		at       string
	}{{a, b, toA}, {b, a, toB}} {
		made := &flow{
			t: t, id: id, name: fmt.Sprintf("%s, %s to %s", id, cmp.Or(f.from.suite, "RTP"), cmp.Or(f.to.suite, "RTP")), ssrc: 0xcafe0000 + uint32(i),
			rtp: f.from.rtp, rtcp: f.from.rtcp, to: legs(t, f.at)[0],
			ears: listenTo(t, f.to.rtp), reports: listenTo(t, f.to.rtcp),
			seal: f.from.out, open: f.to.in, next: 1<<16 - 200, sent: map[string]uint64{}, indices: map[uint32]bool{},
		}
		made.next -= 1 << 15 // the first packet of a source is before its first wrap
		for _, s := range []*secure{made.seal, made.open} {
			if s != nil {
				made.ends++
			}
		}
		flows = append(flows, made)
	}
	return flows
}
