package replica

import (
	"bytes"
	"slices"

	"rtpjet/events"
	"rtpjet/projection"
	"rtpjet/projection/transact"
)

// Event is an event that takes effect without the log, and Data is how the log is to get it. Envelope is decoded from Data and
// shares its bytes.
type Event struct {
	Envelope events.Envelope
	Data     []byte
}

// unlogged is what the log does not have of a call. The call is base with pending applied under pseudo sequences, which follow
// base's.
type unlogged struct {
	base    projection.Call // the call as the log has it; shares nothing with the replica's that is ever written to
	pending []Event         // oldest first, never empty outside of this file
}

// Waiting tells whether events wait for the log.
func (r *Replica) Waiting() bool { return r.unlogged != nil }

// Ours tells whether the call can be served without the log: this node has its sockets, or events of it that wait.
func (r *Replica) Ours() bool {
	return r.unlogged != nil || r.node.ServeUnlogged && r.Call.Live() && r.node.Carries(r.Call.Owner)
}

// Keepable tells whether an event may take effect without the log: one of a call that this node owns, or is to own. What a
// peer's sockets are named in needs the log.
func (r *Replica) Keepable(env events.Envelope) bool {
	if r.unlogged == nil && !r.node.ServeUnlogged {
		return false
	}
	if owner, ok := begins(env); ok {
		return r.node.Carries(owner) && !r.Call.Live()
	}
	_, moves := env.Event.(events.TakenOver)
	return !moves && r.Call.Live() && r.node.Carries(r.Call.Owner)
}

// begins tells whether an event begins a call, and whose.
func begins(env events.Envelope) (owner string, ok bool) {
	ev, ok := env.Event.(events.Offered)
	return ev.Owner, ok && ev.Owner != ""
}

// Keep puts an event into effect that the log does not have.
func (r *Replica) Keep(ev Event) Change {
	if r.unlogged == nil {
		r.unlogged = &unlogged{base: *r.Call.Snapshot()}
	}
	r.unlogged.pending = append(r.unlogged.pending, ev)
	return r.apply(r.Call.Seq+1, ev.Envelope, true)
}

// Next is the event that is to be published next, and the sequence in the log that it follows; ok is false if none waits.
func (r *Replica) Next() (ev Event, after uint64, ok bool) {
	if r.unlogged == nil {
		return Event{}, 0, false
	}
	return r.unlogged.pending[0], r.unlogged.base.Seq, true
}

// Inherit has a call go on with the events that an earlier process could not publish. batch is what was folded of the call: some
// of them may be in it.
func (r *Replica) Inherit(left []Event, batch []Entry) Change {
	u := &unlogged{base: *r.Call.Snapshot(), pending: left}
	got := 0
	for _, in := range batch {
		got += u.cut(in.Data)
	}
	r.unlogged = u
	out := r.refold()
	out.Published = left[:got]
	return out
}

// foldBase folds an event of the log into a call of which events wait. It may be the first of these, stored although the answer
// was lost; else another writer was at work.
func (r *Replica) foldBase(seq uint64, env events.Envelope, data []byte) Change {
	u := r.unlogged
	u.base.ID = env.Call
	u.base.Apply(seq, env)
	waited := u.pending
	got := u.cut(data)
	if got == 0 {
		r.touch(true)
	}
	out := r.refold()
	out.Published = waited[:got]
	return out
}

// cut takes out what an entry of the log makes superfluous of the events that wait: itself and those before it. It returns how
// many these are.
func (u *unlogged) cut(data []byte) int {
	got := 1 + slices.IndexFunc(u.pending, func(p Event) bool { return bytes.Equal(p.Data, data) })
	u.pending = u.pending[got:]
	return got
}

// refold makes a call anew from what the log has of it and from what waits. Events that do not fit any more are dropped: somebody
// else has taken the call over, ended it, or begun it anew, and the log has the last word.
func (r *Replica) refold() Change {
	u := r.unlogged
	out := Change{Was: StateOf(&r.Call)}
	before := r.Call.Locals()
	drop := 0
	for drop < len(u.pending) && !r.fits(u.pending[drop].Envelope) {
		drop++
	}
	if drop > 0 {
		out.Dropped, u.pending = u.pending[:drop], u.pending[drop:]
		r.touch(true)
	}
	r.Call = *u.base.Snapshot()
	for _, p := range u.pending {
		r.Call.ID = p.Envelope.Call
		r.Call.Apply(r.Call.Seq+1, p.Envelope)
	}
	if len(u.pending) == 0 {
		r.unlogged = nil
	}
	r.note()
	out.Free = r.without(before)
	return out
}

// fits tells whether an event of this node can follow what the log has of its call.
func (r *Replica) fits(env events.Envelope) bool {
	base := &r.unlogged.base
	if owner, ok := begins(env); ok {
		return r.node.Carries(owner) && !base.Live() && env.Gen > base.Gen
	}
	return base.Live() && base.Gen == env.Gen && r.node.Carries(base.Owner)
}

// merged are the entries of a call after a sequence: those that the log gave, and those that wait, under the pseudo sequences
// that the call has them under.
func (r *Replica) merged(after uint64, entries []transact.Entry) []transact.Entry {
	if r.unlogged == nil {
		return entries
	}
	base := r.unlogged.base.Seq
	out := slices.DeleteFunc(entries, func(e transact.Entry) bool {
		return e.Seq > base // not known yet: the publisher will find it
	})
	for i, p := range r.unlogged.pending {
		if seq := base + uint64(i) + 1; seq > after {
			out = append(out, transact.Entry{Seq: seq, Envelope: p.Envelope})
		}
	}
	return out
}
