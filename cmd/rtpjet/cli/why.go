package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
	"rtpjet/projection/members"
	"rtpjet/projection/replay"
)

// Why is the answer of call why-alive.
type Why struct {
	Call  string `json:"call"`
	Alive bool   `json:"alive"`

	// Of a call that lives.
	Owner   string            `json:"owner"`
	Epoch   uint64            `json:"epoch,omitempty"`
	Carrier string            `json:"carrier,omitempty"` // the node that has it now
	Lease   *members.Lease    `json:"lease,omitempty"`   // of the owner or the float's holder
	Verdict string            `json:"verdict,omitempty"`
	Float   *admin.Float      `json:"float,omitempty"`
	Problem string            `json:"problem,omitempty"` // why there are no packets here
	Now     int64             `json:"now,omitempty"`
	Timers  *projection.Alive `json:"timers,omitempty"`

	// Of one that has ended.
	Ended  time.Time     `json:"ended,omitzero"`
	Until  time.Time     `json:"until,omitzero"` // when the delete came whose delay was over then
	Reason events.Reason `json:"reason,omitempty"`
	By     string        `json:"by,omitempty"`    // the node that wrote the end
	Asked  string        `json:"asked,omitempty"` // the client whose command it was
}

// callWhyAlive says what keeps a call, or why it ended.
func callWhyAlive(ctx context.Context, l *embed.Log, cmd config.Command, w io.Writer) error {
	list, err := callRecords(ctx, l, cmd.Call)
	if err != nil {
		return err
	}
	moments := history.Moments(cmd.Call, replay.Entries(list))
	if len(moments) == 0 {
		return unknownCall(ctx, l, cmd.Call)
	}
	c := moments[len(moments)-1].Call
	y := Why{Call: cmd.Call, Alive: c.Live(), Owner: c.Owner, Epoch: c.Epoch}
	if c.Live() {
		err = y.living(ctx, l, c)
	} else {
		y.ended(moments)
	}
	if err != nil {
		return err
	}
	if cmd.Log.JSON {
		return json.NewEncoder(w).Encode(y)
	}
	y.write(w, c)
	return nil
}

// ended finds the end of the last call.
func (y *Why) ended(list []history.Moment) {
	for i := len(list) - 1; i >= 0; i-- {
		m := &list[i]
		end, ok := m.Event.(events.Ended)
		if m.Err != nil || !ok {
			continue
		}
		y.Ended, y.Reason, y.By = time.UnixMicro(m.At).UTC(), end.Reason, m.Node
		by := m
		if until := m.Call.Until; until != 0 {
			y.Until = time.UnixMicro(until).UTC()
			for j := i; j >= 0 && list[j].Life == m.Life; j-- {
				if _, scheduled := list[j].Event.(events.DeletionScheduled); scheduled && list[j].At == until {
					by = &list[j]
				}
			}
		}
		if by.Cause != nil {
			y.Asked = by.Cause.From.String()
		}
		return
	}
}

// living asks whoever has the call.
func (y *Why) living(ctx context.Context, l *embed.Log, c *projection.Call) error {
	nodes, err := admin.Nodes(ctx, l)
	if err != nil {
		return err
	}
	y.Carrier = c.Owner
	if id, float := events.ParseOwner(c.Owner).Float(); float {
		y.Carrier = ""
		floats := admin.Floats(nodes)
		for i := range floats {
			if floats[i].Float == id {
				y.Float, y.Carrier = &floats[i], floats[i].Holder
			}
		}
	}
	for i := range nodes {
		if nodes[i].Node == y.Carrier {
			y.Lease, y.Verdict = &nodes[i].Lease, nodes[i].Verdict
		}
	}
	r := admin.WhyReply{Now: time.Now().UnixMicro()}
	if y.Carrier == "" {
		y.Problem = "nobody has the floating address"
	} else {
		r, err = admin.AskWhy(ctx, l, y.Carrier, events.Key(c.ID))
		switch {
		case err != nil:
			y.Problem = err.Error()
		case r.Unknown:
			y.Problem = fmt.Sprintf("node %s does not know the call", y.Carrier)
		case !r.Carried:
			y.Problem = fmt.Sprintf("node %s does not have the call any more; ask again", y.Carrier)
		}
	}
	if y.Problem != "" {
		return nil
	}
	packets := make(map[netip.AddrPort]int64, len(r.Stats))
	for _, s := range r.Stats {
		packets[s.Local] = s.LastPacket
	}
	alive := c.WhyAlive(r.Timeouts, func(a netip.AddrPort) int64 { return max(packets[a], r.Since) })
	y.Now, y.Timers = r.Now, &alive
	return nil
}

func (y *Why) write(w io.Writer, c *projection.Call) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	if !y.Alive {
		if y.Ended.IsZero() {
			p("call %s: it has ended; its last event does not say why\n", history.Printable(y.Call))
			return
		}
		over := y.Ended
		if !y.Until.IsZero() {
			over = y.Until
		}
		p("call %s: ended %s UTC: %s\n", history.Printable(y.Call), over.Format("2006-01-02 15:04:05.000"), history.ReasonText(y.Reason))
		p("  written by %s", history.Printable(y.By))
		if over != y.Ended {
			p(" %s later, when its delay was over", span(y.Ended.Sub(over).Microseconds()))
		}
		if y.Asked != "" {
			p(", asked by %s", y.Asked)
		}
		p("\n")
		return
	}
	p("call %s lives\n", history.Printable(y.Call))
	y.writeOwner(p)
	if y.Timers == nil {
		p("  its packets are not known: %s\n", history.Printable(y.Problem))
		return
	}
	for i := range y.Timers.Streams {
		y.writeStream(p, c, &y.Timers.Streams[i])
	}
	for _, t := range []struct {
		what string
		at   int64
	}{{"longest life (--final-timeout)", y.Timers.Final}, {"to be deleted (a delete has asked for it)", y.Timers.DeleteAt}} {
		if t.at > 0 {
			p("  %s: in %s\n", t.what, span(t.at-y.Now))
		}
	}
	if y.Timers.Ends == 0 {
		p("nothing ends it by itself: a timer that counts is switched off\n")
		return
	}
	p("if nothing happens, it ends in %s: %s\n", span(y.Timers.Ends-y.Now), history.ReasonText(y.Timers.Why))
}

func (y *Why) writeOwner(p func(string, ...any)) {
	p("  owner %s, number %d of the call\n", history.Printable(y.Owner), y.Epoch)
	if f := y.Float; f != nil {
		p("  floating address: held by %s, epoch %d, successor %s\n", orNothing(f.Holder), f.Epoch, orNothing(f.Successor))
	}
	if l := y.Lease; l != nil {
		p("  lease of %s: %s, epoch %d, since %s UTC; the node is %s\n", l.Node, l.State, l.Epoch,
			time.UnixMicro(l.Started).UTC().Format("2006-01-02 15:04:05"), y.Verdict)
	} else if y.Carrier != "" {
		p("  there is no lease of %s\n", history.Printable(y.Carrier))
	}
}

func (y *Why) writeStream(p func(string, ...any), c *projection.Call, s *projection.StreamTimer) {
	tag, kind := "(no tag yet)", ""
	if q := c.Party(s.Party); q != nil {
		if q.Tag != "" {
			tag = history.Printable(q.Tag)
		}
		kind = history.Printable(q.Medias[s.Media].Type)
	}
	p("  %s %d %s:", tag, s.Media+1, kind)
	for _, l := range []struct {
		name  string
		local netip.AddrPort
		at    int64
	}{{"RTP", s.RTP, s.LastRTP}, {"RTCP", s.RTCP, s.LastRTCP}} {
		switch {
		case !l.local.IsValid():
		case l.at == 0:
			p(" no %s yet on %s,", l.name, l.local)
		default:
			p(" last %s %s ago on %s,", l.name, span(y.Now-l.at), l.local)
		}
	}
	left, on := s.Left(y.Now)
	option := map[string]string{projection.ClassMedia: "--timeout", projection.ClassOffer: "--offer-timeout", projection.ClassSilent: "--silent-timeout"}[s.Class]
	why := map[string]string{
		projection.ClassMedia: "packets are expected", projection.ClassOffer: "its peer's address is not known", projection.ClassSilent: "nothing is expected",
	}[s.Class]
	switch {
	case !s.Counts:
		p(" %s: does not count\n", why)
	case !on:
		p(" %s: %s is off, it keeps the call for ever\n", why, option)
	case left == 0:
		p(" %s: %s has run out\n", why, option)
	default:
		what := "since its last packet"
		if !s.Packet {
			what = "since the last signalling"
		}
		p(" %s: %s left of %s %s\n", why, span(left), option, what)
	}
}

// span is a time in words that people read at a glance.
func span(us int64) string {
	d := time.Duration(us) * time.Microsecond
	if d < 0 {
		return "no time"
	}
	switch {
	case d >= time.Hour:
		return d.Round(time.Minute).String()
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
