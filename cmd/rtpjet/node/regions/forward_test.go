package regions

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection/history/historytest"
)

// farCall runs a driver that sees the call in region us that a command is about. With nil for answers nobody there answers commands.
func farCall(t *testing.T, command string, silent bool, answers func([]byte) ([]byte, error), f func(w *world)) {
	t.Helper()
	start(t, func(w *world, _ *Config) {
		w.us.silent, w.ap.silent = silent, true
		if answers != nil {
			w.us.answers = func(_ string, data []byte) ([]byte, error) { return answers(data) }
		}
		w.us.add(callFor(command)...)
	}, f)
}

// callFor are the events of a call that a command can be about.
func callFor(command string) (out []events.Envelope) {
	s := historytest.New()
	s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
	if command != ng.CommandAnswer {
		s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SDP("198.51.100.2", 6000))
	}
	if what, ok := strings.CutPrefix(command, "un"); ok && ng.CommandOf(what).Action == ng.ActionBlock {
		s.Do(what)
	}
	for _, e := range s.History() {
		out = append(out, e.Envelope)
	}
	return out
}

func commandOf(t *testing.T, name string) *ng.Message {
	t.Helper()
	fields := map[string]any{
		"command": name, "call-id": "call", "from-tag": "a", "to-tag": "b", "sdp": historytest.SDP("198.51.100.9", 4100), "delete-delay": 0,
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	d, enc, err := ng.DecodeDict(raw)
	if err != nil {
		t.Fatal(err)
	}
	req, err := ng.Parse(d)
	if err != nil {
		t.Fatal(err)
	}
	return &ng.Message{Request: req, Encoding: enc, Cookie: "c", Raw: raw, Received: time.Now()}
}

// TestForwarding: each command of the table for a call of another region goes there if it is about a call, and no other one does.
func TestForwarding(t *testing.T) {
	for _, c := range ng.Commands {
		got, before := "", 0
		farCall(t, c.Name, false, func(data []byte) ([]byte, error) {
			m, _, err := parseForwarded(data, time.Now(), nil)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				return []byte{answerUnknown}, nil
			}
			got = m.Command
			return ng.OK().Append([]byte{answerReply}, ng.JSON), nil
		}, func(w *world) {
			before = len(w.us.entries)
			reply, ok := w.Forward(w.t.Context(), commandOf(t, c.Name))
			asked := len(w.us.Take())
			if ok != c.ConcernsCall() || (asked == 1) != ok || (got == c.Name) != ok || len(w.us.entries) > before {
				t.Errorf("%s is for another region: %v, asked %d times as %q; the table says %v", c.Name, ok, asked, got, c.ConcernsCall())
			}
			if text := string(reply.Append(nil, ng.JSON)); ok && !strings.Contains(text, `"ok"`) {
				t.Errorf("%s is answered with %s", c.Name, text)
			}
		})
	}
}

// TestForwardingToNobody: no node of the region answers. What may change the call is decided here and written there, what only looks
// is answered from the mirror, and the rest is refused.
func TestForwardingToNobody(t *testing.T) {
	for _, c := range ng.Commands {
		if !c.ConcernsCall() {
			continue
		}
		farCall(t, c.Name, false, nil, func(w *world) {
			checkFar(w, &c, c.Action.Changes() && c.Action != ng.ActionSignal) // for offers and answers it takes the sockets there
		})
	}
}

// TestForwardingWhileCutOff: nothing can be written there, and only what looks is answered.
func TestForwardingWhileCutOff(t *testing.T) {
	for _, c := range ng.Commands {
		if !c.ConcernsCall() {
			continue
		}
		farCall(t, c.Name, true, nil, func(w *world) { checkFar(w, &c, false) })
	}
}

// checkFar looks at a reply that is made here, and at what is written there.
func checkFar(w *world, c *ng.CommandInfo, written bool) {
	t := w.t
	t.Helper()
	before := len(w.us.events(t, "call"))
	reply, ok := w.Forward(w.t.Context(), commandOf(t, c.Name))
	if !ok {
		t.Errorf("%s is not for another region", c.Name)
		return
	}
	appended := w.us.events(t, "call")[before:]
	text := string(reply.Append(nil, ng.JSON))
	if (len(appended) == 1) != written || len(appended) > 1 {
		t.Errorf("%s: %d events written, want one: %v; %s", c.Name, len(appended), written, text)
	}
	switch {
	case written && len(appended) == 1:
		if reply.Result() != ng.ResultOK || appended[0].Cause.Via != "eu/n1" || appended[0].Node != "eu/n1" {
			t.Errorf("%s: %s, and the event is by %+v", c.Name, text, appended[0])
		}
	case c.Answerer == ng.HomeOrMirror:
		if reply.Result() != ng.ResultOK || !strings.Contains(text, "mirror of region us") {
			t.Errorf("%s: %s", c.Name, text)
		}
	case !written && reply.Reason() != reasonRegion:
		t.Errorf("%s: %s", c.Name, text)
	}
}
