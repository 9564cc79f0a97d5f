package relay

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// permit says until when the streams of a floating address may carry packets. There is one for each such address, and every
// stream on it points there: whoever takes an address over stores one number, however many calls there are.
type permit struct {
	until *atomic.Int64  // as monotonic counts; 0: not
	life  *atomic.Uint32 // of whoever writes until; nil: it needs nobody
}

// ownerDied is what the kernel marks a sign of life with, FUTEX_OWNER_DIED.
const ownerDied = 0x40000000

// dead tells whether a sign of life says that nobody is there.
func dead(life uint32) bool { return life == 0 || life&ownerDied != 0 }

// started is when this process began, and startedAt the same as monotonic counts.
var started, startedAt = time.Now(), clockMonotonic()

// monotonic is CLOCK_MONOTONIC in ns: a clock that nobody sets, that goes on while a process is stopped, and that all processes
// of the machine share.
func monotonic() int64 { return int64(time.Since(started)) + startedAt }

// Permit implements Engine.
func (e *Sockets) Permit(until time.Time, addrs ...netip.Addr) {
	// No clock is read here: who was stopped since until was worked out must not add that time to it.
	deadline := int64(0)
	if d := until.Sub(started); d > 0 {
		deadline = int64(d) + startedAt
	}
	for _, a := range addrs {
		if p := e.pools[a]; p != nil && p.permit != nil {
			p.permit.until.Store(deadline)
		}
	}
}

// permitted tells whether s may carry a packet at this very moment. The time of the batch will not do: a process may be stopped
// in the middle of it and go on when the address has long been with another node.
func (h *shard) permitted(s *stream) bool {
	if s.permit == nil {
		return true
	}
	until := s.permit.until.Load()
	if s.permit.life != nil && dead(s.permit.life.Load()) {
		return false
	}
	return h.mono() < until // the clock comes last: a stop before it is noticed
}
