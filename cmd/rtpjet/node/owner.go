package node

import (
	"context"
	"time"

	"rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/cmd/rtpjet/node/peers"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// owners resolves who owns calls, as it stands for this node. It is safe for concurrent use.
type owners struct {
	self          string            // the node's id
	interfaces    *plan.Interfaces  // its media addresses
	peers         *peers.Membership // nil: the node is alone
	floats        *floats.Driver    // nil likewise
	orphanTimeout time.Duration
}

// ownerHere is an owner of calls as it stands for this node now. What is different for a node, for a floating address and for an
// owner in another region is decided in its methods and nowhere else. It is safe for concurrent use.
type ownerHere struct {
	events.Owner
	by    *owners
	float *floats.Float // nil: it is no floating address, or one that this node has not heard of
}

// of finds an owner by its text in events.
func (w *owners) of(text string) ownerHere {
	o := ownerHere{Owner: events.ParseOwner(text), by: w}
	if id, ok := o.Float(); ok {
		o.float = w.floats.Float(id)
	}
	return o
}

// carries, opensFor, carrier and judge are what [ownerHere] says of an owner that is given by its text.
func (w *owners) carries(owner string) bool          { return w.of(owner).carries() }
func (w *owners) opensFor(owner string) bool         { return w.of(owner).opensFor() }
func (w *owners) carrier(owner string) string        { return w.of(owner).carrier() }
func (w *owners) judge(owner string) members.Verdict { return w.of(owner).judge() }

// judgeNode says how a node of this region is.
func (w *owners) judgeNode(id string) members.Verdict {
	switch {
	case id == w.self:
		return members.Alive
	case w.peers == nil:
		return members.Silent
	}
	return w.peers.Judge(id)
}

// carries tells whether the owner's calls are this node's at the moment: its own, or those of a float that it holds.
func (o ownerHere) carries() bool {
	if o.float != nil {
		return o.float.Holding()
	}
	return o.Kind == events.OwnerNode && o.Name == o.by.self
}

// opensFor tells whether the sockets of the owner's calls have to be open here: where it is carried, and where it may have to be.
func (o ownerHere) opensFor() bool { return o.carries() || o.float != nil && o.float.Warm() }

// carrier returns the node that carries the owner's calls; empty if nobody does at the moment, as of an owner in a region that is
// lost.
func (o ownerHere) carrier() string {
	switch {
	case o.Kind == events.OwnerNode:
		return o.Name
	case o.float == nil:
		return ""
	case o.float.Holding():
		return o.by.self
	}
	return o.float.Holder()
}

// successor returns the node that keeps the owner's calls warm; empty if there is none.
func (o ownerHere) successor() string {
	if o.float == nil {
		return ""
	}
	return o.float.Successor()
}

// floating tells whether the owner may have another carrier in a moment.
func (o ownerHere) floating() bool { return o.float != nil }

// leased tells whether the owner has a lease of its own, by which it can be fenced. A float's holder is fenced by those who let
// another one have it.
func (o ownerHere) leased() bool { return o.Kind == events.OwnerNode }

// since is when this node became the holder of the owner's calls, µs of Unix time; 0 if it is no float's.
func (o ownerHere) since() int64 {
	if o.float == nil {
		return 0
	}
	return o.float.Since()
}

// judge says how the owner is.
func (o ownerHere) judge() members.Verdict {
	switch {
	case o.Kind == events.OwnerForeign: // its calls were adopted, for it is lost
		return members.Gone
	case o.Kind == events.OwnerNode:
		return o.by.judgeNode(o.Name)
	case o.float == nil:
		return members.Silent
	}
	return o.by.floats.Judge(o.float)
}

// goneFor tells for how long the owner has been gone, and whether it is. The node must be in a cluster.
func (o ownerHere) goneFor() (time.Duration, bool) {
	switch {
	case o.Kind == events.OwnerForeign: // long enough to be ended as an orphan
		return o.by.orphanTimeout, true
	case o.Kind == events.OwnerNode:
		return o.by.peers.GoneFor(o.Name)
	case o.float == nil:
		return 0, false
	}
	return o.by.floats.GoneFor(o.float)
}

// caretaker tells whether this node looks after a call that the owner has left, given by its key, and for how long the owner has been
// gone. The node must be in a cluster.
func (o ownerHere) caretaker(key string) (gone time.Duration, ok bool) {
	if gone, ok = o.goneFor(); !ok {
		return 0, false
	}
	return gone, o.by.peers.Caretaker(key)
}

// cutOff tells whether the owner's carrier relays, but has been silent on NATS for longer than it is worth to wait for. A float between
// two holders is waited for.
func (o ownerHere) cutOff() bool {
	if o.by.peers == nil {
		return true
	}
	carrier := o.carrier()
	return carrier != "" && o.by.peers.CutOff(carrier)
}

// interfaces returns the owner's media addresses, nil if they are not known.
func (o ownerHere) interfaces() *plan.Interfaces {
	switch {
	case o.float != nil:
		return o.float.Interfaces()
	case o.Kind != events.OwnerNode:
		return nil
	case o.Name == o.by.self:
		return o.by.interfaces
	case o.by.peers == nil:
		return nil
	}
	return o.by.peers.Interfaces(o.Name)
}

// settled tells whether this node, which carries the owner's calls, knows which of its ports are in use.
func (o ownerHere) settled() bool { return o.float == nil || o.float.Settled() }

// settle waits until settled is true; false if ctx ends first.
func (o ownerHere) settle(ctx context.Context) bool { return o.float == nil || o.float.Settle(ctx) }
