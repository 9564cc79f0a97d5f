//go:build unix

package peers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

// request and reply are NG dictionaries in their JSON form, which keeps the
// tests independent of rtpjet's own bencode.
type (
	request map[string]any
	reply   map[string]any
)

// try sends one NG request once.
func (s *server) try(r request, wait time.Duration) (reply, error) { return s.send(r, wait, 1) }

// send sends one NG request, and the same bytes again if no reply comes.
func (s *server) send(r request, wait time.Duration, times int) (reply, error) {
	conn, err := net.Dial("udp4", s.ng)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cookie := fmt.Appendf(nil, "peers-%016x ", rand.Uint64())
	rest, err := exchange(conn, cookie, body, wait, times)
	if err != nil {
		return nil, err
	}
	var answer reply
	if err := json.Unmarshal(rest, &answer); err != nil {
		return nil, fmt.Errorf("decode reply %q: %w", rest, err)
	}
	return answer, nil
}

// exchange sends a request, up to so many times, and returns the reply without
// its cookie.
func exchange(conn net.Conn, cookie, body []byte, wait time.Duration, times int) ([]byte, error) {
	datagram := slices.Concat(cookie, body)
	for {
		times--
		if _, err := conn.Write(datagram); err != nil {
			return nil, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return nil, err
		}
		buf := make([]byte, 65535)
		n, err := conn.Read(buf)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && times > 0 {
				continue
			}
			return nil, err
		}
		rest, ok := bytes.CutPrefix(buf[:n], cookie)
		if !ok {
			return nil, fmt.Errorf("reply without the cookie: %q", buf[:n])
		}
		return rest, nil
	}
}

// do sends one NG request that must be answered.
func (s *server) do(t *testing.T, r request) reply {
	t.Helper()
	answer, err := s.send(r, time.Second, int(patience/time.Second))
	if err != nil {
		t.Fatalf("%v: %v", r["command"], err)
	}
	return answer
}

// relayed returns how many RTP packets the relay has counted for a call.
func (s *server) relayed(t *testing.T, callID string) int {
	t.Helper()
	answer := s.do(t, request{"command": "query", "call-id": callID})
	if answer["result"] != "ok" {
		t.Fatalf("query %s: %v", callID, answer)
	}
	totals, _ := answer["totals"].(map[string]any)
	rtp, _ := totals["RTP"].(map[string]any)
	packets, ok := rtp["packets"].(float64)
	if !ok {
		t.Fatalf("query %s: no totals.RTP.packets in %v", callID, answer)
	}
	return int(packets)
}

// knows says whether the relay has the call.
func (s *server) knows(t *testing.T, callID string) bool {
	t.Helper()
	return s.do(t, request{"command": "query", "call-id": callID})["result"] == "ok"
}

// idle checks that nothing is left behind: no call at any node, and no socket.
func (s *server) idle(t *testing.T) {
	t.Helper()
	for _, n := range s.running() {
		var answer reply
		if !poll(func() bool {
			answer = n.do(t, request{"command": "list"})
			list, ok := answer["calls"].([]any)
			return answer["result"] == "ok" && ok && len(list) == 0
		}) {
			t.Fatalf("%s lists calls: %v", n.ng, answer)
		}
		eventually(t, "the media ports are free", func() bool { return n.media.taken() == nil })
	}
}
