package sim

import (
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
)

// folds tells whether a bug is one of the fold.
func (b bug) folds() bool { return b >= bugAtOnce && b <= bugHoldAtOnce }

// fold is how all nodes, and the log, fold an event: as projection does, but for a bug of it that is planted.
func (w *world) fold(c *projection.Call, seq uint64, env events.Envelope) {
	if seq <= c.Seq {
		return
	}
	switch ev := env.Event.(type) {
	case events.Offered:
		if w.bug == bugAtOnce {
			ev.Pending = false
			env.Event = ev
		}
		c.Apply(seq, env)
		w.spoilOffer(c, ev)
		return
	case events.TakenOver:
		if w.bug == bugForgetOffers {
			ev.Proposals = nil
			env.Event = ev
		}
	case events.Answered:
		c.Apply(seq, env)
		w.spoilAnswer(c, ev)
		return
	}
	c.Apply(seq, env)
}

func (w *world) spoilOffer(c *projection.Call, ev events.Offered) {
	switch {
	case !ev.Pending || !c.Live():
	case w.bug == bugSettled:
		for i, p := range c.Parties {
			c.Parties[i] = changed(p, func(m *events.Media, _ int) { m.Proposed = 0 })
		}
	case w.bug == bugLastOffer:
		c.Proposals = c.Proposals[max(len(c.Proposals)-1, 0):]
	case w.bug == bugCloseEarly:
		c.Proposals = slices.Clone(c.Proposals)
		for i := range c.Proposals {
			c.Proposals[i].Pending = false
		}
	case w.bug == bugHoldAtOnce:
		for i := range ev.Parties {
			offered := ev.Parties[i].Medias
			if ev.Parties[i].ID != ev.From {
				continue
			}
			c.Parties[ev.From] = changed(c.Party(ev.From), func(m *events.Media, k int) { m.Direction = offered[k].Direction })
		}
	}
}

func (w *world) spoilAnswer(c *projection.Call, ev events.Answered) {
	switch {
	case !c.Live():
	case w.bug == bugOneAnswer:
		c.Proposals = nil
	case w.bug == bugForkTakes:
		from := c.Party(ev.From)
		c.Parties[ev.To] = changed(c.Party(ev.To), func(m *events.Media, k int) {
			m.Rejected = m.Rejected || k < len(from.Medias) && from.Medias[k].Rejected
		})
	}
}

// changed is a party with sections that are changed.
func changed(p *events.Party, f func(m *events.Media, i int)) *events.Party {
	if p == nil {
		return nil
	}
	q := *p
	q.Medias = slices.Clone(p.Medias)
	for i := range q.Medias {
		f(&q.Medias[i], i)
	}
	return &q
}
