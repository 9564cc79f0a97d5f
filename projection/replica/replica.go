package replica

import (
	"net/netip"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/relay/plan"
)

// Node is what replicas have to know of the node that they are on. It does not change.
type Node struct {
	// Carries tells whether the node has the sockets of an owner's calls at this moment. The answer may change.
	Carries func(owner string) bool
	// ServeUnlogged has events of calls that the node carries take effect while the log does not answer.
	ServeUnlogged bool
	Timeouts      projection.Timeouts
	LegSilence    int64 // µs of silence of a party after which an event tells of it; 0: none does
	KeepEnded     int64 // µs for which the events of an ended call stay in the stream of live calls
	OrphanTimeout int64 // µs for which a call lives whose owner is gone while nobody asks for it
}

// Replica is what a node has of one call. [New] makes one. It is not safe for concurrent use.
type Replica struct {
	// Call is the call as it is served: as the log has it, and with the events that wait. Only a Replica writes to it.
	Call projection.Call

	node *Node
	// unlogged is what the log does not have of the call; nil nearly always.
	unlogged *unlogged
	// unreadable is true if an event of the call could not be read: its events stay in the log.
	unreadable bool
	first      uint64
	// unrouted is true if the relay does not know yet what was folded last; fresh if some of it happened a moment ago.
	unrouted, fresh bool
	// learnFrom is the time of the signalling that learnSkew, in µs, was measured for: how far its writer's clock was behind
	// ours.
	learnFrom, learnSkew int64
	// silentAt is when a section of the call may have been silent for long enough, µs of Unix time.
	silentAt int64
}

// New makes a replica that knows nothing.
func New(n *Node) Replica { return Replica{node: n} }

// State is what there is to say of a call in one line.
type State struct {
	Live    bool
	Owner   string
	Created int64 // µs of Unix time
	Until   int64 // see projection.Call
	Parties int   // who are or were in it
}

// StateOf is that of a call.
func StateOf(c *projection.Call) State {
	return State{Live: c.Live(), Owner: c.Owner, Created: c.Created, Until: c.Until, Parties: len(c.Parties)}
}

// Change is what became of a replica.
type Change struct {
	Was State // before
	// Published are events that waited and are in the log now, Dropped those that never will be.
	Published, Dropped []Event
	// Free are sockets that the call named before and does not name any more, though the relay may never have heard of that: it
	// closes those that it has opened for the call, and what was only reserved has to be given back.
	Free []netip.AddrPort
	// Lost says that a call which lived has left the log: this node did not hear of its end.
	Lost bool
}

// Logged is the call as the log has it, as far as it is known here.
func (r *Replica) Logged() *projection.Call {
	if r.unlogged != nil {
		return &r.unlogged.base
	}
	return &r.Call
}

// Known tells whether there has ever been a call, or an entry in its place.
func (r *Replica) Known() bool { return r.Call.Gen > 0 || r.Call.Seq > 0 }

// First is the sequence of the first event that has to stay in the stream of live calls; 0 if there is none.
func (r *Replica) First() uint64 { return r.first }

// Takes tells whether an entry of the log is the next to be folded. An early one whose predecessor is not there yet comes again
// with the stream.
func (r *Replica) Takes(in Entry) bool {
	c := r.Logged()
	return in.Seq > c.Seq && (!in.Early || c.Seq == in.Prev)
}

// Fold applies an event of the log, and data is how the log has it; fresh says that it happened a moment ago. Whether it is the
// next one [Replica.Takes] tells.
func (r *Replica) Fold(seq uint64, env events.Envelope, data []byte, fresh bool) Change {
	if r.unlogged != nil {
		return r.foldBase(seq, env, data)
	}
	return r.apply(seq, env, fresh)
}

func (r *Replica) apply(seq uint64, env events.Envelope, fresh bool) Change {
	out := Change{Was: StateOf(&r.Call)}
	before := r.unseen()
	r.Call.ID = env.Call
	r.Call.Apply(seq, env)
	r.note()
	r.touch(fresh)
	out.Free = r.without(before)
	return out
}

// unseen are the sockets that the call names and the relay may not have heard of.
func (r *Replica) unseen() []netip.AddrPort {
	if !r.unrouted || !r.fresh {
		return nil
	}
	return r.Call.Locals()
}

// without are those of some sockets that the call does not name any more.
func (r *Replica) without(before []netip.AddrPort) []netip.AddrPort {
	if len(before) == 0 {
		return nil
	}
	after := r.Call.Locals()
	return slices.DeleteFunc(before, func(a netip.AddrPort) bool { return slices.Contains(after, a) })
}

// note updates what has to stay in the log.
func (r *Replica) note() {
	if !r.unreadable {
		r.first = r.Logged().First
	}
}

// touch has the relay brought in line.
func (r *Replica) touch(fresh bool) {
	r.unrouted, r.fresh = true, r.fresh || fresh
}

// Unreadable passes over an entry of the log that cannot be read. The call's events stay in the log from now on.
func (r *Replica) Unreadable(seq uint64) Change {
	c := r.Logged()
	c.Seq = seq
	if !r.unreadable && c.First == 0 {
		r.first = seq
	}
	r.unreadable = true
	if r.unlogged != nil {
		return r.refold()
	}
	return Change{Was: StateOf(c)}
}

// Lose resets a call whose entries have left the stream: it ended, and was retired by somebody else. Its subject begins anew
// after sequence last. now is the time in µs of Unix time.
func (r *Replica) Lose(last uint64, now int64) Change {
	out := Change{Was: StateOf(&r.Call)}
	c, before := r.Logged(), r.unseen()
	lost := c.Live()
	if lost {
		c.Ended, c.EndedAt = true, now
	}
	c.Seq = last
	if lost || r.unlogged != nil {
		r.touch(true)
	}
	if r.unlogged != nil {
		out = r.refold()
	} else {
		out.Free = r.without(before)
	}
	out.Lost = lost
	return out
}

// Unrouted tells whether the relay has to be brought in line with the call: once for all that was folded, so that it sees the
// outcome of several events and nothing in between. [Replica.Routed] says that this was done.
func (r *Replica) Unrouted() bool { return r.unrouted }

// Fresh tells whether some of what the relay does not know happened a moment ago.
func (r *Replica) Fresh() bool { return r.fresh }

// Routed notes that the relay has been brought in line with the call.
func (r *Replica) Routed() { r.unrouted, r.fresh = false, false }

// Routes are the streams that the call wants of the relay. What another node wrote a moment ago (fresh) has the time of that
// node's clock; the time for learning counts from now, µs of Unix time.
func (r *Replica) Routes(def projection.RouteDefaults, now int64, fresh bool) []plan.Stream {
	streams := r.Call.Routes(def, now)
	if fresh && r.learnFrom != r.Call.LastSignal {
		r.learnFrom, r.learnSkew = r.Call.LastSignal, now-r.Call.LastSignal
	}
	for i := range streams {
		streams[i].LearnUntil += r.learnSkew
	}
	return streams
}
