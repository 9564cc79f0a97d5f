package replica

import (
	"maps"
	"net/netip"
	"slices"
)

// Grants are sockets of this node that an event in the log may name: those of decisions whose append was not answered, and those
// that were given to a peer. They are given back only when the log has said what it holds; another call must not get them before.
// Those that a call has adopted are no longer here: they may be closed and given out again before the log is asked.
//
// They are apart from the replicas since peers ask for sockets, and give them back, while somebody holds the call. The zero Grants
// has none. It is not safe for concurrent use.
type Grants struct {
	calls map[string][]grant // by the key of the call
	num   int
}

// grant are the sockets of one decision.
type grant struct {
	ports []netip.AddrPort
	until int64 // nobody can be at work on the decision any more, µs of Unix time
}

// Len is how many decisions have sockets here.
func (g *Grants) Len() int { return g.num }

// Add holds the sockets of a decision on a call. From until on, µs of Unix time, nobody can be at work on it any more.
func (g *Grants) Add(key string, ports []netip.AddrPort, until int64) {
	if g.calls == nil {
		g.calls = make(map[string][]grant)
	}
	g.calls[key] = append(g.calls[key], grant{slices.Clone(ports), until})
	g.num++
}

// filter takes out what a call has here and drop says yes to.
func (g *Grants) filter(key string, drop func(*grant) bool) {
	before := g.calls[key]
	if len(before) == 0 {
		return // a node that has just begun is told of sockets that the process before it gave
	}
	after := before[:0]
	for _, h := range before {
		if !drop(&h) {
			after = append(after, h)
		}
	}
	clear(before[len(after):])
	g.num += len(after) - len(before)
	if g.calls[key] = after; len(after) == 0 {
		delete(g.calls, key)
	}
}

// Adopted notes that sockets belong to the call now, or did and were given back since. What else was given for the same decision
// stays: another event may have taken it from the call again before the relay knew of it.
func (g *Grants) Adopted(key string, locals []netip.AddrPort) {
	g.filter(key, func(h *grant) bool {
		h.ports = slices.DeleteFunc(h.ports, func(p netip.AddrPort) bool { return slices.Contains(locals, p) })
		return len(h.ports) == 0
	})
}

// Return takes out what was given for one decision on a call, and returns it: the peer that asked did not need it.
func (g *Grants) Return(key string, ports []netip.AddrPort) (found []netip.AddrPort) {
	g.filter(key, func(h *grant) bool {
		hit := slices.ContainsFunc(h.ports, func(p netip.AddrPort) bool { return slices.Contains(ports, p) })
		if hit {
			found = append(found, h.ports...)
		}
		return hit
	})
	return found
}

// Due returns the calls that have something here whose time is over, in the order of their keys.
func (g *Grants) Due(now int64) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(g.calls)) {
		if slices.ContainsFunc(g.calls[key], func(h grant) bool { return now >= h.until }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Settle takes out the sockets of a call whose time was over at now, and returns them. The log has said what it holds, and what
// it names is adopted.
func (g *Grants) Settle(key string, now int64) (free []netip.AddrPort) {
	g.filter(key, func(h *grant) bool {
		over := now >= h.until
		if over {
			free = append(free, h.ports...)
		}
		return over
	})
	return free
}
