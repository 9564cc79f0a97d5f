package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
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
				{"call-id": "told", "reason": "deleted", "parties": 2.0, "packets": 0.0, "lost": "unknown", "sections that nobody sent in": 1.0},
				{"call-id": "lossy", "reason": "deleted", "parties": 2.0, "packets": 10.0, "lost": 2.0, "that one side sent in": 1.0},
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

// TestUndoneIsSaid: what was asked for and not done is in the reply, in the log once for each call and feature, and in a metric.
func TestUndoneIsSaid(t *testing.T) {
	t.Parallel()
	host := newHost().String()
	s := serve(t, "--log-format=json", "--listen-http", host+":8080")
	const about = "Not supported and not done: "
	warned := func(req dict, want string) {
		t.Helper()
		if got, _ := s.ok(req)["warning"].(string); got != want {
			t.Errorf("the reply to %v warns %q, want %q", req["command"], got, want)
		}
	}
	first, second := newPhone(t), newPhone(t)
	plain := offer("plain", first.body())
	warned(plain, "")
	ask := offer("asks", first.body(), dict{"flags": []any{"generate RTCP"}, "record call": "yes"})
	for range 2 {
		warned(ask, about+"RTCP of the relay's own, recording")
	}
	warned(answer("asks", second.body(), dict{"flags": []any{"debug"}, "ICE": "force"}), about+"a log of its own for one call")
	warned(offer("asks", first.body("a=sendonly"), dict{"to-tag": "B", "ptime": 30, "record call": "on"}), about+"another ptime, recording")
	warned(dict{"command": "start recording", "call-id": "asks"}, about+"recording")
	warned(dict{"command": "stop recording", "call-id": "asks"}, "")
	warned(dict{"command": "block DTMF", "call-id": "asks", "trigger": "1"}, about+"sending, replacing or reporting DTMF")
	s.refused(dict{"command": "play media", "call-id": "asks", "file": "x"}, "unsupported") // as before

	// A profile that DTLS would have to be ended or begun for.
	warned(offer("plain profile", first.body(), dict{"transport-protocol": "UDP/TLS/RTP/SAVPF"}), about+"DTLS between a party and the relay")
	ended := strings.Replace(first.body("a=fingerprint:SHA-256 "+strings.Repeat("AB:", 31)+"AB", "a=setup:actpass"), "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1)
	warned(offer("DTLS", ended, dict{"transport-protocol": "RTP/AVP"}), about+"DTLS between a party and the relay")
	warned(offer("DTLS passes", ended, dict{"transport-protocol": "UDP/TLS/RTP/SAVPF"}), "")
	warned(offer("secured", first.body(), dict{"transport-protocol": "RTP/SAVP"}), "")
	warned(offer("no keys", first.body(), dict{"transport-protocol": "RTP/SAVP", "SDES": []any{"off"}}), about+"DTLS between a party and the relay")

	m := scrapeURL(t, "http://"+host+":8080/metrics")
	s.stop() // and its log is complete
	lines := map[string]string{}
	for _, line := range s.lines("what was asked for is not supported and not done") {
		id := line["call-id"].(string)
		lines[id] = strings.TrimSpace(lines[id] + " " + line["features"].(string))
	}
	if want := map[string]string{
		"asks": "generate_rtcp recording debug repacketizing dtmf", "plain profile": "dtls", "DTLS": "dtls", "no keys": "dtls",
	}; !maps.Equal(lines, want) {
		t.Errorf("the log has %q, want %q", lines, want)
	}
	for feature, want := range map[string]float64{
		"generate_rtcp": 1, "recording": 3, "debug": 1, "repacketizing": 1, "dtmf": 1, "playback": 1, "dtls": 3, "ice": 0, "transcoding": 0,
	} {
		if got, ok := m.value("rtpjet_ng_unsupported_total", "feature", feature); !ok || got != want {
			t.Errorf("%s was asked for %v times, want %v", feature, got, want)
		}
	}
}
