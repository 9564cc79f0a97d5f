package cluster

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"syscall"
	"time"

	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
)

type dict = map[string]any

// Kamailio sends a command again after rtpengine_tout_ms, rtpengine_retr times in all, as the same bytes.
const (
	resendAfter = time.Second
	sends       = 5
)

var (
	errNoReply = errors.New("no reply")
	errNobody  = errors.New("nobody listens there")
)

// reply is what a command was answered with.
type reply struct {
	dict
	raw   []byte
	took  time.Duration
	sends int
}

// exchange sends a message as Kamailio does and waits for its reply.
func (n *node) exchange(cookie string, payload []byte) (reply, error) {
	return n.exchangeFor(cookie, payload, sends)
}

func (n *node) exchangeFor(cookie string, payload []byte, sends int) (r reply, err error) {
	var c *ngtest.Client
	if err := n.c.world.do(func() (err error) { c, err = ngtest.Dial(n.ng()); return err }); err != nil {
		return r, err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = resendAfter
	began := time.Now()
	for r.sends < sends {
		r.sends++
		err = c.Send(cookie, payload)
		if err == nil {
			r.raw, err = c.Receive(cookie)
		}
		var timeout net.Error
		switch {
		case err == nil:
			r.took = time.Since(began)
			r.dict, err = ngtest.Decode(r.raw)
			return r, err
		case errors.Is(err, syscall.ECONNREFUSED):
			r.took = time.Since(began)
			return r, fmt.Errorf("%s: %w", n.id, errNobody)
		case !errors.As(err, &timeout) || !timeout.Timeout():
			return r, err
		}
	}
	r.took = time.Since(began)
	return r, fmt.Errorf("%s: %w to %d sends in %v", n.id, errNoReply, sends, r.took)
}

// do sends a command under a new cookie.
func (n *node) do(req dict) (reply, error) { return n.doAs(ngtest.NextCookie(), req) }

func (n *node) doAs(cookie string, req dict) (reply, error) {
	payload, err := bencode.EncodeBytes(req)
	if err != nil {
		return reply{}, err
	}
	r, err := n.exchange(cookie, payload)
	if err != nil {
		return r, fmt.Errorf("%v of %v: %w", req["command"], req["call-id"], err)
	}
	n.c.times.note(fmt.Sprint(req["command"]), r.took)
	return r, nil
}

// refusal is an error reply.
type refusal struct {
	node   string
	req    dict
	reason string
	took   time.Duration
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%v of %v at %s: %s (after %v)", r.req["command"], r.req["call-id"], r.node, r.reason, r.took.Round(time.Millisecond))
}

// good sends a command that must succeed.
func (n *node) good(req dict) (reply, error) {
	r, err := n.do(req)
	if err == nil && r.dict["result"] != "ok" && r.dict["result"] != "pong" {
		err = &refusal{n.id, req, fmt.Sprint(r.dict["result"], ": ", r.dict["error-reason"]), r.took}
	}
	return r, err
}

// ok is good for the goroutine of the test.
func (n *node) ok(req dict) reply {
	n.c.t.Helper()
	r, err := n.good(req)
	if err != nil {
		n.c.t.Fatal(err)
	}
	return r
}

// refused sends a command that must be refused.
func (n *node) refused(req dict, reason string) reply {
	n.c.t.Helper()
	r, err := n.do(req)
	if err != nil {
		n.c.t.Fatal(err)
	}
	if r.dict["result"] == "ok" || reason != "" && r.dict["error-reason"] != reason {
		n.c.t.Fatalf("%v at %s: %v, want the error %q", req["command"], n.id, r.dict, reason)
	}
	return r
}

func offer(id, sdp string, more ...dict) dict {
	return with(dict{"command": "offer", "call-id": id, "from-tag": "A", "sdp": sdp, "ICE": "remove"}, more...)
}
func answer(id, sdp string, more ...dict) dict {
	return with(dict{"command": "answer", "call-id": id, "from-tag": "A", "to-tag": "B", "sdp": sdp, "ICE": "remove"}, more...)
}
func query(id string) dict { return dict{"command": "query", "call-id": id} }
func block(id string) dict { return dict{"command": "block media", "call-id": id} }
func unblock(id string) dict {
	return dict{"command": "unblock media", "call-id": id}
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
		}
	}
	return v
}
