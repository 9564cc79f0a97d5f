package floats

import "slices"

// adopt has this node stand by the newest claim of a peer that is there, if it may let go of the one by which it stands now.
func (m *Machine) adopt(f *float, now int64) {
	var best *View
	var node string
	var by *peer
	for id, q := range m.peers {
		v := q.pulse.view(f.id)
		if v == nil || !q.pulse.claims(v) || m.gone(q, now) {
			continue
		}
		if best == nil || v.Epoch > best.Epoch || v.Epoch == best.Epoch && id < node {
			best, node, by = v, id, q
		}
	}
	if best == nil || f.epoch == best.Epoch && f.holder == node && f.run == by.run && f.released == "" {
		return
	}
	again := f.holder == node && f.epoch <= best.Epoch && (f.run == by.run || f.run == 0)
	if !again && !m.free(f, node, best, now) {
		return
	}
	f.epoch, f.holder, f.run, f.successor, f.released = best.Epoch, node, by.run, best.Successor, ""
	f.until, f.target, f.forced, f.freeSince = 0, "", false, 0
	m.urgent = true // the claimant waits for it
}

// gone tells whether the newest known process of a peer is not there any more.
func (m *Machine) gone(q *peer, now int64) bool {
	return q.count == 0 || now-q.heard >= m.cfg.Silence || q.refused > q.heard
}

// free tells whether this node may stand by another claim to the float than the present one: nobody can have authority by that
// one with this node's help. v is the claim, nil for one of this node's own.
func (m *Machine) free(f *float, claimant string, v *View, now int64) bool {
	if now-m.started < youngFor*m.cfg.Silence {
		return false // the process before this one may have promised something
	}
	switch {
	case f.holder == "" || f.epoch == 0 || f.released == Anybody || f.released == claimant:
		return true
	case v != nil && v.Consent && v.Epoch == f.epoch+1:
		return true // the holder has let go already; its own word has not reached us yet
	case f.holder == m.cfg.Self:
		return f.run != m.cfg.Run || f.until <= now && now-f.claimed >= m.cfg.Silence
	}
	q := m.peers[f.holder]
	switch {
	case q == nil || q.count == 0:
		return true // it was not heard since this process began, which is longer ago than Silence
	case m.gone(q, now):
		return true
	case q.run != f.run && f.run != 0:
		return true // that process is no more
	}
	own := q.pulse.view(f.id)
	return own == nil || !q.pulse.claims(own) // it does not say that it holds it
}

// renew works out until when this node has authority over a float that it claims.
func (m *Machine) renew(f *float, now int64) {
	voters, need, sure := m.quorum(now)
	at := []int64{now} // when the newest pulse was made that each voter has heard
	for _, id := range voters {
		q := m.peers[id]
		if id == m.cfg.Self || q == nil {
			continue
		}
		v := q.pulse.view(f.id)
		if v == nil || v.Epoch != f.epoch || v.Holder != m.cfg.Self || v.Run != m.cfg.Run || q.acked < f.from {
			continue
		}
		if heard := m.sentAt(q.acked); heard > 0 {
			at = append(at, heard)
		}
	}
	slices.SortFunc(at, func(a, b int64) int { return int(b - a) })
	if len(at) >= need {
		if f.until == 0 && f.lostAt > 0 {
			f.silence = now - f.lostAt
		}
		f.until = max(f.until, min(at[need-1], sure)+m.cfg.Hold)
	}
	if since := max(f.until, f.claimed); now-since >= claimFor*m.cfg.Silence {
		m.Release(f.id, Anybody, now) // somebody else may be luckier
	}
}

// quorum returns the voters that count, how many of them decide, and when that was last sure. A process that has been refused
// for longer than Silence does not count: all that it ever promised is over, and one that starts promises nothing for a while.
func (m *Machine) quorum(now int64) (voters []string, need int, sure int64) {
	sure = now
	for _, id := range m.voters {
		if q := m.peers[id]; id != m.cfg.Self && q != nil && q.refused > q.heard && q.refused-q.refusedSince >= m.cfg.Silence &&
			now-q.refused < m.cfg.Hold {
			sure = min(sure, q.refused)
			continue
		}
		voters = append(voters, id)
	}
	return voters, len(voters)/2 + 1, sure
}

// claimIfFree claims a float that nobody holds, if it is this node's turn.
func (m *Machine) claimIfFree(f *float, now int64) {
	if !f.carry || !m.free(f, m.cfg.Self, nil, now) || !m.connected(now) {
		f.freeSince = 0
		return
	}
	if f.freeSince == 0 {
		f.freeSince = now
	}
	if now-f.freeSince < int64(m.candidacy(f, now))*claimFor*m.cfg.Silence {
		return
	}
	f.why, f.lostAt, f.silence = m.why(f, now), 0, 0
	if q := m.peers[f.holder]; q != nil && q.count > 0 && f.released == "" {
		f.lostAt = q.heard
	}
	next := max(f.epoch, f.seen) + 1
	f.consent = f.released == m.cfg.Self && next == f.epoch+1
	f.epoch, f.seen = next, next
	f.holder, f.run, f.successor, f.released = m.cfg.Self, m.cfg.Run, "", ""
	f.claimed, f.from, f.until, f.freeSince = now, m.count+1, 0, 0
	m.urgent = true
	m.nameSuccessor(f, now)
	m.renew(f, now) // alone, or of those that are left
}

// connected tells whether enough voters are there to agree to a claim of this node.
func (m *Machine) connected(now int64) bool {
	voters, need, _ := m.quorum(now)
	n := 0
	for _, id := range voters {
		if q := m.peers[id]; id == m.cfg.Self || q != nil && !m.gone(q, now) {
			n++
		}
	}
	return n >= need
}

// candidacy is this node's place among those that could claim a float: its named successor first, then all others, each float
// in another order. Nodes that drain come last.
func (m *Machine) candidacy(f *float, now int64) int {
	var nodes []string
	for _, id := range m.alive(f, now, m.cfg.Silence) {
		if id != f.holder || id == m.cfg.Self {
			nodes = append(nodes, id)
		}
	}
	if len(nodes) == 0 {
		return 0
	}
	first := f.successor
	if f.released != "" && f.released != Anybody {
		first = f.released
	}
	turn := max(0, slices.Index(m.order, f.id)) % len(nodes)
	rank := func(id string) int {
		at := (slices.Index(nodes, id) + len(nodes) - turn) % len(nodes)
		if id == first {
			at = -1
		}
		if m.drains(id) {
			at += 2 * len(nodes)
		}
		return at
	}
	place := 0
	for _, id := range nodes {
		if rank(id) < rank(m.cfg.Self) {
			place++
		}
	}
	return place
}

func (m *Machine) drains(id string) bool {
	if id == m.cfg.Self {
		return m.draining
	}
	q := m.peers[id]
	return q != nil && q.pulse.Draining
}

// alive returns the nodes that can hold a float and were heard within a time, this one among them, by name.
func (m *Machine) alive(f *float, now, within int64) []string {
	var nodes []string
	if f.carry {
		nodes = append(nodes, m.cfg.Self)
	}
	for id, q := range m.peers {
		if v := q.pulse.view(f.id); v != nil && v.Carry && now-q.heard < within && q.refused <= q.heard {
			nodes = append(nodes, id)
		}
	}
	slices.Sort(nodes)
	return nodes
}
