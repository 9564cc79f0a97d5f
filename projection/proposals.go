package projection

import (
	"slices"

	"rtpjet/events"
)

// An offer is a proposal (RFC 3264 §8.3.1): until it is answered, what the last answer has settled stays in force, and nothing
// tells us that it was refused. So the fold keeps offers beside the parties, in Call.Proposals, and an answer is measured against
// the offer that it answers, whatever other offers and other answers have done meanwhile.
//
//	in force   Call.Parties: the sections that an answer has settled. Those that only an offer has brought are there too, marked as
//	           proposed, since their media may come before any answer (RFC 3264 §5.1); the next offer begins without them.
//	proposed   Call.Proposals: for two parties the last offer of each, and the one that began their dialogue as long as other answers
//	           to it may come (forks, RFC 3261 §13.2.2.4; an UPDATE before the final answer, RFC 3311).
//
// The sockets of proposals are open: whoever has accepted sends to them before we hear of it.

// earlyDialogue is how long after the first offer an answer to it may follow a later offer, in µs: INVITE transactions end sooner
// (timer C, RFC 3261 §16.6).
const earlyDialogue = 300_000_000

// propose folds an offer that is pending: of the parties only what no answer has settled changes.
func (c *Call) propose(s *events.Signalling) {
	for i := range s.Parties {
		p := s.Parties[i]
		var was []events.Media
		if q := c.Party(p.ID); q != nil {
			was = q.Medias
		}
		p.Medias = whilePending(was, p.Medias)
		c.setParty(&p)
	}
}

// whilePending are the sections of a party while an offer waits for its answer.
func whilePending(was, offered []events.Media) []events.Media {
	out := make([]events.Media, 0, max(len(was), len(offered)))
	for i := range max(len(was), len(offered)) {
		if i >= len(offered) {
			if was[i].Proposed == 0 {
				out = append(out, was[i])
			}
			continue
		}
		m := offered[i]
		switch {
		case i >= len(was) || was[i].Type == "":
			m.Proposed = events.ProposedNew
		case was[i].Proposed != 0:
			m.Proposed = was[i].Proposed
		case was[i].Rejected && !m.Rejected:
			m.Proposed = events.ProposedAgain
		default:
			dtmf := m.BlockedDTMF // a flag of the offer that takes effect at once
			m = was[i]
			m.BlockedDTMF = m.BlockedDTMF || dtmf
		}
		out = append(out, m)
	}
	return out
}

// noteOffer keeps an offer for its answers. It has to see the parties as they were before it. Of the earlier offers between the
// two parties, the first stays as long as it may be answered again, and one of the other party that nobody has answered.
func (c *Call) noteOffer(at int64, s *events.Signalling) {
	c.Offers++
	from, to := s.Party(s.From), s.Party(s.To)
	if from == nil || to == nil {
		return
	}
	var first *events.Proposal
	kept := make([]events.Proposal, 0, len(c.Proposals)+1)
	for _, p := range c.Proposals {
		switch {
		case !between(&p, s.From, s.To):
			kept = append(kept, p)
		case at-p.At > earlyDialogue:
		case p.First && (p.Answered || p.From != s.From):
			if p.FromMedias == nil && p.ToMedias == nil { // they change now
				p.FromMedias, p.ToMedias = mediasOf(c.Party(p.From)), mediasOf(c.Party(p.To))
			}
			first = &p
			kept = append(kept, p)
		case !p.Answered && p.From != s.From: // the two cross (RFC 3261 §14.1), and nobody says which of them is refused
			kept = append(kept, p)
		}
	}
	c.Proposals = append(kept, events.Proposal{
		Number: c.Offers, At: at, Branch: s.Branch, From: s.From, To: s.To, FromMedias: from.Medias, ToMedias: to.Medias,
		Pending: s.Pending, First: first == nil,
	})
}

func mediasOf(p *events.Party) []events.Media {
	if p == nil {
		return nil
	}
	return p.Medias
}

// between tells whether an offer was made by one of two parties to the other.
func between(p *events.Proposal, a, b int) bool {
	return p.From == a && p.To == b || p.From == b && p.To == a
}

// noteAnswer notes that an offer was answered. It has to see the parties as they are after it. A final answer is the last one
// between the two, but for that to an INVITE whose offer came before, and that to an UPDATE whose offer came after (RFC 3311 §5.1);
// others may follow any other.
func (c *Call) noteAnswer(s *events.Signalling) {
	last, branch := 0, ""
	for i := range c.Proposals {
		p := &c.Proposals[i]
		if p.From == s.To && p.To == s.From && (s.Answers == 0 || p.Number == s.Answers) {
			last, branch = p.Number, p.Branch
		}
	}
	kept := make([]events.Proposal, 0, len(c.Proposals))
	for _, p := range c.Proposals {
		if !between(&p, s.From, s.To) {
			kept = append(kept, p)
			continue
		}
		other := p.Branch != "" && branch != "" && p.Branch != branch
		invite := other && p.First && p.Answered && p.Number < last
		waits := other && !p.Answered && p.Number > last
		if s.Final && !invite && !waits {
			continue
		}
		if p.Number == last {
			if !p.Answered && p.First {
				p.Said = saidBy(mediasOf(c.Party(p.To)))
			}
			p.Answered = true
			if sameAsInForce(p.FromMedias, mediasOf(c.Party(p.From))) && sameAsInForce(p.ToMedias, mediasOf(c.Party(p.To))) {
				p.FromMedias, p.ToMedias = nil, nil
			}
		}
		p.Outdated = p.Outdated || p.Answered && p.Number < last
		kept = append(kept, p)
	}
	c.Proposals = kept
}

// sameAsInForce tells whether an answer has taken nothing away that another answer to the same offer would need.
func sameAsInForce(offered, inForce []events.Media) bool {
	return slices.EqualFunc(offered, inForce, func(o, m events.Media) bool {
		return o.Type == m.Type && o.Rejected == m.Rejected && o.Hidden == m.Hidden && o.Place == m.Place && o.Local.RTP == m.Local.RTP &&
			o.SRTP == nil && m.SRTP == nil && len(o.Offered) <= len(m.Offered) && (len(o.Codecs) == 0 || slices.Equal(o.Codecs, m.Codecs))
	})
}

// forgetProposals drops the offers of and to a party that has left.
func (c *Call) forgetProposals(id int) {
	if slices.ContainsFunc(c.Proposals, func(p events.Proposal) bool { return p.From == id || p.To == id }) {
		c.Proposals = slices.DeleteFunc(slices.Clone(c.Proposals), func(p events.Proposal) bool { return p.From == id || p.To == id })
	}
}

// WouldBe calls f with each section of a party that an offer which nobody has answered would change, as it would be.
func (c *Call) WouldBe(id int, f func(i int, p *events.Proposal, m *events.Media)) {
	now := mediasOf(c.Party(id))
	for k := range c.Proposals {
		p := &c.Proposals[k]
		if !p.Pending || p.Answered {
			continue
		}
		list := p.Side(id)
		for i := range list {
			if i >= len(now) || now[i].Proposed == 0 {
				f(i, p, &list[i])
			}
		}
	}
}

// eachProposed calls f with each section of a party's offers whose sockets are open.
func (c *Call) eachProposed(id int, f func(i int, m *events.Media)) {
	for k := range c.Proposals {
		p := &c.Proposals[k]
		if !p.Pending {
			continue
		}
		list := p.Side(id)
		for i := range list {
			f(i, &list[i])
		}
	}
}

// eachPorts calls f with the sockets of a section, and with those that it had for other addresses of the other side.
func eachPorts(m *events.Media, f func(events.Ports)) {
	if m.Local.RTP.IsValid() {
		f(m.Local)
	}
	for i := range m.Earlier {
		f(m.Earlier[i].Local)
	}
}
