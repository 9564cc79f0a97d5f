package regions

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
)

type dict = map[string]any

// Kamailio sends a command again after rtpengine_tout_ms, rtpengine_retr times in all, as the same bytes.
const (
	resendAfter = time.Second
	sends       = 8
)

// What commands that concern other regions are refused with.
const (
	reasonRegion  = "Home region of the call does not answer"
	reasonUnknown = "Unknown call-id"
)

// reply is what a command was answered with.
type reply struct {
	dict
	raw []byte
}

func (r reply) result() string { return fmt.Sprint(r.dict["result"]) }
func (r reply) reason() string { return fmt.Sprint(r.dict["error-reason"]) }

// do sends a command as Kamailio does and waits for its reply.
func (n *node) do(req dict) (r reply, err error) {
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		return r, err
	}
	c, err := ngtest.Dial(n.ng())
	if err != nil {
		return r, err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = resendAfter
	cookie := ngtest.NextCookie()
	for range sends {
		if err = c.Send(cookie, payload); err == nil {
			r.raw, err = c.Receive(cookie)
		}
		var timeout net.Error
		switch {
		case err == nil:
			r.dict, err = ngtest.Decode(r.raw)
			return r, err
		case errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &timeout) || !timeout.Timeout():
			return r, fmt.Errorf("%v of %v at %s: %w", req["command"], req["call-id"], n.name(), err)
		}
	}
	return r, fmt.Errorf("%v of %v at %s: no reply to %d sends", req["command"], req["call-id"], n.name(), sends)
}

// good sends a command that must succeed.
func (n *node) good(req dict) (reply, error) {
	r, err := n.do(req)
	if err == nil && r.result() != "ok" {
		err = fmt.Errorf("%v of %v at %s: %s: %s %v", req["command"], req["call-id"], n.name(), r.result(), r.reason(), r.dict["warning"])
	}
	return r, err
}

// ok is good for the goroutine of the test.
func (n *node) ok(req dict) reply {
	n.r.w.t.Helper()
	r, err := n.good(req)
	if err != nil {
		n.r.w.t.Fatal(err)
	}
	return r
}

// refused sends a command that must be refused.
func (n *node) refused(req dict, reason string) reply {
	n.r.w.t.Helper()
	r, err := n.do(req)
	if err != nil {
		n.r.w.t.Fatal(err)
	}
	if r.result() != "error" || r.reason() != reason {
		n.r.w.t.Fatalf("%v of %v at %s: %v, want the error %q", req["command"], req["call-id"], n.name(), r.dict, reason)
	}
	return r
}

// warned sends a command that is answered with a warning that has all the words.
func (n *node) warned(req dict, words ...string) reply {
	n.r.w.t.Helper()
	r, err := n.do(req)
	if err != nil {
		n.r.w.t.Fatal(err)
	}
	text := fmt.Sprint(r.dict["warning"])
	missing := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	if r.result() != "ok" && r.result() != "load limit" || missing {
		n.r.w.t.Fatalf("%v of %v at %s: %s %q, want all of %q in a warning", req["command"], req["call-id"], n.name(), r.result(), text, words)
	}
	return r
}

// calls are the call-ids that a node lists.
func (n *node) calls() []string {
	n.r.w.t.Helper()
	list, _ := n.ok(dict{"command": "list", "limit": 100000}).dict["calls"].([]any)
	var out []string
	for _, id := range list {
		out = append(out, fmt.Sprint(id))
	}
	slices.Sort(out)
	return out
}

func offer(id, sdp string, more ...dict) dict {
	return with(dict{"command": "offer", "call-id": id, "from-tag": "A", "sdp": sdp, "ICE": "remove"}, more...)
}

func answer(id, sdp string, more ...dict) dict {
	return with(dict{"command": "answer", "call-id": id, "from-tag": "A", "to-tag": "B", "sdp": sdp, "ICE": "remove"}, more...)
}
func query(id string) dict   { return dict{"command": "query", "call-id": id} }
func block(id string) dict   { return dict{"command": "block media", "call-id": id} }
func unblock(id string) dict { return dict{"command": "unblock media", "call-id": id} }
func remove(id string, more ...dict) dict {
	return with(dict{"command": "delete", "call-id": id, "from-tag": "A", "delete delay": 0}, more...)
}

// with adds keys to a command.
func with(req dict, more ...dict) dict {
	for _, m := range more {
		maps.Copy(req, m)
	}
	return req
}
