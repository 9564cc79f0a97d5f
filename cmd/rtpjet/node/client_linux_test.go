package node_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
)

// ng is an NG client that fails the test when there is no reply.
type ng struct {
	t testing.TB
	c *ngtest.Client
}

func dial(t testing.TB, addr string) *ng {
	t.Helper()
	c, err := ngtest.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Timeout = patience
	t.Cleanup(func() { _ = c.Close() })
	return &ng{t, c}
}

type dict = map[string]any

func (n *ng) do(req dict) dict {
	n.t.Helper()
	reply, err := n.c.Do(req)
	if err != nil {
		n.t.Fatalf("%v: %v", req["command"], err)
	}
	return reply
}

// settled sends a command until its reply does not depend on how fast the log is. A machine that is busy with something else may hold
// the log up for longer than a command may take, which is short of a client's resending after a second: then a proxy asks again, and so
// does this.
func (n *ng) settled(req dict) dict {
	n.t.Helper()
	reply := n.do(req)
	for try := 0; reply["error-reason"] == logAway && try < 3; try++ {
		n.t.Logf("%v: %v; once more", req["command"], logAway)
		reply = n.do(req)
	}
	return reply
}

// ok sends a command that must succeed.
func (n *ng) ok(req dict) dict {
	n.t.Helper()
	reply := n.settled(req)
	if reply["result"] != "ok" {
		n.t.Fatalf("%v: %v", req["command"], reply)
	}
	return reply
}

// refused sends a command that must be refused for a reason.
func (n *ng) refused(req dict, reason string) {
	n.t.Helper()
	reply := n.do(req)
	if reply["result"] != "error" || reply["error-reason"] != reason {
		n.t.Fatalf("%v: %v, want the error %q", req["command"], reply, reason)
	}
}

func offer(id, sdp string, more ...dict) dict {
	return with(dict{"command": "offer", "call-id": id, "from-tag": "A", "sdp": sdp, "ICE": "remove"}, more...)
}
func answer(id, sdp string, more ...dict) dict {
	return with(dict{"command": "answer", "call-id": id, "from-tag": "A", "to-tag": "B", "sdp": sdp, "ICE": "remove"}, more...)
}
func remove(id string, more ...dict) dict {
	return with(dict{"command": "delete", "call-id": id, "from-tag": "A", "delete delay": 0}, more...)
}

// with adds keys to a command; a nil value takes the key away.
func with(req dict, more ...dict) dict {
	for _, m := range more {
		maps.Copy(req, m)
	}
	maps.DeleteFunc(req, func(_ string, v any) bool { return v == nil })
	return req
}

// sdp sends an offer or an answer and returns the SDP for the other side.
func (n *ng) sdp(req dict) string {
	n.t.Helper()
	s, ok := n.ok(req)["sdp"].(string)
	if !ok {
		n.t.Fatalf("%v: no SDP in the reply", req["command"])
	}
	return s
}

func (n *ng) calls() []string {
	n.t.Helper()
	var out []string
	for _, v := range n.ok(dict{"command": "list", "limit": 10000})["calls"].([]any) {
		out = append(out, v.(string))
	}
	return out
}

// call is a call of two phones with one audio section each.
type call struct {
	t      testing.TB
	id     string
	a, b   *phone
	atA    leg // where a sends to
	atB    leg // where b sends to
	offer  dict
	answer dict
}

// place sets a call up. The phones' SDPs are those that sdpA and sdpB return, or the plain ones.
func (n *ng) place(id string, more ...dict) *call {
	n.t.Helper()
	c := &call{t: n.t, id: id, a: newPhone(n.t), b: newPhone(n.t)}
	n.setUp(c, c.a.body(), c.b.body(), more...)
	return c
}

func (n *ng) setUp(c *call, sdpA, sdpB string, more ...dict) {
	n.t.Helper()
	c.offer, c.answer = offer(c.id, sdpA, more...), answer(c.id, sdpB, more...)
	c.atB = legs(n.t, n.sdp(c.offer))[0]
	c.atA = legs(n.t, n.sdp(c.answer))[0]
}

// talk passes RTP in both directions, and RTCP unless it shares the port.
func (c *call) talk() {
	c.t.Helper()
	pass(c.t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
	pass(c.t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
}

// meet has both parties talk until they are believed.
func (c *call) meet() {
	c.t.Helper()
	speak(c.t, c.a.rtp, c.atA.rtp, c.b.rtp, c.atB.rtp)
	speak(c.t, c.b.rtp, c.atB.rtp, c.a.rtp, c.atA.rtp)
}

func (c *call) reports() {
	c.t.Helper()
	passPacket(c.t, c.a.rtcp, c.atA.rtcp, c.b.rtcp, c.atB.rtcp, report())
	passPacket(c.t, c.b.rtcp, c.atB.rtcp, c.a.rtcp, c.atA.rtcp, report())
}

// dig finds a value in nested dictionaries and lists.
func dig(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		default:
			panic(fmt.Sprint(step))
		}
	}
	return v
}

func encode(t testing.TB, req dict) []byte {
	t.Helper()
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}
