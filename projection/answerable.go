package projection

import (
	"slices"
	"strings"

	"rtpjet/events"
)

// base gives both parties of an offer the sections that it starts from: those that an answer has settled. What only offers have
// brought lends its sockets at most, and is gone if the new offer has no such section.
func (d *mediaDecision) base(sender, receiver *events.Party, sections int) {
	n := max(len(sender.Medias), len(receiver.Medias))
	fresh := func(p *events.Party, i int) bool {
		return i >= len(p.Medias) || p.Medias[i].Proposed == events.ProposedNew
	}
	for n > sections && fresh(sender, n-1) && fresh(receiver, n-1) {
		n--
	}
	for _, p := range []*events.Party{sender, receiver} {
		p.Medias = p.Medias[:min(n, len(p.Medias))]
		accept(p.Medias)
	}
}

// accept takes sections as they will be once they are answered.
func accept(medias []events.Media) {
	for i := range medias {
		medias[i].Proposed = 0
	}
}

// answerable finds the offer that an SDP answers and gives both parties the sections that the answer is about: those of the offer,
// with what has happened to them since. It returns the sections of the SDP, and the number of the offer, 0 if there is none: then the
// answer is measured against what is in force.
func (d *mediaDecision) answerable(c *Call, sender, receiver *events.Party) (secs []Section, number int) {
	for i, p := range d.candidates(c, sender, receiver) {
		medias := c.since(p, sender.ID)
		if secs = joinTwins(&d.Signal, medias); i > 0 && !fits(secs, medias) {
			continue
		}
		if repeats(p, secs) {
			d.repeated = true
			return secs, p.Number // and both parties have what is in force
		}
		number = p.Number
		sender.Medias, receiver.Medias = medias, c.since(p, receiver.ID)
		if i > 0 || fits(secs, medias) {
			return secs, number
		}
	}
	if number == 0 {
		c.unoffered(sender, receiver)
	}
	return joinTwins(&d.Signal, sender.Medias), number
}

// candidates are the offers that an SDP may answer. Mostly there is one, and NG does not say which. Of two, the first of a dialogue and
// a later one, an answer is to the one of its transaction, if the commands name that (via-branch); else to the first if it comes
// from a branch that the later one was not about; else to the later one, but if that is answered already, and the answer fits
// the first alone, it is another answer to that.
func (d *mediaDecision) candidates(c *Call, sender, receiver *events.Party) (found []*events.Proposal) {
	for i := range c.Proposals {
		p := &c.Proposals[i]
		over := p.Answered && p.Number < c.Offers && p.Branch != "" && d.Req.ViaBranch != "" && p.Branch != d.Req.ViaBranch
		if p.From == receiver.ID && p.To == sender.ID && !over { // over: the answer is one more to a later offer, which is settled
			found = append(found, p)
		}
	}
	before := c.Party(sender.ID)
	other := before != nil && before.Tag != "" && before.Tag != sender.Tag && !slices.Contains(before.Aliases, sender.Tag)
	slices.SortStableFunc(found, func(a, b *events.Proposal) int {
		if d.Req.ViaBranch != "" && (a.Branch == d.Req.ViaBranch) != (b.Branch == d.Req.ViaBranch) {
			return ordered(a.Branch == d.Req.ViaBranch)
		}
		return ordered(a.Number < b.Number == other)
	})
	if len(found) > 1 && !other && !found[0].Answered {
		found = found[:1]
	}
	return found
}

func ordered(first bool) int {
	if first {
		return -1
	}
	return 1
}

// unoffered gives both parties the sections of an answer of somebody whom we have offered nothing: a branch that only a proxy behind us
// knows. It has seen what another one was offered, or else what the receiver has.
func (c *Call) unoffered(sender, receiver *events.Party) {
	if len(sender.Medias) == 0 {
		sender.Medias = slices.Clone(receiver.Medias)
		for i := range sender.Medias {
			sender.Medias[i].Offered = nil
		}
		for i := range c.Proposals {
			if p := &c.Proposals[i]; p.From == receiver.ID {
				sender.Medias, receiver.Medias = c.since(p, p.To), c.since(p, receiver.ID)
			}
		}
		for i := range sender.Medias {
			sender.Medias[i] = asOffered(&sender.Medias[i])
		}
	}
	accept(sender.Medias)
	accept(receiver.Medias)
}

// asOffered is what an SDP has said of a section, without what belongs to the party that got it.
func asOffered(m *events.Media) events.Media {
	return events.Media{
		Type: m.Type, Protocol: m.Protocol, Formats: m.Formats, Mid: m.Mid, Hidden: m.Hidden, Rejected: m.Rejected, Place: m.Place,
		Offered: m.Offered, Stripped: m.Stripped, MuxSent: m.MuxSent, EndToEnd: m.EndToEnd, Recrypt: m.Recrypt, Twin: m.Twin, SRTP: m.SRTP,
	}
}

// fits tells whether an answer with these sections can be one to an offer of those.
func fits(secs []Section, medias []events.Media) bool {
	known := Order(medias)
	if len(secs) != len(known) {
		return false
	}
	for i := range secs {
		sec, m := &secs[i], &medias[known[i]]
		if !strings.EqualFold(sec.Type, m.Type) {
			return false
		}
		if sec.Rejected || !sec.RTP || len(m.Offered) == 0 {
			continue
		}
		if m.Rejected || slices.ContainsFunc(sec.Codecs, func(a events.Codec) bool {
			return !slices.ContainsFunc(m.Offered, func(o events.Codec) bool { return codecAccepts(o, a, false) })
		}) {
			return false
		}
	}
	return true
}

// since are the sections of one of the two parties of an offer, with what has happened to them since.
func (c *Call) since(p *events.Proposal, id int) []events.Media {
	now := mediasOf(c.Party(id))
	list := p.Side(id)
	if list == nil {
		list = now
	}
	out := slices.Clone(list)
	accept(out)
	for i := range min(len(out), len(now)) {
		catchUp(&out[i], &now[i], p.Pending, id == p.From)
	}
	return out
}

// catchUp brings a section of an offer up to what the party's section is now. open: the sockets of the offer are still there.
func catchUp(m, now *events.Media, open, offerer bool) {
	m.Signal = max(m.Signal, now.Signal)
	m.Blocked, m.BlockedDTMF = now.Blocked, now.BlockedDTMF
	if !open && m.Local.RTP != now.Local.RTP {
		m.Interface, m.Advertised, m.Local, m.Serves, m.Earlier, m.Told = now.Interface, now.Advertised, now.Local, now.Serves, now.Earlier, now.Told
	}
	if m.Local.RTP == now.Local.RTP {
		m.Told = m.Told || now.Told
		if !now.Local.RTCP.IsValid() {
			m.Local.RTCP = now.Local.RTCP
		}
	}
	switch learned := now.Learned; {
	case m.Remote.RTP == now.Remote.RTP:
		m.Learned, m.Confirmed, m.Former = learned, now.Confirmed, now.Former
	case learned != (events.Ports{}) && m.Learned == (events.Ports{}):
		m.Former = &learned
	}
	if offerer && now.SRTP != nil { // a key that we have given in an answer stays
		was := now.Keys()
		k := m.Keys()
		k.Sent, k.In, k.Out = was.Sent, was.In, was.Out
		m.SetKeys(k)
	}
}

// keepForForks gives the receiver of an answer back the sections that this answerer refuses and others may accept, or have
// accepted: what one says binds no other. after is as the answer would have it.
func (c *Call) keepForForks(after *events.Party, answerer int) []events.Media {
	before := c.Party(after.ID)
	if before == nil {
		return after.Medias
	}
	out := slices.Clone(after.Medias)
	for i := range out {
		if !out[i].Rejected || i >= len(before.Medias) || before.Medias[i].Rejected {
			continue
		}
		if slices.ContainsFunc(before.Peers, func(id int) bool {
			q := c.Party(id)
			return id != answerer && q != nil && i < len(q.Medias) && !q.Medias[i].Rejected && q.Medias[i].Local.RTP.IsValid()
		}) {
			out[i] = before.Medias[i]
		}
	}
	return out
}
