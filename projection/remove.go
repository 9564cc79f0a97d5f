package projection

import (
	"slices"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
)

// DecideDelete decides a delete command. The event is nil if nothing matches. defaultDelay is in seconds.
func DecideDelete(c *Call, req *ng.Request, defaultDelay int, now int64) events.Event {
	if !c.Live() {
		return nil
	}
	var ids []int // none: the whole call
	if req.FromTag != "" {
		p := deleteTarget(c, req)
		if p == nil {
			return nil
		}
		ids = cascade(c, p.ID)
	}
	delay := req.DeleteDelay
	if delay < 0 {
		delay = max(defaultDelay, 0)
	}
	switch {
	case delay > 0:
		return events.DeletionScheduled{Parties: ids, At: now + int64(delay)*1_000_000}
	case ids == nil:
		return events.Ended{Reason: events.ReasonDeleted}
	}
	return events.PartiesRemoved{Parties: ids}
}

func deleteTarget(c *Call, req *ng.Request) *events.Party {
	honoured := req.ToTagFlag && req.ToTag != ""
	branch := c.ByBranch(req.ViaBranch)
	if !honoured && branch != nil {
		return branch
	}
	tag := req.FromTag
	if honoured {
		tag = req.ToTag
	}
	if p := c.ByTag(tag); p != nil {
		return p
	}
	if branch != nil {
		return branch
	}
	if req.ToTag != "" {
		if p := c.ByTag(req.FromTag); p != nil {
			if q := c.Peer(p); q != nil && q.Tag == "" {
				return p
			}
		}
	}
	return nil
}

// cascade returns the parties that go with one: those left without anybody else to talk to. It is nil if nobody remains
// who talks to somebody: then the whole call goes.
func cascade(c *Call, id int) []int {
	gone := []int{id}
	for _, p := range c.Parties {
		if p == nil || p.ID == id || !associated(c, p.ID, id) {
			continue
		}
		if !slices.ContainsFunc(c.Parties, func(q *events.Party) bool {
			return q != nil && q.ID != id && associated(c, p.ID, q.ID)
		}) {
			gone = append(gone, p.ID)
		}
	}
	if !talk(c, func(id int) bool { return slices.Contains(gone, id) }) {
		return nil
	}
	slices.Sort(gone)
	return gone
}

func associated(c *Call, a, b int) bool {
	p, q := c.Party(a), c.Party(b)
	return p != nil && q != nil && a != b && (slices.Contains(p.Peers, b) || slices.Contains(q.Peers, a))
}

// DecideDue returns the event for a deletion whose time has come, or nil.
func DecideDue(c *Call, now int64) events.Event {
	if !c.Live() {
		return nil
	}
	if c.DeleteAt != 0 && c.DeleteAt <= now {
		return events.Ended{Reason: events.ReasonDeleted}
	}
	var ids []int
	for _, p := range c.Parties {
		if p == nil {
			continue
		}
		if at, ok := c.PartyDeleteAt[p.ID]; ok && at <= now {
			ids = append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if talk(c, func(id int) bool { return slices.Contains(ids, id) }) {
		return events.PartiesRemoved{Parties: ids}
	}
	return events.Ended{Reason: events.ReasonDeleted}
}

// talk tells whether anybody but those who are gone talks to somebody who is not.
func talk(c *Call, gone func(id int) bool) bool {
	for _, p := range c.Parties {
		if p == nil || gone(p.ID) {
			continue
		}
		for _, q := range c.Parties {
			if q != nil && !gone(q.ID) && associated(c, p.ID, q.ID) {
				return true
			}
		}
	}
	return false
}

// leaving tells whether a party is to be removed, itself or with the whole call.
func (c *Call) leaving(id int) bool {
	_, ok := c.PartyDeleteAt[id]
	return ok || c.DeleteAt != 0
}

// noteUntil notes at what time the last two who talk to each other, or the whole call, were deleted; at is that of the event
// that has just changed who that is.
func (c *Call) noteUntil(at int64) {
	switch {
	case c.DeleteAt == 0 && (len(c.PartyDeleteAt) == 0 || talk(c, c.leaving)):
		c.Until = 0
	case c.Until == 0:
		c.Until = at
	}
}
