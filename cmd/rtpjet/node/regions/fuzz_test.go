package regions

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// FuzzForwarded feeds what may come from another region: nothing panics, what is accepted comes from a node of another
// region, and what was read once reads the same when it is forwarded again.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"{\"via\":\"us/n1\",\"cookie\":\"c1\",\"source\":\"192.0.2.1:4000\",\"left_ms\":700}\nd7:call-id1:x7:command5:querye",
		"{\"via\":\"us/n1\",\"cookie\":\"c1\",\"left_ms\":700,\"if_known\":true}\n{\"command\":\"delete\",\"call-id\":\"x\"}",
		"{\"via\":\"n1\",\"cookie\":\"c1\"}\nd7:command4:pinge", "{\"via\":\"us/n1\"}\n", "{\"via\":\"us/n1\"}", "", "\n", "null\nd7:command4:pinge",
		"{\"via\":\"us/n1\",\"source\":\"nonsense\"}\nd7:command4:pinge", "{\"via\":\"us/n1\",\"left_ms\":-9223372036854775808}\nd7:command4:pinge",
	} {
		f.Add([]byte(s))
	}
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, head, err := parseForwarded(data, now, nil)
		if err != nil {
			if m != nil {
				t.Fatalf("%v, and a message %+v", err, m)
			}
			return
		}
		if events.ParseOwner(m.Via).Kind != events.OwnerForeign || m.Via != head.Via || m.Received != now || m.Request == nil {
			t.Fatalf("%+v from %+v", m, head)
		}
		line, err := json.Marshal(head)
		if err != nil {
			t.Fatal(err)
		}
		again, head2, err := parseForwarded(append(append(line, '\n'), m.Raw...), now, nil)
		if err != nil {
			t.Fatalf("%q is read, and as it is forwarded again not: %v", data, err)
		}
		if head2 != head || !bytes.Equal(again.Raw, m.Raw) || again.Cookie != m.Cookie || again.Source != m.Source ||
			again.Command != m.Command || again.CallID != m.CallID || again.Encoding != m.Encoding {
			t.Fatalf("%+v %+v became %+v %+v", head, m, head2, again)
		}
		if _, _, err := ng.DecodeDict(m.Raw); err != nil {
			t.Fatalf("the dictionary cannot be decoded again: %v", err)
		}
	})
}
