package demo

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"rtpjet/ngserver/bencode"
)

// voiceTime is how long a call may take until both ends hear each other, from its answer on.
const voiceTime = 5 * time.Second

// call is a call between two phones of ours.
type call struct {
	num            int // from 1
	id             string
	tags           [2]string // of caller and callee
	phones         [2]*phone // likewise
	told           [2]netip.AddrPort
	round          uint32 // how often it was offered
	owner          *node  // whose address the SDP names
	offerAt        *node  // asked last
	answerAt       *node
	queryAt        *node
	commands, away int             // commands, and those that a node got that does not relay the call
	took           []time.Duration // by offers and answers
}

const (
	caller = 0
	callee = 1
)

func newCall(run uint64, num int) (*call, error) {
	c := &call{
		num: num, id: fmt.Sprintf("demo-%x-%d", run, num),
		tags: [2]string{"caller" + strconv.Itoa(num), "callee" + strconv.Itoa(num)},
	}
	for i := range c.phones {
		id := uint32(2 * num)
		p, err := newPhone(run, id+uint32(i), id+uint32(1-i))
		if err != nil {
			c.hangUp()
			return nil, err
		}
		c.phones[i] = p
	}
	return c, nil
}

// hangUp closes the phones.
func (c *call) hangUp() {
	for _, p := range c.phones {
		if p != nil {
			p.close()
		}
	}
}

func (c *call) command(name string) *bencode.Dict {
	return new(bencode.Dict).Add("command", name).Add("call-id", c.id)
}

// signal carries out an offer and its answer, each at a node that pick names, and has the phones send where the SDPs say.
func (d *demo) signal(ctx context.Context, c *call) error {
	c.round++
	var told [2]netip.AddrPort
	offer := c.command("offer").Add("from-tag", c.tags[caller])
	if c.round > 1 {
		offer.Add("to-tag", c.tags[callee]) // a re-INVITE within the call
	}
	c.offerAt, c.answerAt = d.pick(), d.pick()
	var err error
	if told[callee], err = d.offerAnswer(ctx, c, c.offerAt, offer, c.phones[caller]); err != nil {
		return err
	}
	answer := c.command("answer").Add("from-tag", c.tags[caller]).Add("to-tag", c.tags[callee])
	if told[caller], err = d.offerAnswer(ctx, c, c.answerAt, answer, c.phones[callee]); err != nil {
		return err
	}
	c.told = told
	if c.owner = d.nodeOf(told[caller]); c.owner == nil || c.owner != d.nodeOf(told[callee]) {
		return fmt.Errorf("call %d: the SDPs name %s and %s, which are not addresses of one node", c.num, told[caller], told[callee])
	}
	c.count(c.offerAt)
	c.count(c.answerAt)
	for _, p := range c.phones {
		p.expect(c.round)
	}
	for i, p := range c.phones {
		p.sendTo(told[i], c.round)
	}
	return nil
}

// offerAnswer sends a command with a phone's SDP and returns the address that the other phone is to send to.
func (d *demo) offerAnswer(ctx context.Context, c *call, at *node, cmd *bencode.Dict, p *phone) (netip.AddrPort, error) {
	cmd.Add("sdp", phoneSDP(p.addr(), c.round))
	cmd.Add("ICE", "remove").Add("replace", bencode.List{"origin", "session-connection"})
	reply, took, err := d.ng.ask(ctx, at.at(at.ng), cmd)
	c.took = append(c.took, took)
	var a netip.AddrPort
	if err == nil {
		a, err = mediaAddress(text(reply, "sdp"))
	}
	if err != nil {
		name, _ := cmd.Get("command")
		return a, fmt.Errorf("call %d: %s at %s: %w", c.num, name, at.id, err)
	}
	return a, nil
}

// query asks a node for the call. It is an error if the node does not know it, or has other addresses than the phones were
// told.
func (d *demo) query(ctx context.Context, c *call, at *node) error {
	c.queryAt = at
	reply, _, err := d.ng.ask(ctx, at.at(at.ng), c.command("query"))
	if err != nil {
		return fmt.Errorf("call %d: query at %s: %w", c.num, at.id, err)
	}
	c.count(at)
	for i, tag := range c.tags {
		stream := dig(reply, "tags", tag, "medias", "streams")
		port, _ := stream.Get("local port")
		if has := fmt.Sprintf("%s:%v", text(stream, "local address"), port); has != c.told[i].String() {
			return fmt.Errorf("call %d: query at %s names %s for %s, and the SDP said %s", c.num, at.id, has, tag, c.told[i])
		}
	}
	return nil
}

func (d *demo) delete(ctx context.Context, c *call) error {
	for _, p := range c.phones {
		p.hush()
	}
	at := d.pick()
	cmd := c.command("delete").Add("from-tag", c.tags[caller]).Add("to-tag", c.tags[callee]).Add("delete delay", 0)
	reply, _, err := d.ng.ask(ctx, at.at(at.ng), cmd)
	if err == nil && text(reply, "warning") != "" {
		err = fmt.Errorf("the reply warns: %s", text(reply, "warning"))
	}
	if err != nil {
		return fmt.Errorf("call %d: delete at %s: %w", c.num, at.id, err)
	}
	c.count(at)
	return nil
}

// count notes that a command went to a node.
func (c *call) count(at *node) {
	c.commands++
	if at != c.owner {
		c.away++
	}
}

// voice returns when both phones have heard each other after the last offer and answer, and when the second one did.
func (c *call) voice(ctx context.Context) (since time.Time, err error) {
	deadline := time.NewTimer(voiceTime)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		a, b := c.phones[caller].hearing(false).first, c.phones[callee].hearing(false).first
		if !a.IsZero() && !b.IsZero() {
			if b.After(a) {
				a = b
			}
			return a, nil
		}
		select {
		case <-ctx.Done():
			return a, context.Cause(ctx)
		case <-deadline.C:
			who := "the caller hears nothing"
			if b.IsZero() {
				who = "the callee hears nothing"
				if a.IsZero() {
					who = "neither end hears the other"
				}
			}
			return a, fmt.Errorf("call %d: %s through %s, %v after the answer", c.num, who, c.owner.id, voiceTime)
		case <-tick.C:
		}
	}
}

// traffic is what was sent and heard in some calls.
type traffic struct {
	sent, heard, lost, stray int64
	pause                    time.Duration
}

// listen sums up the traffic of calls, and measures pauses anew if that is wanted.
func listen(calls []*call, anew bool) traffic {
	var t traffic
	for _, c := range calls {
		for _, p := range c.phones {
			t.sent += p.sent.Load()
			e := p.hearing(anew)
			t.heard += e.heard
			t.lost += e.lost()
			t.stray += e.stray
			t.pause = max(t.pause, e.pause)
		}
	}
	return t
}
