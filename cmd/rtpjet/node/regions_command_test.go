package node

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/regions"
	"rtpjet/projection/transact"
)

// far is a region whose log and mirror are there, and that answers commands as answer does.
type far struct {
	RegionLog // nothing else is asked of it
	entries   []embed.Entry
	answer    func(data []byte) ([]byte, error)
	asked     int
	appended  []events.Envelope
}

func (f *far) Since(_ context.Context, key string, after uint64) (out []embed.Entry, last uint64, err error) {
	for _, e := range f.entries {
		if e.Key == key && e.Seq > after {
			out, last = append(out, e), e.Seq
		}
	}
	return out, last, nil
}

func (f *far) Append(_ context.Context, _ string, last uint64, data []byte) (uint64, error) {
	env, err := events.Decode(data)
	f.appended = append(f.appended, env)
	return last + 1, err
}

func (f *far) Request(_ context.Context, _ string, data []byte) ([]byte, error) {
	f.asked++
	return f.answer(data)
}

// farCall is a node with one other region, us, in which there is the call that a command is about.
func farCall(t *testing.T, command string, reachable bool, answer func([]byte) ([]byte, error)) (*regionState, *far) {
	t.Helper()
	s := historytest.New()
	s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
	if command != ng.CommandAnswer {
		s.Do("answer", "from-tag", "a", "to-tag", "b", "sdp", historytest.SDP("198.51.100.2", 6000))
	}
	if what, ok := strings.CutPrefix(command, "un"); ok && ng.CommandOf(what).Action == ng.ActionBlock {
		s.Do(what)
	}
	f := &far{answer: answer}
	for _, e := range s.History() {
		data, err := events.Encode(e.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		f.entries = append(f.entries, embed.Entry{Seq: e.Seq, Key: events.Key(e.Call), Data: data})
	}
	n := &Node{id: "n1", log: slog.New(slog.DiscardHandler), clock: time.Now}
	n.owners = &owners{self: "n1"}
	codec, err := newCodec(n.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.journal = &eventLog{codec: codec, clock: n.clock, unlogged: &n.unlogged}
	n.calls = newCalls(n)
	n.commands = &commands{calls: n.calls, level: n.levelNow, settings: transact.Settings{MaxReply: ngserver.MaxReply}}
	n.regions = newRegionState(n, Config{Region: "eu", InstanceID: "eu1", Regions: []Region{{Name: "us"}}})
	p := n.regions.peers[0]
	p.log = f
	p.index.reset()
	for _, e := range f.entries {
		p.index.note(e, time.Now())
	}
	p.index.complete()
	if reachable {
		now := n.regions.now()
		p.link.Heard(regions.Hello{Region: "us", Instance: "us1", Node: "n9", Format: events.Version, Ready: true, At: n.calls.now()}, now, now, n.calls.now())
	}
	return n.regions, f
}

func commandOf(t *testing.T, name string) *ngserver.Message {
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
	return &ngserver.Message{Request: req, Encoding: enc, Cookie: "c", Raw: raw, Received: time.Now()}
}

// TestForwarding: each command of the table for a call of another region goes there if it is about a call, and no other one does.
func TestForwarding(t *testing.T) {
	for _, c := range ng.Commands {
		got := ""
		r, f := farCall(t, c.Name, true, func(data []byte) ([]byte, error) {
			m, _, err := parseForwarded(data, time.Now(), nil)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				return []byte{answerUnknown}, nil
			}
			got = m.Command
			return ng.OK().Append([]byte{answerReply}, ng.JSON), nil
		})
		reply, ok := r.elsewhere(t.Context(), commandOf(t, c.Name))
		if ok != c.ConcernsCall() || (f.asked == 1) != ok || (got == c.Name) != ok || len(f.appended) > 0 {
			t.Errorf("%s is for another region: %v, asked %d times as %q; the table says %v", c.Name, ok, f.asked, got, c.ConcernsCall())
		}
		if text := string(reply.Append(nil, ng.JSON)); ok && !strings.Contains(text, `"ok"`) {
			t.Errorf("%s is answered with %s", c.Name, text)
		}
	}
}

// TestForwardingToNobody: no node of the region answers. What may change the call is decided here and written there, what only looks
// is answered from the mirror, and the rest is refused.
func TestForwardingToNobody(t *testing.T) {
	for _, c := range ng.Commands {
		if !c.ConcernsCall() {
			continue
		}
		r, f := farCall(t, c.Name, true, func([]byte) ([]byte, error) { return nil, embed.ErrNobody })
		reply, ok := r.elsewhere(t.Context(), commandOf(t, c.Name))
		if !ok {
			t.Errorf("%s is not for another region", c.Name)
			continue
		}
		checkFar(t, &c, c.Action.Changes() && c.Action != ng.ActionSignal, reply, f) // for offers and answers it takes the sockets there
	}
}

// TestForwardingWhileCutOff: nothing can be written there, and only what looks is answered.
func TestForwardingWhileCutOff(t *testing.T) {
	for _, c := range ng.Commands {
		if !c.ConcernsCall() {
			continue
		}
		r, f := farCall(t, c.Name, false, nil)
		reply, ok := r.elsewhere(t.Context(), commandOf(t, c.Name))
		if !ok {
			t.Errorf("%s is not for another region", c.Name)
			continue
		}
		checkFar(t, &c, false, reply, f)
	}
}

// checkFar looks at a reply that was made here, and at what was written.
func checkFar(t *testing.T, c *ng.CommandInfo, written bool, reply ng.Reply, f *far) {
	t.Helper()
	text := string(reply.Append(nil, ng.JSON))
	if (len(f.appended) == 1) != written || len(f.appended) > 1 {
		t.Errorf("%s: %d events written, want one: %v; %s", c.Name, len(f.appended), written, text)
	}
	switch {
	case written && len(f.appended) == 1:
		if reply.Result() != ng.ResultOK || f.appended[0].Cause.Via != "eu/n1" || f.appended[0].Node != "eu/n1" {
			t.Errorf("%s: %s, and the event is by %+v", c.Name, text, f.appended[0])
		}
	case c.Answerer == ng.HomeOrMirror:
		if reply.Result() != ng.ResultOK || !strings.Contains(text, "mirror of region us") {
			t.Errorf("%s: %s", c.Name, text)
		}
	case !written && reply.Reason() != reasonRegion:
		t.Errorf("%s: %s", c.Name, text)
	}
}
