package floats

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of Move.
var (
	ErrNotHolder = errors.New("this node does not hold the float")
	ErrNoTarget  = errors.New("no other node can hold the float")
)

// nameSuccessor chooses who is to follow: the same node as long as it is there, else the one with the least to do.
func (m *Machine) nameSuccessor(f *float, now int64) {
	switch {
	case f.target == "" || f.target == Anybody:
	case slices.Contains(m.alive(f, now, successorBy*m.cfg.Silence), f.target):
		f.successor = f.target
		return
	default:
		f.target, f.forced = "", false
	}
	best := ""
	for _, id := range m.alive(f, now, successorBy*m.cfg.Silence) {
		switch {
		case id == m.cfg.Self || m.drains(id):
		case id == f.successor:
			return
		case best == "" || m.burden(id, f) < m.burden(best, f):
			best = id
		}
	}
	f.successor = best
}

// burden is how much a node has to do with other floats than f.
func (m *Machine) burden(id string, f *float) int {
	n := 0
	for _, g := range m.floats {
		if g == f || g.released != "" {
			continue
		}
		if g.holder == id {
			n += 2
		}
		if g.successor == id {
			n++
		}
	}
	return n
}

// ready tells whether a node keeps all calls of a float of this node warm.
func (m *Machine) ready(f *float, id string, now int64) bool {
	q := m.peers[id]
	if q == nil || m.gone(q, now) {
		return false
	}
	v := q.pulse.view(f.id)
	return v != nil && v.Warm && v.Epoch == f.epoch && v.Holder == m.cfg.Self && v.Run == m.cfg.Run && v.Successor == id
}

// Move begins to give a float to another node, as soon as that keeps its calls warm. to may be empty: the one with the least
// to do.
func (m *Machine) Move(id, to string, now int64) (target string, err error) {
	f := m.floats[id]
	if f == nil || !m.mine(f) || f.until <= now {
		return "", ErrNotHolder
	}
	can := slices.DeleteFunc(m.alive(f, now, m.cfg.Silence), func(n string) bool {
		return n == m.cfg.Self || to == "" && m.drains(n)
	})
	switch {
	case to == "" && len(can) == 0:
		return "", ErrNoTarget
	case to == "" && slices.Contains(can, f.successor):
		to = f.successor
	case to == "":
		to = slices.MinFunc(can, func(a, b string) int { return m.burden(a, f) - m.burden(b, f) })
	case !slices.Contains(can, to):
		return "", fmt.Errorf("%w: node %s is not there, or does not have it among its --float", ErrNoTarget, to)
	}
	f.target, f.forced, f.successor = to, false, to
	m.urgent = true
	return to, nil
}

// balance gives one float to a node that has been there for a while and holds two less than this one.
func (m *Machine) balance(now int64) {
	if m.cfg.Balance == 0 || now-m.balanced < m.cfg.Balance {
		return
	}
	m.balanced = now
	held := make(map[string]int)
	for _, f := range m.floats {
		if f.target != "" || f.released != "" || f.holder == "" {
			return // something is under way
		}
		held[f.holder]++
	}
	for _, id := range m.order {
		f := m.floats[id]
		if !m.mine(f) || f.until <= now {
			continue
		}
		for _, to := range m.alive(f, now, m.cfg.Silence) {
			if to != m.cfg.Self && !m.drains(to) && held[to] <= held[m.cfg.Self]-2 && now-m.peers[to].first >= m.cfg.Settle {
				f.target, f.successor = to, to
				return
			}
		}
	}
}

// mediaCut gives floats away whose holder is heard by NATS only, while others hear each other on the media network: its own
// link is the one that is cut.
func (m *Machine) mediaCut(now int64) {
	heard := func(a *peer, node string) bool { // whether a hears node by UDP
		return slices.ContainsFunc(a.pulse.Acks, func(k Ack) bool { return k.Node == node && k.UDP })
	}
	others := make(map[string]*peer)
	for _, id := range m.voters {
		if q := m.peers[id]; id != m.cfg.Self && q != nil && !m.gone(q, now) {
			if m.recent(q.path[UDP], now) || q.path[UDP] == 0 || heard(q, m.cfg.Self) || now-q.first < youngFor*m.cfg.Silence {
				return
			}
			others[id] = q
		}
	}
	for _, id := range m.order {
		f := m.floats[id]
		if !m.mine(f) || f.until <= now || f.forced {
			continue
		}
		for _, to := range append([]string{f.successor}, m.alive(f, now, m.cfg.Silence)...) {
			q := others[to]
			if q == nil || to == m.cfg.Self {
				continue
			}
			for id, w := range others {
				if id != to && heard(w, to) && heard(q, id) {
					f.target, f.successor, f.forced = to, to, true
					m.urgent = true
				}
			}
			if f.forced {
				break
			}
		}
	}
}

// Suspend gives all floats up at once, ready or not, and has this node hold none until Ready is called again: it cannot serve
// calls now.
func (m *Machine) Suspend(now int64) {
	m.able = false
	for _, id := range m.order {
		f := m.floats[id]
		f.carry, f.warm = false, false
		m.giveUp(f, now)
	}
}

// giveUp has a float of this node released, whether its successor is ready or not.
func (m *Machine) giveUp(f *float, now int64) {
	if !m.mine(f) {
		return
	}
	f.target, f.forced = Anybody, true
	if slices.Contains(m.alive(f, now, m.cfg.Silence), f.successor) {
		f.target = f.successor
	}
	m.urgent = true
}
