package differential

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// command sends one bencode dictionary and returns the reply.
func (c *client) command(t *testing.T, args ...arg) map[string]any {
	t.Helper()
	cookieCount++
	reply, err := c.exchange(fmt.Sprintf("limit_%d", cookieCount), encodeBencode(nil, args), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	m, err := decodeReply(reply)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var cookieCount int

func bodyOf(n int) string {
	return "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" + strings.Repeat("m=audio 9 RTP/AVP 0\r\n", n)
}

func offer(callID, sdp string) []arg {
	return []arg{{"command", "offer"}, {"call-id", callID}, {"from-tag", "a"}, {"sdp", sdp}}
}

// TestPortsRunOut checks that offers beyond the last port get the error that makes Kamailio try another node and leave no
// call behind, that the calls before them are not harmed, and that the ports of a deleted call serve another one.
func TestPortsRunOut(t *testing.T) {
	srv := rtpjetOn(t, 32000, 32019)
	c, err := srv.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	const calls = 5 // of 4 ports each
	for i := range calls {
		if m := c.command(t, offer(fmt.Sprint("fits", i), bodyOf(1))...); m["result"] != "ok" {
			t.Fatalf("offer %d of %d: %v", i+1, calls, m)
		}
	}
	const want = "Ran out of ports"
	if m := c.command(t, offer("late", bodyOf(1))...); m["error-reason"] != want {
		t.Errorf("offer without ports: %v, want %s", m, want)
	}
	if m := c.command(t, arg{"command", "query"}, arg{"call-id", "late"}); m["error-reason"] != "Unknown call-id" {
		t.Errorf("the call for which there were no ports: %v", m)
	}
	if m := c.command(t, offer("fits0", bodyOf(2))...); m["error-reason"] != want {
		t.Errorf("re-offer without ports: %v, want %s", m, want)
	}
	if m := c.command(t, arg{"command", "query"}, arg{"call-id", "fits0"}); m["result"] != "ok" {
		t.Errorf("the call whose re-offer got no ports: %v", m)
	}
	if m := c.command(t, arg{"command", "delete"}, arg{"call-id", "fits0"}, arg{"delete-delay", int64(0)}); m["result"] != "ok" {
		t.Fatalf("delete: %v", m)
	}
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		m := c.command(t, offer("late", bodyOf(1))...)
		if m["result"] == "ok" {
			return
		}
		select {
		case <-end.C:
			t.Fatalf("the ports of a deleted call are not given out again: %v", m)
		case <-tick.C:
		}
	}
}

// TestOversizedRequests checks that what no phone sends is refused, or served, without harm.
func TestOversizedRequests(t *testing.T) {
	srv := rtpjetOn(t, 32100, 32999)
	c, err := srv.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if m := c.command(t, offer("many", bodyOf(2000))...); m["result"] != "error" {
		t.Errorf("an offer of 2000 sections: %v", m)
	}
	if m := c.command(t, arg{"command", "query"}, arg{"call-id", "many"}); m["error-reason"] != "Unknown call-id" {
		t.Errorf("the call of 2000 sections: %v", m)
	}
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, id := range []string{strings.Repeat("x", 4096), strings.Repeat("\xff\xfe\x00", 1365)} {
		for {
			m := c.command(t, offer(id, bodyOf(1))...)
			if m["result"] == "ok" {
				break
			}
			select { // the ports of the 2000 sections rest for a while
			case <-end.C:
				t.Fatalf("an offer with a call-id of %d bytes: %v", len(id), m)
			case <-tick.C:
			}
		}
		if m := c.command(t, arg{"command", "query"}, arg{"call-id", id}); m["result"] != "ok" {
			t.Errorf("a query for a call-id of %d bytes: %v", len(id), m)
		}
	}
	// Manipulations and attributes that multiply.
	var remove []any
	for i := range 3000 {
		remove = append(remove, fmt.Sprint("x-", i))
	}
	sdp := bodyOf(1) + strings.Repeat("a=x:1\r\n", 3000)
	m := c.command(t, append(offer("attributes", sdp), arg{"sdp-attr", []arg{{"audio", []arg{{"remove", remove}}}}})...)
	if m["result"] != "ok" {
		t.Errorf("an offer with 3000 attributes and as many removals: %v", m["error-reason"])
	}
}
