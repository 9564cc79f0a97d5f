package replica

import (
	"net/netip"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// Care is how a call is looked after on this node, as its owner stands. The zero Care is: not at all.
type Care struct {
	// Carried says that this node has the owner's sockets, since Since if that is not 0, µs of Unix time: what the node before
	// it has received is not known here. Stats are what the sockets have counted, beginning no earlier than Counting.
	Carried  bool
	Since    int64
	Counting int64
	Stats    func(netip.AddrPort) (plan.Stats, bool)
	// Silences allows for events that tell of a silence.
	Silences bool

	// Caretaker says that the owner is gone, for Gone µs, and that of all nodes this one ends its calls.
	Caretaker bool
	Gone      int64
}

// Due returns the event that time demands of a live call, nil if there is none. now is in µs of Unix time.
func (r *Replica) Due(now int64, care Care) events.Event {
	switch {
	case !r.Call.Live():
		return nil
	case care.Carried:
		if ev := r.over(now, care); ev != nil {
			return ev
		}
		return r.silent(now, care)
	case care.Caretaker:
		return r.orphaned(now, care)
	}
	return nil
}

// over ends a call whose time is over, or removes parties whose is.
func (r *Replica) over(now int64, care Care) events.Event {
	if ev := projection.DecideDue(&r.Call, now); ev != nil {
		return ev
	}
	reason, over := r.Call.Timeout(r.node.Timeouts, func(l netip.AddrPort) int64 {
		st, _ := care.Stats(l)
		return max(st.LastPacket, care.Since)
	}, now)
	if !over {
		return nil
	}
	return events.Ended{Reason: reason}
}

// silent tells of a section that has fallen silent. Signalling may have changed who is expected to speak, but nobody before the
// limit is over.
func (r *Replica) silent(now int64, care Care) events.Event {
	limit := r.node.LegSilence
	if !care.Silences || limit <= 0 || now < r.silentAt && now > r.silentAt-2*limit { // or the clock was set back
		return nil
	}
	ev, again, ok := r.Call.DueSilence(limit, max(care.Counting, care.Since), care.Stats, now)
	r.silentAt = again
	if !ok {
		return nil
	}
	return ev
}

// orphaned ends a call whose owner is gone and that nobody has asked for since, or that was to be deleted.
func (r *Replica) orphaned(now int64, care Care) events.Event {
	if ev := projection.DecideDue(&r.Call, now); ev != nil {
		return ev
	}
	if limit := r.node.OrphanTimeout; care.Gone < limit || now-r.Call.LastSignal < limit {
		return nil
	}
	return events.Ended{Reason: events.ReasonOrphaned}
}

// Over tells whether the call ended long enough ago for its events to leave the stream of live calls. One with events that
// cannot be read, or that wait for the log, stays.
func (r *Replica) Over(now int64) bool {
	return r.Call.Ended && now-r.Call.EndedAt >= r.node.KeepEnded && !r.unreadable && r.unlogged == nil
}

// Forgettable tells whether a call that was over with the entry last may leave memory: nothing has happened since, and every entry
// up to followed is known here. A stream that is late would bring the call back.
func (r *Replica) Forgettable(last, followed uint64) bool {
	return r.Call.Ended && r.unlogged == nil && r.Call.Seq == last && followed >= last
}
