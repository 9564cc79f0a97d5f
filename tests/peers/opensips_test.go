//go:build unix

package peers

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeebo/bencode"
)

// opensips sends NG commands as OpenSIPS' rtpengine module does: the node is
// chosen by the bytes of the Call-ID among those that are enabled now, and no
// call remembers where it was. A node that does not answer is disabled, and the
// command goes to another one under a new cookie.
type opensips struct {
	nodes []*server

	mu       sync.Mutex
	disabled map[*server]bool

	cookies atomic.Uint32
	moved   atomic.Uint32 // commands that had to go to a second node
}

// OpenSIPS waits rtpengine_tout for a reply, and sends rtpengine_retr times.
const (
	opensipsWait  = time.Second
	opensipsSends = 5
)

func newOpensips(s *server) *opensips {
	return &opensips{nodes: s.nodes, disabled: map[*server]bool{}}
}

// enable makes these the nodes to choose from.
func (o *opensips) enable(nodes ...*server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.nodes {
		o.disabled[n] = !slices.Contains(nodes, n)
	}
}

func (o *opensips) disable(n *server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disabled[n] = true
}

// choose picks the node for a call; nil if there is none.
func (o *opensips) choose(callID string) *server {
	o.mu.Lock()
	defer o.mu.Unlock()
	enabled := slices.DeleteFunc(slices.Clone(o.nodes), func(n *server) bool { return o.disabled[n] })
	if len(enabled) == 0 {
		return nil
	}
	sum := 0
	for _, b := range []byte(callID) {
		sum += int(b)
	}
	return enabled[(sum&0xff)%len(enabled)]
}

// send sends a command about a call and returns a reply that says ok.
func (o *opensips) send(command, callID string, more request) (reply, error) {
	r := request{"command": command, "call-id": callID, "received-from": []string{"IP4", loopback}}
	maps.Copy(r, more)
	body, err := bencode.EncodeBytes(r)
	if err != nil {
		return nil, err
	}
	var failed error
	for {
		n := o.choose(callID)
		if n == nil {
			return nil, fmt.Errorf("%s of %s: all nodes are disabled: %w", command, callID, failed)
		}
		answer, err := o.ask(n, body)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", n.ng, err))
			o.moved.Add(1)
			o.disable(n)
			continue
		}
		if answer["result"] != "ok" {
			return nil, fmt.Errorf("%s of %s at %s: %v", command, callID, n.ng, answer)
		}
		return answer, nil
	}
}

// ask sends a command to one node.
func (o *opensips) ask(n *server, body []byte) (reply, error) {
	conn, err := net.Dial("udp4", n.ng)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	cookie := fmt.Appendf(nil, "%d_%d_%d ", os.Getpid(), rand.Uint32(), o.cookies.Add(1))
	data, err := exchange(conn, cookie, body, opensipsWait, opensipsSends)
	if err != nil {
		return nil, err
	}
	var answer reply
	if err := bencode.DecodeBytes(data, &answer); err != nil {
		return nil, fmt.Errorf("decode reply %q: %w", data, err)
	}
	return answer, nil
}
