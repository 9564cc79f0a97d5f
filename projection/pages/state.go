package pages

import (
	"fmt"
	"net/netip"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/history"
)

// State is a call at a moment.
type State struct {
	Seq      uint64     `json:"seq"`
	At       int64      `json:"at"` // µs of Unix time
	Live     bool       `json:"live"`
	Ended    string     `json:"ended,omitempty"` // why
	Owner    string     `json:"owner"`
	Epoch    uint64     `json:"epoch"`
	Created  int64      `json:"created"`
	DeleteAt int64      `json:"delete_at,omitempty"`
	Blocked  bool       `json:"blocked,omitempty"`
	Parties  []Party    `json:"parties"`
	Exchange []Exchange `json:"exchanges"` // the last offer and the last answer up to here
}

// Party is one side of the call.
type Party struct {
	ID     int     `json:"id"`
	Name   string  `json:"name"`
	Label  string  `json:"label,omitempty"`
	Hears  []int   `json:"hears"`
	Medias []Media `json:"medias"`
}

// Media is a section of a party.
type Media struct {
	Type       string   `json:"type"`
	Protocol   string   `json:"protocol"`
	Direction  string   `json:"direction"`
	Codecs     []string `json:"codecs"`
	Local      string   `json:"local"`             // our socket towards the party
	Advertised string   `json:"told,omitempty"`    // what the party knows it as, if that is another address
	Remote     string   `json:"remote"`            // by its SDP
	Learned    string   `json:"learned,omitempty"` // by its packets
	Confirmed  bool     `json:"confirmed,omitempty"`
	Mux        bool     `json:"mux,omitempty"`
	Crypto     string   `json:"crypto,omitempty"` // suite
	Notes      []string `json:"notes"`
}

// Exchange is an SDP that came, and the one that was made from it.
type Exchange struct {
	Command string   `json:"command"`
	Seq     uint64   `json:"seq"`
	Step    int      `json:"step"` // index into the ladder's steps
	Node    string   `json:"node"`
	Rows    []SDPRow `json:"rows"`
}

// NewState shows the moment i of a call. The ladder is that of the same moments.
func NewState(list []history.Moment, l *history.Ladder, i int) State {
	m := &list[i]
	c := m.Call
	s := State{Seq: m.Seq, At: m.At, Parties: []Party{}, Exchange: []Exchange{}}
	if m.Err != nil {
		s.At = m.Stored
	}
	s.Live, s.Owner, s.Epoch, s.Created, s.DeleteAt, s.Blocked = c.Live(), c.Owner, c.Epoch, c.Created, c.DeleteAt, c.Blocked || c.Dropping
	if end, ok := m.Event.(events.Ended); ok {
		s.Ended = history.ReasonText(end.Reason)
	}
	if c.Live() {
		for _, p := range c.Parties {
			if p != nil {
				s.Parties = append(s.Parties, newParty(c, p))
			}
		}
	}
	s.Exchange = exchanges(l, i)
	return s
}

func newParty(c *projection.Call, p *events.Party) Party {
	out := Party{ID: p.ID, Name: p.Tag, Label: p.Label, Hears: append([]int{}, p.Peers...), Medias: []Media{}}
	if out.Name == "" {
		out.Name = "(no tag yet)"
	}
	for i := range p.Medias {
		out.Medias = append(out.Medias, newMedia(&p.Medias[i]))
	}
	c.WouldBe(p.ID, func(i int, o *events.Proposal, m *events.Media) {
		if i < len(out.Medias) {
			out.Medias[i].Notes = append(out.Medias[i].Notes, fmt.Sprintf("with offer %d, which nobody has answered: %s", o.Number, history.ReceivedSection(m)))
		}
	})
	return out
}

func newMedia(m *events.Media) Media {
	out := Media{
		Type: m.Type, Protocol: m.Protocol, Direction: string(m.Direction), Codecs: []string{}, Notes: []string{},
		Local: addrText(m.Local.RTP), Remote: addrText(m.Remote.RTP), Mux: m.Mux, Confirmed: m.Confirmed[0],
	}
	if m.Learned.RTP != m.Remote.RTP {
		out.Learned = addrText(m.Learned.RTP)
	}
	if m.Advertised.IsValid() && m.Local.RTP.IsValid() && m.Advertised != m.Local.RTP.Addr() {
		out.Advertised = netip.AddrPortFrom(m.Advertised, m.Local.RTP.Port()).String()
	}
	for _, c := range m.Codecs {
		name := c.Name
		if name == "" {
			name = fmt.Sprint(c.PT)
		}
		if c.Rate > 0 {
			name += fmt.Sprintf("/%d", c.Rate)
		}
		out.Codecs = append(out.Codecs, name)
	}
	if k := m.Keys(); k.In.Suite != "" {
		out.Crypto = k.In.Suite
	} else if len(k.Received) > 0 {
		out.Crypto = k.Received[0].Suite
	}
	for _, n := range []struct {
		on   bool
		text string
	}{
		{m.Rejected, "rejected"}, {m.Hidden, "not in its SDPs"}, {m.Proposed != 0, "offered, not answered"}, {m.Blocked, "media blocked"}, {m.BlockedDTMF, "DTMF blocked"},
		{m.Remote.RTP.IsValid() && m.Remote.RTP.Addr().IsUnspecified(), "on hold"},
		{m.EndToEnd, "encrypted end to end"}, {m.ICE, "offered ICE"}, {m.StrictSource, "strict source"},
	} {
		if n.on {
			out.Notes = append(out.Notes, n.text)
		}
	}
	return out
}

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// exchanges finds the last offer and the last answer up to step i, of the same life, the older one first.
func exchanges(l *history.Ladder, i int) []Exchange {
	out := []Exchange{}
	seen := map[string]bool{}
	for k := i; k >= 0 && len(seen) < 2 && l.Steps[k].Life == l.Steps[i].Life; k-- {
		s := &l.Steps[k]
		if s.Asked == nil || s.Answered == nil || s.Asked.SDP == "" || seen[s.Label] || s.Label != "offer" && s.Label != "answer" {
			continue
		}
		seen[s.Label] = true
		e := Exchange{Command: s.Label, Seq: s.Seq, Step: k, Node: s.Node, Rows: CompareSDP(s.Asked.SDP, s.Answered.SDP)}
		out = append([]Exchange{e}, out...)
	}
	return out
}

// Slim leaves out of a ladder what a page does not draw: the requests and replies as they came. [NewState] has their SDPs.
func Slim(l *history.Ladder) *history.Ladder {
	out := *l
	out.Steps = make([]history.Step, len(l.Steps))
	for i, s := range l.Steps {
		if s.Asked != nil {
			a := *s.Asked
			a.Raw, a.SDP = "", ""
			s.Asked = &a
		}
		if s.Answered != nil {
			a := *s.Answered
			a.Raw, a.SDP = "", ""
			s.Answered = &a
		}
		out.Steps[i] = s
	}
	return &out
}

// sdpLines makes lines of an SDP.
func sdpLines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Split(strings.TrimRight(s, "\n"), "\n")
}
