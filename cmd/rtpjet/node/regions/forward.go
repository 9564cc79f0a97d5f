package regions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection/regions"
)

// forwarded is a command on its way to the home of its call: this line of JSON, and behind it the dictionary.
type forwarded struct {
	Via    string         `json:"via"`
	Cookie string         `json:"cookie"`
	Source netip.AddrPort `json:"source,omitzero"`
	LeftMS int64          `json:"left_ms"` // how long the command may take yet
	At     int64          `json:"at"`      // when it was sent, µs of Unix time by the sender's clock
	// IfKnown is true if the region is asked because nobody knows the call.
	IfKnown bool `json:"if_known,omitempty"`
}

// What an answer to a forwarded command begins with.
const (
	answerReply   = 'r' // the reply follows
	answerUnknown = 'u' // the call is not known here
	answerBusy    = 'b' // no commands are answered here yet
)

// homeTime is how long the home of a call may take to answer: longer than a round trip around the world, and short enough for
// an answer from the mirror before the client gives up.
const homeTime = 700 * time.Millisecond

// mirrorTime is how long a mirror may take to say what it has of a call.
const mirrorTime = 400 * time.Millisecond

// Forward carries out a command whose call another region has; ok is false if that is this region's business. The Driver may be nil.
func (d *Driver) Forward(ctx context.Context, m *ng.Message) (reply ng.Reply, ok bool) {
	if d == nil || m.Via != "" || m.CallID == "" || !m.Info().ConcernsCall() {
		return reply, false
	}
	key := events.Key(m.CallID)
	here := d.host.Call(key)
	if here.Live {
		if p := d.adopter(here); p != nil {
			return d.atHome(ctx, p, m, key), true // it is about to be ended here
		}
		return reply, false // it lives here: nothing else matters
	}
	var others []regions.Sighting
	for _, p := range d.peers {
		first, ok := p.index.began(key)
		if !ok && p.index.incomplete() {
			first, ok = d.mirrorHas(ctx, p, key)
		}
		if ok {
			l, _ := d.reach(p)
			others = append(others, regions.Sighting{Region: p.Name, First: first, Silent: l == nil})
		}
	}
	var records []regions.Record
	if len(others) > 0 { // which is rare, and they cost more than all else here
		records = d.known()
	}
	route := regions.Decide(false, here.Known, regions.Begins(m.Info().Begins, m.ToTag), others, records)
	switch {
	case route.Home != "":
		p := d.peer(route.Home)
		if reply, ok := d.atHeir(ctx, p, m, records); ok {
			return reply, true
		}
		return d.atHome(ctx, p, m, key), true
	case route.AskAll:
		return d.askAll(ctx, m, key)
	}
	return reply, false
}

// mirrorHas asks the mirror itself whether a call lives in a region, and where it begins: a node that has just started has not read
// all of it.
func (d *Driver) mirrorHas(ctx context.Context, p *peer, key string) (first uint64, ok bool) {
	p.mu.Lock()
	l := p.log
	p.mu.Unlock()
	if l == nil {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTime)
	defer cancel()
	entries, _, err := l.Since(ctx, key, 0)
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		switch {
		case events.IsEnd(e.Data):
			first = 0
		case first == 0:
			first = e.Seq
		}
	}
	return first, first > 0
}

// atHome has the home of a call carry out a command, or answers from the mirror.
func (d *Driver) atHome(ctx context.Context, p *peer, m *ng.Message, key string) ng.Reply {
	l, why := d.reach(p)
	absent := false
	if l != nil {
		answer, err := d.request(ctx, l, m, false)
		if err == nil && len(answer) > 0 && answer[0] == answerReply {
			return ng.Raw(answer[1:])
		}
		why = fmt.Sprintf("region %s does not answer", p.Name)
		// After silence it may be carrying the command out.
		absent = err == nil || errors.Is(err, embed.ErrNobody)
		switch {
		case err == nil && answer[0] == answerUnknown:
			d.log.Debug("a region does not know a call of its mirror", "region", p.Name, "call-id", m.CallID)
		case errors.Is(err, embed.ErrNobody):
			why = fmt.Sprintf("no node of region %s answers commands", p.Name)
		}
	}
	return d.fromMirror(ctx, p, m, key, why, absent)
}

// atHeir has the region that may have adopted a call of a silent one carry out a command, if it knows the call by now; ok is
// false if that is not so.
func (d *Driver) atHeir(ctx context.Context, p *peer, m *ng.Message, records []regions.Record) (reply ng.Reply, ok bool) {
	heir := d.peer(regions.HeirOf(p.Name, records))
	if heir == nil {
		return reply, false
	}
	if l, _ := d.reach(p); l != nil {
		return reply, false
	}
	l, _ := d.reach(heir)
	if l == nil {
		return reply, false
	}
	answer, err := d.request(ctx, l, m, true)
	if err != nil || answer[0] != answerReply {
		return reply, false
	}
	return ng.Raw(answer[1:]), true
}

// request sends a command to a region and returns the answer.
func (d *Driver) request(ctx context.Context, l Log, m *ng.Message, ifKnown bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, homeTime)
	defer cancel()
	left := homeTime
	if until, ok := ctx.Deadline(); ok {
		left = time.Until(until)
	}
	head, err := json.Marshal(forwarded{
		Via: d.qualified(), Cookie: m.Cookie, Source: m.Source, LeftMS: left.Milliseconds(), At: d.wall(), IfKnown: ifKnown,
	})
	if err != nil {
		return nil, fmt.Errorf("forward a command: %w", err)
	}
	answer, err := l.Request(ctx, tokensCommand, append(append(head, '\n'), m.Raw...))
	if err == nil && len(answer) == 0 {
		err = errors.New("the answer is empty")
	}
	return answer, err
}

// askAll asks all regions that can be reached whether they know a call that nobody here knows: what began there a moment ago is
// not in the mirror yet. ok is false if none does.
func (d *Driver) askAll(ctx context.Context, m *ng.Message, key string) (reply ng.Reply, ok bool) {
	if d.hadCall(ctx, key, m.CallID) {
		return reply, false
	}
	answers := make(chan []byte, len(d.peers))
	asked := 0
	for _, p := range d.peers {
		l, _ := d.reach(p)
		if l == nil {
			continue
		}
		asked++
		go func() {
			answer, err := d.request(ctx, l, m, true)
			if err != nil {
				answer = nil
			}
			answers <- answer
		}()
	}
	for range asked {
		if a := <-answers; len(a) > 0 && a[0] == answerReply {
			return ng.Raw(a[1:]), true
		}
	}
	return reply, false
}

// hadCall tells whether the log of this region has ever had a call, as far as it still does. What the node knows may be a moment old.
func (d *Driver) hadCall(ctx context.Context, key, callID string) bool {
	c, err := d.host.Look(ctx, key)
	if err != nil && !c.Known {
		d.log.Warn("cannot read the event log", "call-id", callID, "err", err)
		return true // it may know it, and another region is not asked on a guess
	}
	return c.Known
}

// serveCommand carries out a command that came to another region.
func (d *Driver) serveCommand(ctx context.Context, m embed.Msg) {
	if !d.host.State().Serving {
		_ = m.Respond([]byte{answerBusy})
		return
	}
	msg, head, err := parseForwarded(m.Data, d.cfg.Clock(), d.cfg.Templates)
	if err != nil {
		d.log.Warn("a command of another region cannot be read", "err", err)
		_ = m.Respond([]byte{answerUnknown})
		return
	}
	if age := d.sentAgo(head); age > head.LeftMS {
		d.log.Warn("a command of another region was on its way for so long that nobody waits for it any more; it is not carried out",
			"call-id", msg.CallID, "command", msg.Command, "via", head.Via, "ms", age)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(head.LeftMS)*time.Millisecond)
	defer cancel()
	if head.IfKnown && !d.hasCall(ctx, msg.CallID) {
		_ = m.Respond([]byte{answerUnknown})
		return
	}
	reply := d.host.Handle(ctx, msg)
	_ = m.Respond(reply.Append([]byte{answerReply}, msg.Encoding)) // who asked gives up by himself
}

// sentAgo is how long ago a command left the other region, ms, as far as is known of its clock; 0 if nothing is.
func (d *Driver) sentAgo(head forwarded) int64 {
	region, _ := events.ParseOwner(head.Via).Home()
	p := d.peer(region)
	if p == nil || head.At == 0 {
		return 0
	}
	p.mu.Lock()
	s := p.link.Status(d.now())
	p.mu.Unlock()
	if s.SilentMS < 0 {
		return 0 // never heard
	}
	return (d.wall()-head.At)/1000 + s.SkewMS
}

// parseForwarded reads what request sends.
func parseForwarded(data []byte, now time.Time, templates ng.Templates) (*ng.Message, forwarded, error) {
	line, raw, ok := bytes.Cut(data, []byte{'\n'})
	var head forwarded
	if !ok {
		return nil, head, errors.New("a forwarded command has no first line")
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, head, fmt.Errorf("the first line of a forwarded command: %w", err)
	}
	if events.ParseOwner(head.Via).Kind != events.OwnerForeign {
		return nil, head, fmt.Errorf("a forwarded command comes from %q, which is no node of another region", head.Via)
	}
	dict, enc, err := ng.DecodeDict(raw)
	if err != nil {
		return nil, head, fmt.Errorf("a forwarded command: %w", err)
	}
	req, err := templates.Parse(dict)
	if err != nil {
		return nil, head, fmt.Errorf("a forwarded command: %w", err)
	}
	return &ng.Message{Request: req, Encoding: enc, Source: head.Source, Cookie: head.Cookie, Raw: raw, Received: now, Via: head.Via}, head, nil
}

// hasCall tells whether a call exists in this region.
func (d *Driver) hasCall(ctx context.Context, callID string) bool {
	c, err := d.host.Look(ctx, events.Key(callID))
	if err != nil {
		d.log.Error("cannot read the event log", "call-id", callID, "err", err)
	}
	return c.Live
}
