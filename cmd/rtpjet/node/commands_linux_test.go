package node_test

import (
	"fmt"
	"testing"

	ngwords "rtpjet/ngserver/ng"
)

// TestEveryCommand sends each command of the table for a call that there is: what the table says is carried out is, and nothing
// else, and only what may change a call does.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	for i, c := range ngwords.Commands {
		k := n.place(fmt.Sprintf("call-%d", i))
		req := dict{"command": c.Name, "call-id": k.id, "from-tag": "A", "to-tag": "B", "delete delay": 0}
		if c.Action == ngwords.ActionSignal {
			req["sdp"] = newPhone(t).body()
		}
		if c.Name == ngwords.CommandAnswer { // to what was offered since
			n.sdp(offer(k.id, k.a.body("a=sendonly"), dict{"to-tag": "B"}))
		}
		if c.Name == "unblock media" || c.Name == "unblock DTMF" {
			n.ok(dict{"command": c.Name[2:], "call-id": k.id})
		}
		before := n.last()
		switch reply := n.do(req); {
		case c.Action == ngwords.ActionRefuse:
			if reply["result"] != "error" || reply["error-reason"] != ngwords.ReasonUnsupported {
				t.Errorf("%s: %v, want it refused", c.Name, reply)
			}
		case c.Action == ngwords.ActionPing:
			if reply["result"] != "pong" {
				t.Errorf("%s: %v", c.Name, reply)
			}
		case reply["result"] != "ok":
			t.Errorf("%s: %v", c.Name, reply)
		case (reply["warning"] != nil) != (c.Lacks != 0):
			t.Errorf("%s: %v, and the table says that it lacks %v", c.Name, reply, c.Lacks.Labels())
		}
		if changed := n.last() > before; changed != c.Action.Changes() {
			t.Errorf("%s: an event is in the log: %v, and the table says %v", c.Name, changed, c.Action.Changes())
		}
	}
}
