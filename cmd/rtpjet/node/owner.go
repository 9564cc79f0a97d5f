package node

import (
	"context"
	"time"

	"rtpjet/cmd/rtpjet/node/floats"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/relay/plan"
)

// ownerHere is an owner of calls as it stands for this node now. What is different for a node, for a floating address and for an
// owner in another region is decided in its methods and nowhere else. It is safe for concurrent use, like the node.
type ownerHere struct {
	events.Owner
	n     *Node
	float *floats.Float // nil: it is no floating address, or one that this node has not heard of
}

// owner finds an owner by its text in events.
func (n *Node) owner(text string) ownerHere {
	o := ownerHere{Owner: events.ParseOwner(text), n: n}
	if id, ok := o.Float(); ok {
		o.float = n.floats.Float(id)
	}
	return o
}

// carries, keeps, carrier, successor and judge are what [ownerHere] says of an owner that is given by its text.
func (n *Node) carries(owner string) bool          { return n.owner(owner).carries() }
func (n *Node) keeps(owner string) bool            { return n.owner(owner).keeps() }
func (n *Node) carrier(owner string) string        { return n.owner(owner).carrier() }
func (n *Node) successor(owner string) string      { return n.owner(owner).successor() }
func (n *Node) judge(owner string) members.Verdict { return n.owner(owner).judge() }

// carries tells whether the owner's calls are this node's at the moment: its own, or those of a float that it holds.
func (o ownerHere) carries() bool {
	if o.float != nil {
		return o.float.Holding()
	}
	return o.Kind == events.OwnerNode && o.Name == o.n.id
}

// keeps tells whether the sockets of the owner's calls have to be open here: where it is carried, and where it may have to be.
func (o ownerHere) keeps() bool { return o.carries() || o.float != nil && o.float.Warm() }

// carrier returns the node that carries the owner's calls; empty if nobody does at the moment, as of an owner in a region that is
// lost.
func (o ownerHere) carrier() string {
	switch {
	case o.Kind == events.OwnerNode:
		return o.Name
	case o.float == nil:
		return ""
	case o.float.Holding():
		return o.n.id
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
		return o.n.judgeNode(o.Name)
	case o.float == nil:
		return members.Silent
	}
	return o.n.floats.Judge(o.float)
}

// goneFor tells for how long the owner has been gone, and whether it is. The node must be in a cluster.
func (o ownerHere) goneFor() (time.Duration, bool) {
	switch {
	case o.Kind == events.OwnerForeign: // long enough to be ended as an orphan
		return o.n.cfg.OrphanTimeout, true
	case o.Kind == events.OwnerNode:
		return o.n.cluster.goneFor(o.Name)
	case o.float == nil:
		return 0, false
	}
	return o.n.floats.GoneFor(o.float)
}

// interfaces returns the owner's media addresses, nil if they are not known.
func (o ownerHere) interfaces() *plan.Interfaces {
	switch {
	case o.float != nil:
		return o.float.Interfaces()
	case o.Kind != events.OwnerNode:
		return nil
	case o.Name == o.n.id:
		return o.n.cfg.Interfaces
	case o.n.cluster == nil:
		return nil
	}
	return o.n.cluster.interfaces(o.Name)
}

// settled tells whether this node, which carries the owner's calls, knows which of its ports are in use.
func (o ownerHere) settled() bool { return o.float == nil || o.float.Settled() }

// settle waits until settled is true; false if ctx ends first.
func (o ownerHere) settle(ctx context.Context) bool { return o.float == nil || o.float.Settle(ctx) }
