package node

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// lines are those of the log that have a message, as JSON.
func (s *service) lines(message string) (found []dict) {
	s.t.Helper()
	for text := range strings.Lines(s.stderr.String()) {
		line := dict{}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			s.t.Fatalf("a line of the log is no JSON: %s", text)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

// stop ends the process as an operator does.
func (s *service) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if code := s.wait(); code != 0 {
		s.t.Fatalf("it ends with %d", code)
	}
}

// TestLinesOfACall: at level 6 the log has one line about a call that went well, at its end, and one about the end of the
// process; at level 7 it has each command and reply, too, without the keys in them.
func TestLinesOfACall(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"6", "7"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "--log-format=json", "--log-level", level)
			c := &call{t: t, id: "told", a: newPhone(t), b: newPhone(t)}
			const suite = "AES_CM_128_HMAC_SHA1_80"
			key := bytes.Repeat([]byte{7}, 30)
			// The caller's key passes to the callee, which answers with one of its own.
			s.setUp(c, savp(c.a.addr(), suite, key), savp(c.b.addr(), suite, bytes.Repeat([]byte{8}, 30)))
			s.ok(remove(c.id))

			plain := s.place("lossy")
			for _, seq := range []uint16{1, 2, 3, 4, 5, 6, 9, 10, 11, 12} {
				pkt := append([]byte{0x80, 0}, make([]byte, 170)...)
				pkt[2], pkt[3] = byte(seq>>8), byte(seq)
				copy(pkt[4:], []byte{0, 0, byte(160 * seq >> 8), byte(160 * seq & 0xff)})
				passPacket(t, plain.a.rtp, plain.atA.rtp, plain.b.rtp, plain.atB.rtp, pkt)
			}
			s.do(dict{"command": "ping", "x": "y"})
			s.ok(remove(plain.id))
			s.stop()

			ends := s.lines("call ended")
			if len(ends) != 2 {
				t.Fatalf("%d lines about ends", len(ends))
			}
			for i, want := range []dict{
				{"call-id": "told", "reason": "deleted", "parties": 2.0, "packets": 0.0, "lost": nil, "sections that nobody sent in": 1.0},
				{"call-id": "lossy", "reason": "deleted", "parties": 2.0, "packets": 10.0, "lost": 2.0, "sections that one side sent in": 1.0},
			} {
				for k, v := range want {
					if got := ends[i][k]; got != v {
						t.Errorf("%s of %v is %v, want %v", k, want["call-id"], got, v)
					}
				}
				if seconds, _ := ends[i]["seconds"].(float64); seconds <= 0 || seconds > patience.Seconds() {
					t.Errorf("it lasted for %v s", ends[i]["seconds"])
				}
			}
			if over := s.lines("rtpjet has ended"); len(over) != 1 || over[0]["node"] != "n1" || over[0]["calls"] != 0.0 {
				t.Errorf("about the end of the process: %v", over)
			}

			var told []string
			for _, line := range s.lines("NG command") {
				if told = append(told, line["command"].(string)); line["command"] != "ping" && line["call-id"] == "" {
					t.Errorf("%v", line)
				}
				if line["command"] == "offer" && (!strings.Contains(line["request"].(string), "m=audio") || !strings.Contains(line["reply"].(string), "m=audio")) {
					t.Errorf("an offer is told as %v", line)
				}
			}
			told = slices.DeleteFunc(told, func(c string) bool { return c == "ping" })
			if want := "offer answer delete offer answer delete"; level == "7" && strings.Join(told, " ") != want || level == "6" && len(told) > 0 {
				t.Errorf("commands in the log: %q", told)
			}
			if text := s.stderr.String(); strings.Contains(text, base64.StdEncoding.EncodeToString(key)) ||
				level == "7" && !strings.Contains(text, "inline:[hidden]") {
				t.Error("a key is in the log")
			}
			if level == "6" && strings.Count(s.stderr.String(), `"call-id":"lossy"`) != 1 {
				t.Errorf("more than one line about a call that went well")
			}
		})
	}
}
