package replay

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/report"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/transact"
	"rtpjet/relay/plan"
)

// Report is what came out when a history was run again.
type Report struct {
	Call   string `json:"call"`
	Events int    `json:"events"`
	// Rerun counts the decisions that were made again; the others are facts that nobody decides, or the log lacks what they need.
	Rerun int       `json:"rerun"`
	Steps []Outcome `json:"steps,omitempty"` // those that differ
}

// Differs tells whether anything came out otherwise.
func (r *Report) Differs() bool { return len(r.Steps) > 0 }

// Outcome is a decision that came out otherwise.
type Outcome struct {
	Seq     uint64 `json:"seq"`
	At      int64  `json:"at"` // µs of Unix time
	Node    string `json:"node"`
	Command string `json:"command"` // or the kind of the event
	// Decision is what the state of the call would be otherwise after it.
	Decision []Difference `json:"decision,omitempty"`
	// Reply and SDP are the lines that differ, each with a sign before it: " " for both, "-" for then, "+" for this build.
	Reply []string `json:"reply,omitempty"`
	SDP   []string `json:"sdp,omitempty"`
	// Error says why the decision could not be made again.
	Error string `json:"error,omitempty"`
}

// Difference is one thing in the state of a call.
type Difference struct {
	Path string `json:"path"`
	Then string `json:"then,omitempty"`
	Now  string `json:"now,omitempty"`
}

func (o *Outcome) differs() bool {
	return len(o.Decision) > 0 || len(o.Reply) > 0 || len(o.SDP) > 0 || o.Error != ""
}

// Rerun makes every decision of a history again, each on the call as the log had it: what differs once is told once.
func Rerun(callID string, entries []history.Entry) *Report {
	list := history.Moments(callID, Redact(entries))
	r := &Report{Call: callID, Events: len(list)}
	whole := true // what a decision needs of the past is there
	for i := range list {
		m := &list[i]
		if m.Err != nil {
			whole = false
			continue
		}
		if o, ok := m.Event.(events.Offered); ok && o.Owner != "" {
			whole = true
		}
		if !whole || !m.Call.Live() && !history.Before(list, i).Live() {
			continue
		}
		out, ok := rerun(list, i)
		if !ok {
			continue
		}
		r.Rerun++
		if out.differs() {
			r.Steps = append(r.Steps, out)
		}
	}
	return r
}

// rerun makes one decision again; ok is false if the event is none of a decision.
func rerun(list []history.Moment, i int) (out Outcome, ok bool) {
	m := &list[i]
	out = Outcome{Seq: m.Seq, At: m.At, Node: m.Node, Command: string(events.KindOf(m.Event))}
	before := history.Before(list, i).Snapshot()
	if before.Seq >= m.Seq { // the stream began anew
		before = &projection.Call{ID: m.Envelope.Call}
	}
	if m.Cause == nil {
		ev, takeover := m.Event.(events.TakenOver)
		if !takeover || ev.Epoch != before.Epoch+1 {
			return out, false
		}
		res := record(before, ev, nil)
		s := &Shadow{Time: m.At, State: before, InterfacesOf: res.table, Owner: ev.Owner, Sockets: res.reserve, Bytes: res.random}
		out.apply(list, i, s, transact.TakeOver(s, m.Node, ev.Why))
		return out, true
	}
	d, enc, err := ng.DecodeDict(m.Cause.Request)
	if err != nil {
		out.Error = "this build does not take the request: " + reason(err)
		return out, true
	}
	req, err := ng.Parse(d)
	if err != nil {
		out.Error = "this build does not take the request: " + reason(err)
		return out, true
	}
	out.Command = req.Command
	msg := ng.Message{Request: req, Encoding: enc, Cookie: m.Cause.Cookie, Source: m.Cause.From, Raw: m.Cause.Request}
	var first Outcome
	for k, g := range guesses(m.Event, req) {
		try := out
		try.command(list, i, before.Snapshot(), msg, g)
		if !try.differs() {
			return try, true
		}
		if k == 0 {
			first = try
		}
	}
	return first, true
}

// guess is what a decision depends on and the log does not say.
type guess struct {
	sipSource bool // the node had --sip-source
	level     int  // of the events that all nodes read then
}

// guesses are those that make sense, the likeliest first: an offer that is no proposal was decided where some node read none.
func guesses(ev events.Event, req *ng.Request) (out []guess) {
	levels := []int{events.Level, events.LevelFirst}
	if o, ok := ev.(events.Offered); ok && !o.Pending {
		slices.Reverse(levels)
	}
	for _, level := range levels {
		out = append(out, guess{level: level})
	}
	if req.ReceivedFrom.IsValid() {
		for _, level := range levels {
			out = append(out, guess{sipSource: true, level: level})
		}
	}
	return out
}

func (r *recorded) table(string) *plan.Interfaces { return r.interfaces }

// command carries a command out once more.
func (o *Outcome) command(list []history.Moment, i int, before *projection.Call, msg ng.Message, g guess) {
	m := &list[i]
	res := record(before, m.Event, msg.Request)
	s := &Shadow{
		Time: m.At, State: before, InterfacesOf: res.table, Sockets: res.reserve, Bytes: res.random, Counted: counted(m.Cause.Reply),
		Log: func(after uint64) (out []transact.Entry) {
			for j := range list[:i] {
				if list[j].Seq > after && list[j].Err == nil && list[j].Life == m.Life {
					out = append(out, transact.Entry{Seq: list[j].Seq, Envelope: list[j].Envelope})
				}
			}
			return out
		},
	}
	if ev, ok := m.Event.(events.Offered); ok && ev.Owner != "" {
		s.Owner = ev.Owner
	}
	set := transact.Settings{
		Node: m.Node, InstanceID: instanceOf(m.Cause.Reply), SIPSource: g.sipSource, DeleteDelay: delayOf(m), MaxReply: math.MaxInt,
		Level: g.level,
	}
	result, ok := transact.Execute(s, set, msg, report.Env{})
	if !ok {
		o.Error = "this build has no event for the command"
		return
	}
	o.apply(list, i, s, result.Err)
	o.reply(m.Cause.Reply, result.Reply.Append(nil, msg.Encoding))
}

// delayOf is the delay of delete that was configured, as far as it can be told: a command that names one does not need it.
func delayOf(m *history.Moment) int {
	if ev, ok := m.Event.(events.DeletionScheduled); ok {
		return int((ev.At - m.At) / 1e6)
	}
	return 0
}

// apply compares what would have been written.
func (o *Outcome) apply(list []history.Moment, i int, s *Shadow, err error) {
	m := &list[i]
	switch {
	case err != nil:
		o.Error = "this build refuses: " + reason(err)
		return
	case len(s.Wrote) != 1:
		o.Error = "this build changes nothing"
		return
	}
	then, now := m.Event, s.Wrote[0].Event
	if a, b := events.KindOf(then), events.KindOf(now); a != b {
		o.Decision = append(o.Decision, Difference{"event", string(a), string(b)})
		return
	}
	a, b := history.Before(list, i).Snapshot(), history.Before(list, i).Snapshot()
	if a.Seq >= m.Seq {
		a, b = &projection.Call{}, &projection.Call{}
	}
	env := m.Envelope
	env.Event = accepted(then)
	a.Apply(m.Seq, env)
	env.Event = accepted(now)
	b.Apply(m.Seq, env)
	for _, c := range history.Diff(a, b) {
		o.Decision = append(o.Decision, Difference{c.Path, c.Was, c.Is})
	}
	for _, d := range facts(then, now) {
		if d.Then != d.Now {
			o.Decision = append(o.Decision, d)
		}
	}
}

// accepted is an event in whose fold all that it says can be seen: an offer as if it were answered already.
func accepted(ev events.Event) events.Event {
	if o, ok := ev.(events.Offered); ok {
		o.Pending = false
		return o
	}
	return ev
}

// facts are the parts of a decision that leave no trace in the state of a call, or that a diff of states does not show.
func facts(then, now events.Event) []Difference {
	word := func(path string, a, b any) Difference { return Difference{path, fmt.Sprint(a), fmt.Sprint(b)} }
	signalling := func(a, b events.Signalling) []Difference {
		return []Difference{
			word("owner", a.Owner, b.Owner), word("from", a.From, b.From), word("to", a.To, b.To), word("final", a.Final, b.Final),
			word("request", a.Request, b.Request), word("pending", a.Pending, b.Pending), word("answers", a.Answers, b.Answers),
			word("branch", a.Branch, b.Branch),
		}
	}
	switch a := then.(type) {
	case events.Offered:
		b, _ := now.(events.Offered)
		return signalling(a.Signalling, b.Signalling)
	case events.Answered:
		b, _ := now.(events.Answered)
		return signalling(a.Signalling, b.Signalling)
	case events.TakenOver:
		b, _ := now.(events.TakenOver)
		return []Difference{word("offers", offers(a.Proposals), offers(b.Proposals))}
	case events.DeletionScheduled:
		b, _ := now.(events.DeletionScheduled)
		return []Difference{word("at", a.At, b.At), word("parties", a.Parties, b.Parties)}
	case events.PartiesRemoved:
		b, _ := now.(events.PartiesRemoved)
		return []Difference{word("parties", a.Parties, b.Parties)}
	case events.Ended: // its counters were measured
		b, _ := now.(events.Ended)
		return []Difference{word("reason", a.Reason, b.Reason)}
	}
	return nil
}

// offers names the offers that wait, with their sockets.
func offers(list []events.Proposal) []string {
	var out []string
	for i := range list {
		p := &list[i]
		for _, id := range []int{p.From, p.To} {
			for k, m := range p.Side(id) {
				out = append(out, fmt.Sprintf("%d/%d/%d %v %v", p.Number, id, k+1, m.Local.RTP, m.Local.RTCP))
			}
		}
	}
	return out
}

// reply compares what would have been answered.
func (o *Outcome) reply(then, now []byte) {
	if len(then) == 0 || bytes.Equal(then, now) { // a reply that is too long is not in the log
		return
	}
	a, b := replySDP(then), replySDP(now)
	if !bytes.Equal(a, b) {
		o.SDP = compareLines(lines(a), lines(b))
	}
	x, y := words(then), words(now)
	if len(o.SDP) == 0 || strings.Join(x, "\n") != strings.Join(y, "\n") {
		o.Reply = compareLines(x, y)
		if len(o.Reply) == 0 { // the same, spelt otherwise
			o.Reply = []string{"-" + show(then), "+" + show(now)}
		}
	}
}

func show(raw []byte) string { return fmt.Sprintf("%q", nameKeys(string(raw))) }

// nameKeys has a short name in place of each key of a text, by which equal ones can be told.
func nameKeys(text string) string {
	return string(events.MapInline([]byte(text), func(_, key []byte) []byte {
		return fmt.Appendf(nil, "[key %04x]", events.Digest(key)&0xffff)
	}))
}

// lines are those of an SDP.
func lines(sdp []byte) []string {
	if len(sdp) == 0 {
		return nil
	}
	var out []string
	for l := range strings.Lines(nameKeys(string(sdp))) {
		out = append(out, history.Printable(strings.TrimRight(l, "\r\n")))
	}
	return out
}

// words are the keys of a reply with their values, its SDP aside.
func words(reply []byte) []string {
	d, _, err := ng.DecodeDict(reply)
	if err != nil {
		return []string{show(reply)}
	}
	var out []string
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case *ng.Dict:
			for i, k := range v.Keys {
				if at == "" && k == "sdp" {
					continue
				}
				walk(at+"/"+k, v.Values[i])
			}
		case ng.List:
			for i, e := range v {
				walk(fmt.Sprintf("%s/%d", at, i+1), e)
			}
		case []byte:
			out = append(out, history.Printable(at+" = "+nameKeys(string(v))))
		default:
			out = append(out, history.Printable(at+" = "+nameKeys(fmt.Sprint(v))))
		}
	}
	walk("", d)
	return out
}

// reason is an error for people.
func reason(err error) string {
	var refusal *projection.Refusal
	if errors.As(err, &refusal) {
		return refusal.Error()
	}
	return err.Error()
}
