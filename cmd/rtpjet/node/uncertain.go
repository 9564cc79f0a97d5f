package node

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"rtpjet/projection/replica"
)

// uncertain are sockets that an event in the log may name, see [replica.Grants]. It is safe for concurrent use: peers ask for
// sockets while somebody holds the call.
type uncertain struct {
	mu     sync.Mutex
	grants replica.Grants
	num    atomic.Int64 // of decisions, for a look without mu
}

func (u *uncertain) locked(f func(*replica.Grants)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.grants)
	u.num.Store(int64(u.grants.Len()))
}

// add holds the sockets of a decision; from until on, µs of Unix time, nobody can be at work on it any more.
func (u *uncertain) add(key string, ports []netip.AddrPort, until int64) {
	u.locked(func(g *replica.Grants) { g.Add(key, ports, until) })
}

// adopted notes that sockets belong to the call now, or did a moment ago.
func (u *uncertain) adopted(key string, locals []netip.AddrPort) {
	if u.num.Load() == 0 {
		return
	}
	u.locked(func(g *replica.Grants) { g.Adopted(key, locals) })
}

// remove takes out what was given for one decision on a call, and returns it.
func (u *uncertain) remove(key string, ports []netip.AddrPort) (found []netip.AddrPort) {
	u.locked(func(g *replica.Grants) { found = g.Return(key, ports) })
	return found
}

// due returns the calls that have something here whose time is over.
func (u *uncertain) due(now int64) (keys []string) {
	u.locked(func(g *replica.Grants) { keys = g.Due(now) })
	return keys
}

// settled takes out the sockets of a call whose time was over at now.
func (u *uncertain) settled(key string, now int64) (free []netip.AddrPort) {
	u.locked(func(g *replica.Grants) { free = g.Settle(key, now) })
	return free
}

// settle asks the log about the decisions whose time is over, and gives back the sockets that no event names. While the log
// does not answer, they wait.
func (s sweeper) settle(ctx context.Context) {
	now := s.now()
	for _, key := range s.uncertain.due(now) {
		if !s.settleOne(ctx, key, now) {
			return
		}
	}
}

func (s sweeper) settleOne(ctx context.Context, key string, now int64) bool {
	ctx, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	e := s.acquire(key, true)
	defer s.release(e)
	if err := s.catchUp(ctx, e); err != nil {
		return false
	}
	s.bring(e) // what the log named is adopted now
	s.engine.Release(s.uncertain.settled(key, now)...)
	return true
}
