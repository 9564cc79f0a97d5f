package projection

import (
	"cmp"
	"slices"

	"rtpjet/events"
)

// Apply folds one event. It must see every event of the call's subject in stream order; an event at or before c.Seq, or
// one that does not fit the state (of an ended call, of an older signalling), changes nothing but c.Seq. It never fails.
func (c *Call) Apply(seq uint64, e events.Envelope) {
	if seq <= c.Seq {
		return
	}
	c.Seq = seq
	defer c.remember(seq, e)
	switch ev := e.Event.(type) {
	case events.Offered:
		c.applySignalling(seq, e, ev.Signalling, true)
	case events.Answered:
		c.applySignalling(seq, e, ev.Signalling, false)
	case events.Unknown:
		c.Unknown++
	case events.Ended:
		if c.Gen == 0 { // a reader that starts may pass over what led to an end
			*c = Call{ID: e.Call, Gen: e.Gen, First: seq, Seq: seq, Ended: true, EndedAt: e.At, Until: ev.Until, Unknown: c.Unknown}
			return
		}
	}
	if !c.Live() || e.Gen != c.Gen {
		return
	}
	switch ev := e.Event.(type) {
	case events.EndpointLearned:
		c.applyLearned(ev)
	case events.MediaBlocked:
		c.applyBlocked(ev)
	case events.DeletionScheduled:
		c.applyScheduled(ev)
		c.noteUntil(e.At)
	case events.PartiesRemoved:
		c.remove(ev.Parties)
		c.noteUntil(e.At)
	case events.TakenOver:
		c.applyTakenOver(ev)
	case events.RolledOver:
		c.applyRolled(ev, e.At)
	case events.LegSilent:
		c.applySilent(ev)
	case events.Ended:
		*c = Call{
			ID: c.ID, Gen: c.Gen, First: c.First, Seq: seq, Ended: true, EndedAt: e.At, Until: cmp.Or(ev.Until, c.Until), Owner: c.Owner,
			Commands: c.Commands, Unknown: c.Unknown,
		}
	}
}

// remember notes where the reply to the latest command stands.
func (c *Call) remember(seq uint64, e events.Envelope) {
	if e.Cause != nil && e.Gen == c.Gen {
		copy(c.Commands[1:], c.Commands[:])
		c.Commands[0] = CommandMark{events.ShortDigest(e.Cause.Cookie), seq}
	}
}

// applyTakenOver gives the call its new owner. Requests before it may be repeated, and must then lead to an SDP with the new
// sockets.
func (c *Call) applyTakenOver(ev events.TakenOver) {
	if ev.Epoch != c.Epoch+1 {
		return
	}
	c.Owner, c.Epoch, c.OwnedSince = ev.Owner, ev.Epoch, c.Seq
	c.LastRequest, c.LastRequestSeq = 0, 0
	c.Proposals = ev.Proposals
	for i := range ev.Parties {
		if p := &ev.Parties[i]; c.Party(p.ID) != nil {
			c.Parties[p.ID] = p
		}
	}
}

func (c *Call) applySignalling(seq uint64, e events.Envelope, s events.Signalling, offer bool) {
	// A new call under this call-id. It may be of a lower generation than the ended one that we still know: a node that had
	// forgotten that counts from 1 again.
	if e.Gen > c.Gen || s.Owner != "" {
		if !offer {
			return
		}
		*c = Call{
			ID: e.Call, Gen: e.Gen, First: seq, Seq: seq, Owner: s.Owner, Epoch: 1, OwnedSince: seq, Created: e.At, TOS: -1,
			Unknown: c.Unknown,
		}
	}
	if !c.Live() || e.Gen != c.Gen {
		return
	}
	c.LastSignal = e.At
	c.LastRequest, c.LastRequestSeq = s.Request, seq
	if !offer {
		c.LastFinal = s.Final
	}
	if s.TOS != nil {
		c.TOS = max(*s.TOS, -1)
	}
	if s.DropTraffic != nil {
		c.Dropping = *s.DropTraffic
	}
	if s.Metadata != "" {
		c.Metadata = s.Metadata
	}
	odd := func(p events.Party) bool { return p.ID < 0 || p.ID > len(c.Parties)+len(s.Parties) } // no decision makes such an id
	if slices.ContainsFunc(s.Parties, odd) {
		s.Parties = slices.DeleteFunc(slices.Clone(s.Parties), odd)
	}
	if offer {
		c.noteOffer(e.At, &s)
	}
	if offer && s.Pending {
		c.propose(&s)
	} else {
		for i := range s.Parties {
			c.setParty(&s.Parties[i])
		}
		c.stopHearing(s.From, s.To)
		c.stopHearing(s.To, s.From)
	}
	if !offer {
		c.noteAnswer(&s)
	}
	c.DeleteAt = 0 // any signalling keeps the call
	c.noteUntil(e.At)
	c.forgetSilences()
}

// setParty puts a party in its place.
func (c *Call) setParty(p *events.Party) {
	for p.ID >= len(c.Parties) {
		c.Parties = append(c.Parties, nil)
	}
	if p.Label != "" {
		c.dropLabel(p.Label, p.ID)
	}
	c.Parties[p.ID] = p
	delete(c.PartyDeleteAt, p.ID)
}

// dropLabel takes a label from whoever has it but keep: labels are unique in a call, the last wins.
func (c *Call) dropLabel(label string, keep int) {
	if q := c.ByLabel(label); q != nil && q.ID != keep {
		r := cloneParty(q)
		r.Label = ""
		c.Parties[q.ID] = r
	}
}

func (c *Call) applyLearned(ev events.EndpointLearned) {
	p := c.Party(ev.Party)
	if p == nil || ev.Media < 0 || ev.Media >= len(p.Medias) || p.Medias[ev.Media].Signal != ev.Signal {
		return
	}
	q := cloneParty(p)
	m := &q.Medias[ev.Media]
	if ev.RTCP {
		m.Learned.RTCP, m.Confirmed[1] = ev.Remote, ev.Confirmed
	} else {
		m.Learned.RTP, m.Confirmed[0] = ev.Remote, ev.Confirmed
		m.Former = nil
	}
	c.Parties[ev.Party] = q
}

func (c *Call) applyBlocked(ev events.MediaBlocked) {
	ids := ev.Parties
	if len(ids) == 0 {
		if ev.Media != nil {
			c.Blocked = *ev.Media
		}
		if ev.DTMF != nil {
			c.BlockedDTMF = *ev.DTMF
		}
		for id := range c.Parties {
			if ev.All {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range ids {
		p := c.Party(id)
		if p == nil {
			continue
		}
		q := cloneParty(p)
		for i := range q.Medias {
			if ev.Media != nil {
				q.Medias[i].Blocked = *ev.Media
			}
			if ev.DTMF != nil {
				q.Medias[i].BlockedDTMF = *ev.DTMF
			}
		}
		c.Parties[id] = q
	}
}

func (c *Call) applyScheduled(ev events.DeletionScheduled) {
	if len(ev.Parties) == 0 {
		c.DeleteAt = ev.At
		return
	}
	if c.PartyDeleteAt == nil {
		c.PartyDeleteAt = make(map[int]int64, len(ev.Parties))
	}
	for _, id := range ev.Parties {
		if c.Party(id) != nil {
			c.PartyDeleteAt[id] = ev.At
		}
	}
}

func (c *Call) remove(ids []int) {
	for _, id := range ids {
		if c.Party(id) == nil {
			continue
		}
		c.Parties[id] = nil
		delete(c.PartyDeleteAt, id)
		c.stopHearing(id)
		c.forgetProposals(id)
	}
}
