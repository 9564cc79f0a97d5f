package transact_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection/history/historytest"
	"rtpjet/projection/replay"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// kinds are the events that the commands of each action lead to.
var kinds = map[ng.Action][]events.Event{
	ng.ActionSignal: {events.Offered{}, events.Answered{}},
	ng.ActionDelete: {events.Ended{}},
	ng.ActionBlock:  {events.MediaBlocked{}},
}

// TestExecute: of all commands in the table, those that may change their call are carried out, and the others are left alone.
func TestExecute(t *testing.T) {
	for _, c := range ng.Commands {
		t.Run(c.Name, func(t *testing.T) {
			fx := before(c.Name)
			res, ok := transact.Execute(fx, settings, message(t, c.Name), report.Env{})
			switch {
			case ok != c.Action.Changes():
				t.Errorf("carried out: %v, and the table says %v", ok, c.Action.Changes())
			case !ok:
				if len(fx.Wrote) > 0 || res.Reply.Object != nil {
					t.Errorf("it is left alone, and there are %d events and the reply %+v", len(fx.Wrote), res.Reply)
				}
			case res.Err != nil || res.Reply.Result() != ng.ResultOK || len(fx.Wrote) != 1:
				t.Errorf("%s, %v, and %d events", res.Reply.Append(nil, ng.JSON), res.Err, len(fx.Wrote))
			default:
				kind := events.KindOf(fx.Wrote[0].Event)
				want := kinds[c.Action]
				if c.Action == ng.ActionSignal { // an offer is what may begin a call
					want = want[:1]
					if !c.Begins {
						want = kinds[c.Action][1:]
					}
				}
				if len(want) != 1 || kind != events.KindOf(want[0]) {
					t.Errorf("it leads to the event %s, want %v", kind, want)
				}
			}
		})
	}
}

// TestExecuteBegins: only what the table says begins a call.
func TestExecuteBegins(t *testing.T) {
	for _, c := range ng.Commands {
		fx := before(c.Name)
		fx.State.Ended = true
		res, ok := transact.Execute(fx, settings, message(t, c.Name), report.Env{})
		began := len(fx.Wrote) == 1 && fx.Wrote[0].Gen == fx.State.Gen+1
		if ok && began != c.Begins || !began && len(fx.Wrote) > 0 {
			t.Errorf("%s begins a call: %v, and the table says %v; %v", c.Name, began, c.Begins, res.Err)
		}
	}
}

var settings = transact.Settings{Node: "n1", InstanceID: "0123456789ab", MaxReply: math.MaxInt, Level: events.Level}

// before is a call with an offer that waits for its answer, and a command can change it: what is to be let through is blocked.
func before(command string) *replay.Shadow {
	s := historytest.New()
	s.Do("offer", "from-tag", "a", "sdp", historytest.SDP("198.51.100.1", 4000))
	if what, ok := strings.CutPrefix(command, "un"); ok && ng.CommandIndex(what) >= 0 {
		if ng.CommandOf(what).Action == ng.ActionBlock {
			s.Do(what)
		}
	}
	var list []plan.Interface
	for _, a := range s.Res.Interfaces {
		list = append(list, plan.Interface{Name: a.Interface, Addr: a.Bind, Advertised: a.Advertised, Ports: plan.PortRange{Min: 30000, Max: 39999}})
	}
	table, err := plan.NewInterfaces(list, nil)
	if err != nil {
		panic(err)
	}
	return &replay.Shadow{
		Time: s.Now, State: s.Call.Snapshot(), Owner: "n1", InterfacesOf: func(string) *plan.Interfaces { return table },
		Sockets: s.Res.Reserve, Bytes: s.Res.Random,
	}
}

// message is a command as a client sends it for that call.
func message(t *testing.T, command string) ng.Message {
	t.Helper()
	fields := map[string]any{
		"command": command, "call-id": "call", "from-tag": "a", "sdp": historytest.SDP("198.51.100.9", 4100), "delete-delay": 0,
	}
	if command == ng.CommandAnswer {
		fields["to-tag"] = "b"
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
	return ng.Message{Request: req, Encoding: enc, Cookie: "c", Raw: raw}
}
