package node

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
	"rtpjet/ngserver"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
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

// elsewhere carries out a command whose call another region has; ok is false if that is this region's business.
func (r *regionState) elsewhere(ctx context.Context, m *ngserver.Message) (reply ng.Reply, ok bool) {
	if r == nil || m.Via != "" || m.CallID == "" || !m.Info().ConcernsCall() {
		return reply, false
	}
	key := events.Key(m.CallID)
	e := r.n.calls.lookup(key)
	if e != nil && e.owner.Load() != nil {
		if p := r.adopter(e); p != nil {
			return r.atHome(ctx, p, m, key), true // it is about to be ended here
		}
		return reply, false // it lives here: nothing else matters
	}
	var others []regions.Sighting
	for _, p := range r.peers {
		first, ok := p.index.began(key)
		if !ok && p.index.incomplete() {
			first, ok = r.mirrorHas(ctx, p, key)
		}
		if ok {
			l, _ := r.reach(p)
			others = append(others, regions.Sighting{Region: p.Name, First: first, Silent: l == nil})
		}
	}
	var records []regions.Record
	if len(others) > 0 { // which is rare, and they cost more than all else here
		records = r.known()
	}
	route := regions.Decide(false, e != nil, regions.Begins(m.Info().Begins, m.ToTag), others, records)
	switch {
	case route.Home != "":
		p := r.peer(route.Home)
		if reply, ok := r.atHeir(ctx, p, m, records); ok {
			return reply, true
		}
		return r.atHome(ctx, p, m, key), true
	case route.AskAll:
		return r.askAll(ctx, m, key)
	}
	return reply, false
}

// mirrorHas asks the mirror itself whether a call lives in a region, and where it begins: a node that has just started has not read
// all of it.
func (r *regionState) mirrorHas(ctx context.Context, p *regionPeer, key string) (first uint64, ok bool) {
	p.mu.Lock()
	l := p.log
	p.mu.Unlock()
	if l == nil {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, logAwayTime)
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
func (r *regionState) atHome(ctx context.Context, p *regionPeer, m *ngserver.Message, key string) ng.Reply {
	l, why := r.reach(p)
	absent := false
	if l != nil {
		answer, err := r.forward(ctx, l, m, false)
		if err == nil && len(answer) > 0 && answer[0] == answerReply {
			return ng.Raw(answer[1:])
		}
		why = fmt.Sprintf("region %s does not answer", p.Name)
		// After silence it may be carrying the command out.
		absent = err == nil || errors.Is(err, embed.ErrNobody)
		switch {
		case err == nil && answer[0] == answerUnknown:
			r.log.Debug("a region does not know a call of its mirror", "region", p.Name, "call-id", m.CallID)
		case errors.Is(err, embed.ErrNobody):
			why = fmt.Sprintf("no node of region %s answers commands", p.Name)
		}
	}
	return r.fromMirror(ctx, p, m, key, why, absent)
}

// atHeir has the region that may have adopted a call of a silent one carry out a command, if it knows the call by now; ok is
// false if that is not so.
func (r *regionState) atHeir(ctx context.Context, p *regionPeer, m *ngserver.Message, records []regions.Record) (reply ng.Reply, ok bool) {
	heir := r.peer(regions.HeirOf(p.Name, records))
	if heir == nil {
		return reply, false
	}
	if l, _ := r.reach(p); l != nil {
		return reply, false
	}
	l, _ := r.reach(heir)
	if l == nil {
		return reply, false
	}
	answer, err := r.forward(ctx, l, m, true)
	if err != nil || answer[0] != answerReply {
		return reply, false
	}
	return ng.Raw(answer[1:]), true
}

// forward sends a command to a region and returns the answer.
func (r *regionState) forward(ctx context.Context, l RegionLog, m *ngserver.Message, ifKnown bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, homeTime)
	defer cancel()
	left := homeTime
	if until, ok := ctx.Deadline(); ok {
		left = time.Until(until)
	}
	head, err := json.Marshal(forwarded{
		Via: r.qualified(), Cookie: m.Cookie, Source: m.Source, LeftMS: left.Milliseconds(), At: r.n.calls.now(), IfKnown: ifKnown,
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
func (r *regionState) askAll(ctx context.Context, m *ngserver.Message, key string) (reply ng.Reply, ok bool) {
	if r.n.calls.knows(ctx, key, m.CallID) {
		return reply, false
	}
	answers := make(chan []byte, len(r.peers))
	asked := 0
	for _, p := range r.peers {
		l, _ := r.reach(p)
		if l == nil {
			continue
		}
		asked++
		go func() {
			answer, err := r.forward(ctx, l, m, true)
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

// knows tells whether the log of this region has ever had a call, as far as it still does. The projection may be a moment old.
func (c *calls) knows(ctx context.Context, key, callID string) bool {
	e := c.acquire(key, true)
	defer c.release(e)
	if e.Call.Gen == 0 {
		if err := c.catchUp(ctx, e); err != nil {
			c.log.Warn("cannot read the event log", "call-id", callID, "err", err)
			return true // it may know it, and another region is not asked on a guess
		}
	}
	return e.Call.Gen > 0
}

// serveCommand carries out a command that came to another region.
func (r *regionState) serveCommand(ctx context.Context, m embed.Msg) {
	if r.n.stage.Load() != stageServing {
		_ = m.Respond([]byte{answerBusy})
		return
	}
	msg, head, err := parseForwarded(m.Data, r.n.clock(), r.n.cfg.Templates)
	if err != nil {
		r.log.Warn("a command of another region cannot be read", "err", err)
		_ = m.Respond([]byte{answerUnknown})
		return
	}
	if age := r.sentAgo(head); age > head.LeftMS {
		r.log.Warn("a command of another region was on its way for so long that nobody waits for it any more; it is not carried out",
			"call-id", msg.CallID, "command", msg.Command, "via", head.Via, "ms", age)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(head.LeftMS)*time.Millisecond)
	defer cancel()
	if head.IfKnown && !r.n.calls.lives(ctx, msg) {
		_ = m.Respond([]byte{answerUnknown})
		return
	}
	reply := r.n.commands.Handle(ctx, msg)
	_ = m.Respond(reply.Append([]byte{answerReply}, msg.Encoding)) // who asked gives up by himself
}

// sentAgo is how long ago a command left the other region, ms, as far as is known of its clock; 0 if nothing is.
func (r *regionState) sentAgo(head forwarded) int64 {
	region, _ := events.ParseOwner(head.Via).Home()
	p := r.peer(region)
	if p == nil || head.At == 0 {
		return 0
	}
	p.mu.Lock()
	s := p.link.Status(r.now())
	p.mu.Unlock()
	if s.SilentMS < 0 {
		return 0 // never heard
	}
	return (r.n.calls.now()-head.At)/1000 + s.SkewMS
}

// parseForwarded reads what forward sends.
func parseForwarded(data []byte, now time.Time, templates ng.Templates) (*ngserver.Message, forwarded, error) {
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
	return &ngserver.Message{Request: req, Encoding: enc, Source: head.Source, Cookie: head.Cookie, Raw: raw, Received: now, Via: head.Via}, head, nil
}

// lives tells whether a call exists in this region.
func (c *calls) lives(ctx context.Context, m *ngserver.Message) bool {
	e := c.acquireLive(ctx, m.CallID)
	if e == nil {
		return false
	}
	c.release(e)
	return true
}

// projected folds what the mirror of a region has of a call; nil if it has nothing.
func (r *regionState) projected(ctx context.Context, l RegionLog, key string) (*projection.Call, error) {
	entries, _, err := l.Since(ctx, key, 0)
	if err != nil {
		return nil, err
	}
	var c projection.Call
	for _, in := range entries {
		env, err := r.n.journal.decode(in.Data)
		if err != nil {
			return nil, fmt.Errorf("event %d of the call: %w", in.Seq, err)
		}
		c.ID = env.Call
		c.Apply(in.Seq, env)
	}
	if c.Gen == 0 {
		return nil, nil
	}
	return &c, nil
}
