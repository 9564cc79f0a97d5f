package pages

import (
	"cmp"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
)

// Row is a live call in a list.
type Row struct {
	Call    string   `json:"call"`
	Owner   string   `json:"owner"`
	Created int64    `json:"created"` // µs of Unix time
	Tags    []string `json:"tags"`
	Media   string   `json:"media"` // "audio+video"
	State   string   `json:"state"` // offered, answered, on hold, being deleted
	Seq     uint64   `json:"seq"`   // of the last event

	words string // what a search looks in
}

// NewRow makes the row of a live call.
func NewRow(c *projection.Call) *Row {
	r := &Row{Call: c.ID, Owner: c.Owner, Created: c.Created, Seq: c.Seq, Tags: []string{}, State: stateOf(c)}
	words := []string{c.ID, c.Owner}
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		if p.Tag != "" {
			r.Tags = append(r.Tags, p.Tag)
		}
		words = append(append(words, p.Tag, p.Label), p.Aliases...)
		if r.Media == "" {
			r.Media = mediaTypes(p)
		}
		for i := range p.Medias {
			words = append(words, addresses(&p.Medias[i])...)
		}
	}
	r.words = strings.ToLower(strings.Join(words, "\n"))
	return r
}

func addresses(m *events.Media) (out []string) {
	for _, a := range []events.Ports{m.Local, m.Remote, m.Learned} {
		if a.RTP.IsValid() {
			out = append(out, a.RTP.String())
		}
		if a.RTCP.IsValid() {
			out = append(out, a.RTCP.String())
		}
	}
	if m.Advertised.IsValid() {
		out = append(out, m.Advertised.String())
	}
	return out
}

func mediaTypes(p *events.Party) string {
	var out []string
	for i := range p.Medias {
		out = append(out, p.Medias[i].Type)
	}
	return strings.Join(out, "+")
}

// stateOf says in a word or two how a live call is.
func stateOf(c *projection.Call) string {
	if c.Until != 0 {
		return "being deleted"
	}
	parties, held := 0, false
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		if p.Tag != "" {
			parties++
		}
		for i := range p.Medias {
			m := &p.Medias[i]
			held = held || m.Direction == events.SendOnly || m.Direction == events.Inactive ||
				m.Remote.RTP.IsValid() && m.Remote.RTP.Addr().IsUnspecified()
		}
	}
	switch {
	case c.Blocked || c.Dropping:
		return "blocked"
	case parties < 2:
		return "offered"
	case held:
		return "on hold"
	}
	return "answered"
}

// Matches tells whether all words of a search are somewhere in what is known of the call: call-id, tags, addresses, owner.
func (r *Row) Matches(search []string) bool {
	for _, w := range search {
		if !strings.Contains(r.words, w) {
			return false
		}
	}
	return true
}

// Words splits what somebody searches for.
func Words(search string) []string { return strings.Fields(strings.ToLower(search)) }

// Newer orders rows, the newest call first.
func Newer(a, b *Row) int {
	if c := cmp.Compare(b.Created, a.Created); c != 0 {
		return c
	}
	return cmp.Compare(a.Call, b.Call)
}

// Page is a part of the list of live calls.
type Page struct {
	Calls []*Row `json:"calls"`
	From  int    `json:"from"`  // how many stand before the first one
	Found int    `json:"found"` // how many the search finds
	Live  int    `json:"live"`  // how many calls live
}

// NewPage cuts a page out of rows that are sorted by [Newer].
func NewPage(rows []*Row, search string, from, limit int) Page {
	p := Page{Calls: []*Row{}, From: from, Live: len(rows)}
	words := Words(search)
	for _, r := range rows {
		if !r.Matches(words) {
			continue
		}
		if p.Found >= from && len(p.Calls) < limit {
			p.Calls = append(p.Calls, r)
		}
		p.Found++
	}
	return p
}

// Near finds call-ids that look like one that is not there: for a typing error, or half of a call-id.
func Near(rows []*Row, callID string, most int) []string {
	type found struct {
		id   string
		rank int
	}
	var all []found
	want := strings.ToLower(callID)
	for _, r := range rows {
		have := strings.ToLower(r.Call)
		n := common(want, have)
		switch {
		case len(want) >= 3 && strings.Contains(have, want):
			n += 1000
		case n < 3 || 2*n < len(want):
			continue
		}
		all = append(all, found{r.Call, n})
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(b.rank, a.rank) })
	out := []string{}
	for _, f := range all[:min(most, len(all))] {
		out = append(out, f.id)
	}
	return out
}

// common is how long the common beginning of two texts is.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
