package node_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"rtpjet/ngserver/ngtest"
)

// Bad messages get the error that NG prescribes, and change nothing.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.place("witness")
	last, used := n.last(), n.inUse()
	plain := c.a.body()
	noise := make([]byte, 64000)
	_, _ = rand.Read(noise)
	replace := func(old, new string) []byte {
		s := strings.Replace(plain, old, new, 1)
		if s == plain {
			t.Fatalf("%q is not in the SDP", old)
		}
		return encode(t, offer("bad", s))
	}
	sdp := func(s string) []byte { return encode(t, offer("bad", s)) }
	for _, test := range []struct {
		name    string
		payload []byte
		want    string // error-reason
	}{
		{"nothing", nil, "Invalid data (no payload)"},
		{"text", []byte("hello"), "Invalid NG data format"},
		{"noise", append([]byte("z"), noise...), "Invalid NG data format"},
		{"noise as bencode", append([]byte("d"), noise...), "Could not decode bencode dictionary"},
		{"noise as JSON", append([]byte("{"), noise...), "Failed to parse JSON document"},
		{"cut bencode", []byte("d7:command5:offer"), "Could not decode bencode dictionary"},
		{"cut JSON", []byte(`{"command":"offer"`), "Failed to parse JSON document"},
		{"bencode of great length", []byte("d7:command99999999999999999999:offere"), "Could not decode bencode dictionary"},
		{"bencode 2 GiB string", []byte("d7:command2147483647:offere"), "Could not decode bencode dictionary"},
		{"deep bencode", append([]byte("d1:a"), bytes.Repeat([]byte("l"), 60000)...), "Could not decode bencode dictionary"},
		{"deep JSON", append([]byte(`{"a":`), bytes.Repeat([]byte("["), 60000)...), "Failed to parse JSON document"},
		{"JSON list", []byte(`[1]`), "*"},
		{"no command", []byte("d7:call-id1:xe"), `Dictionary contains no key "command"`},
		{"unknown command", []byte("d7:command4:singe"), "Unrecognized command"},
		{"no SDP", encode(t, offer("bad", "", dict{"sdp": nil})), "No SDP body in message"},
		{"empty SDP", sdp(""), "No SDP body in message"},
		{"no call-id", encode(t, offer("bad", plain, dict{"call-id": nil})), "No call-id in message"},
		{"no from-tag", encode(t, offer("bad", plain, dict{"from-tag": nil})), "No from-tag in message"},
		{"answer without to-tag", encode(t, answer("witness", plain, dict{"to-tag": nil})), "No to-tag in message"},
		{"answer to nothing", encode(t, answer("bad", plain)), "Unknown call-id"},
		{"query of nothing", encode(t, dict{"command": "query", "call-id": "bad"}), "Unknown call-id"},
		{"delete without call-id", encode(t, dict{"command": "delete"}), "No call-id in message"},
		{"fatal delete of nothing", encode(t, remove("bad", dict{"flags": []any{"fatal"}})), "Call-ID not found or tags didn't match"},
		{"list with a bad limit", encode(t, dict{"command": "list", "limit": -1}), "invalid limit, must be >= 0"},
		{"SDP of noise", sdp(string(noise[:40000])), "Failed to parse SDP"},
		{"SDP without c=", replace("c=IN IP4 "+c.a.addr().Addr().String()+"\r\n", ""), "Incomplete SDP specification"},
		{"payload type 200", replace("RTP/AVP 0 101", "RTP/AVP 0 200"), "Incomplete SDP specification"},
		{"port 70000", replace("m=audio 4000", "m=audio 70000"), "Failed to parse SDP"},
		{"negative port", replace("m=audio 4000", "m=audio -1"), "Failed to parse SDP"},
		{"bad a=rtcp", sdp(plain + "a=rtcp:x\r\n"), "Incomplete SDP specification"},
		{"2000 sections", sdp(session(c.a.addr().Addr()) + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 2000)), "*"},
		{"no section", sdp(session(c.a.addr().Addr())), "*"},
	} {
		reply, err := n.c.DoRaw(ngtest.NextCookie(), test.payload)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if reply[0] == '{' {
			if !bytes.Contains(reply, []byte(`"result":"error"`)) || !bytes.Contains(reply, []byte(test.want)) {
				t.Errorf("%s: %s, want the error %q", test.name, reply, test.want)
			}
			continue
		}
		got, err := ngtest.Decode(reply)
		if err != nil {
			t.Errorf("%s: %q: %v", test.name, reply, err)
			continue
		}
		reason, _ := got["error-reason"].(string)
		if got["result"] != "error" || reason == "" || test.want != "*" && reason != test.want {
			t.Errorf("%s: %v, want the error %q", test.name, got, test.want)
		}
		if test.want == "*" {
			t.Logf("%s: %s", test.name, reason)
		}
	}
	// Without a cookie there is nothing to answer to, and nothing is done.
	for _, datagram := range [][]byte{nil, {0}, []byte("d7:command4:pinge"), []byte(" d7:command4:pinge"), noise[:1]} {
		if _, err := n.c.Conn().Write(datagram); err != nil {
			t.Fatal(err)
		}
	}
	if reply := n.do(dict{"command": "ping"}); reply["result"] != "pong" {
		t.Errorf("ping: %v", reply)
	}
	if got := n.last(); got != last {
		t.Errorf("%d events were appended", got-last)
	}
	if got := n.inUse(); got != used {
		t.Errorf("%d ports in use, and there were %d", got, used)
	}
	c.talk()
	n.ok(remove(c.id))
	n.idle()
}

// As many sections as there are ports: the error says so, and every port comes back.
func TestOutOfPorts(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	a := newPhone(t)
	many := session(a.addr().Addr()) + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 300)
	n.refused(offer("many", many), "Ran out of ports")
	if got := n.last(); got != 0 {
		t.Errorf("%d events", got)
	}
	n.idle()
	n.place("few").talk()
}

// Keys and flags that nobody knows change nothing, whatever their type.
func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	more := dict{
		"nobody knows": "this", "or": []any{"that", 1, []any{dict{"a": 1}}}, "": dict{}, "\xff": "\xff",
		"flags": []any{"wonder", "ful=1", 17, []any{}}, "replace": []any{"rainbow"}, "rtcp-mux": "tomorrow",
		"codec": dict{"sing": []any{"x"}}, "direction": 5, "TOS": "high", "via-branch": []any{}, "OSRTP": dict{},
	}
	c := n.place("odd", more)
	c.talk()
	n.ok(remove(c.id, more))
	n.idle()
}

// A call-id may be anything that fits into a message.
func TestOddCallIDs(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	for i, id := range []string{
		strings.Repeat("x", 4096), strings.Repeat("\xff", 4096), "\xff\xfe\x00\x80", " ", "\n", "*", ">", "a.b", "\U0010FFFF",
		"<&\u2028>",
	} {
		tag := dict{"from-tag": id[:min(len(id), 300)], "to-tag": fmt.Sprintf("\xfe%d", i), "via-branch": "\xfd"}
		c := &call{t: t, id: id, a: newPhone(t), b: newPhone(t)}
		c.atB = legs(t, n.sdp(offer(id, c.a.body(), tag, dict{"to-tag": nil})))[0]
		c.atA = legs(t, n.sdp(answer(id, c.b.body(), tag)))[0]
		c.talk()
		if got := n.calls(); len(got) != 1 || got[0] != id {
			t.Errorf("call-id %q is listed as %.100q", id, got)
		}
		reply := n.ok(dict{"command": "query", "call-id": id})
		if dig(reply, "tags", tag["from-tag"], "tag") != tag["from-tag"] {
			t.Errorf("call-id %.50q: a query does not show the tag: %v", id, reply["tags"])
		}
		if all := n.events(id); all[0].Call != id {
			t.Errorf("call-id %q is %q in the log", id, all[0].Call)
		}
		n.ok(remove(id, tag))
		n.refused(dict{"command": "query", "call-id": id}, "Unknown call-id")
	}
	n.idle()
}

// A reply that does not fit into a datagram never reaches the client: nothing may come of such an offer.
func TestManySections(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(s *settings) { s.ports.Max = firstPort + 9999 })
	at := newPhone(t).addr().Addr()
	for _, sections := range []int{100, 600, 800, 2000} {
		req := offer("many", session(at)+strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", sections))
		reply, last := n.settled(req), n.last()
		switch {
		case reply["result"] == "ok":
			if got := len(legs(t, reply["sdp"].(string))); got != sections {
				t.Errorf("%d sections became %d", sections, got)
			}
			n.ok(remove("many"))
		case reply["error-reason"] != "Reply too large for a datagram":
			t.Errorf("%d sections: %v", sections, reply)
		case last != 0 && len(n.calls()) > 0:
			t.Errorf("%d sections: an error, and yet there is a call", sections)
		}
		n.idle()
	}
}
