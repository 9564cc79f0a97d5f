// Package historytest makes histories of calls for tests: real decisions of this build, with the requests and replies that belong
// to them.
package historytest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/projectiontest"
	"rtpjet/projection/replay"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// Story plays commands against one call and keeps what a log would keep.
type Story struct {
	Call    projection.Call
	Entries []history.Entry
	Res     *projectiontest.Resources
	Now     int64  // µs of Unix time
	Node    string // who is asked
	Owner   string // of a new call; empty: Node
	cookies int
}

// New returns a Story whose first event has the sequence 1001.
func New() *Story {
	return &Story{Res: projectiontest.New(), Now: 1_785_578_400_000_000, Node: "n1"} // 2026-08-01 10:00:00 UTC
}

// Wait lets µs pass.
func (s *Story) Wait(us int64) { s.Now += us }

// Do carries out a command; keys and values are those of its dictionary.
func (s *Story) Do(command string, keysAndValues ...any) {
	s.cookies++
	fields := map[string]any{"command": command, "call-id": "call"}
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		fields[keysAndValues[i].(string)] = keysAndValues[i+1]
	}
	raw, err := json.Marshal(fields)
	must(err)
	d, enc, err := ng.DecodeDict(raw)
	must(err)
	req, err := ng.Parse(d)
	must(err)
	s.Call.ID = "call"
	fx := s.effects()
	msg := ng.Message{
		Request: req, Encoding: enc, Cookie: fmt.Sprintf("c%d", s.cookies), Source: netip.MustParseAddrPort("192.0.2.50:5070"), Raw: raw,
		Received: time.UnixMicro(s.Now - 740),
	}
	set := transact.Settings{Node: s.Node, InstanceID: "0123456789ab", DeleteDelay: 30, MaxReply: math.MaxInt, Level: events.Level}
	res, ok := transact.Execute(fx, set, msg, report.Env{})
	if !ok {
		panic(command + " changes no call")
	}
	must(res.Err)
	s.log(fx)
}

func (s *Story) effects() *replay.Shadow {
	var list []plan.Interface
	for _, a := range s.Res.Interfaces {
		list = append(list, plan.Interface{Name: a.Interface, Addr: a.Bind, Advertised: a.Advertised, Ports: plan.PortRange{Min: 30000, Max: 39999}})
	}
	table, err := plan.NewInterfaces(list, nil)
	must(err)
	owner := s.Owner
	if owner == "" {
		owner = s.Node
	}
	return &replay.Shadow{
		Time: s.Now, State: s.Call.Snapshot(), Owner: owner, InterfacesOf: func(string) *plan.Interfaces { return table },
		Sockets: s.Res.Reserve, Bytes: s.Res.Random,
	}
}

// log takes what a command would have written.
func (s *Story) log(fx *replay.Shadow) {
	if len(fx.Wrote) != 1 {
		panic(fmt.Sprintf("%d events", len(fx.Wrote)))
	}
	s.append(fx.Wrote[0])
}

// Note appends an event that no command caused.
func (s *Story) Note(ev events.Event) {
	s.append(events.Envelope{Call: "call", Gen: s.Call.Gen, Node: s.Node, At: s.Now, Event: ev})
}

// TakeOver gives the call to another node, which writes the event.
func (s *Story) TakeOver(node, why string) {
	s.Node = node
	fx := s.effects()
	fx.Owner = node
	must(transact.TakeOver(fx, node, why))
	s.log(fx)
}

// Learn has a party's stream come from an address.
func (s *Story) Learn(party, media int, addr string) {
	s.Note(events.EndpointLearned{
		Party: party, Media: media, Remote: netip.MustParseAddrPort(addr), Signal: s.Call.Party(party).Medias[media].Signal, Confirmed: true,
	})
}

func (s *Story) append(env events.Envelope) {
	data, err := events.Encode(env)
	must(err)
	env, err = events.Decode(data)
	must(err)
	seq := uint64(1001)
	if n := len(s.Entries); n > 0 {
		seq = s.Entries[n-1].Seq + 3
	}
	s.Entries = append(s.Entries, history.Entry{Seq: seq, Stored: s.Now + 310, Envelope: env})
	s.Call.Apply(seq, env)
	s.Now += 1000
}

// History returns a copy of what is in the log.
func (s *Story) History() []history.Entry { return slices.Clone(s.Entries) }

// SDP is an SDP of one audio section with lines of its own.
func SDP(addr string, port int, lines ...string) string {
	text := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 8 0 101\r\n"+
		"a=rtpmap:101 telephone-event/8000\r\n", addr, addr, port)
	for _, l := range lines {
		text += l + "\r\n"
	}
	return text
}

// SecureSDP is SDP with an SRTP profile and one key.
func SecureSDP(addr string, port int, key string) string {
	return strings.ReplaceAll(SDP(addr, port, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+key), "RTP/AVP", "RTP/SAVP")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
