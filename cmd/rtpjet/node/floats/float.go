package floats

import (
	"context"
	"sync/atomic"

	"rtpjet/events"
	"rtpjet/projection/floats"
	"rtpjet/relay/plan"
)

// Float is one floating address as this node has it: one address of each interface and family. They move together, since a call may
// have sockets on several of them. Its methods look without a lock, and are safe for concurrent use.
type Float struct {
	id, owner string
	own       *plan.Interfaces // nil: this node cannot hold it

	holding   atomic.Bool            // this node is the holder
	keep      atomic.Bool            // the calls have to be ready here
	holder    atomic.Pointer[string] // who holds it now, as far as can be seen; empty: nobody
	successor atomic.Pointer[string]
	acquired  atomic.Int64 // when this node became the holder, µs of Unix time
	vacant    atomic.Int64 // since when nobody holds it, µs since the driver's start; 0: somebody does
	settled   atomic.Pointer[chan struct{}]
	table     atomic.Pointer[plan.Interfaces]

	// Under mu of the driver.
	state  floats.State
	fresh  bool // sockets that are open are of an earlier time as the holder
	record floats.Record
	rev    uint64

	wakeCalls chan struct{}
}

func newFloat(id string, now int64) *Float {
	f := &Float{id: id, owner: events.Owner{Kind: events.OwnerFloat, Name: id}.String(), wakeCalls: make(chan struct{}, 1)}
	none, settled := "", make(chan struct{})
	f.holder.Store(&none)
	f.successor.Store(&none)
	f.settled.Store(&settled)
	f.vacant.Store(now)
	return f
}

// ID names the float in the cluster.
func (f *Float) ID() string { return f.id }

// Owner is the float's text in events, as the owner of calls.
func (f *Float) Owner() string { return f.owner }

// Own are the float's addresses if this node can hold it, or else nil.
func (f *Float) Own() *plan.Interfaces { return f.own }

// Interfaces are the float's media addresses, nil as long as they are not known.
func (f *Float) Interfaces() *plan.Interfaces { return f.table.Load() }

// Holding tells whether this node holds the float.
func (f *Float) Holding() bool { return f.holding.Load() }

// Warm tells whether the sockets of the float's calls have to be open here: this node holds it, or may have to.
func (f *Float) Warm() bool { return f.keep.Load() || f.holding.Load() }

// Holder is the node that holds the float as far as can be seen from here; empty: nobody.
func (f *Float) Holder() string { return *f.holder.Load() }

// Successor is the node that has the float's calls warm, and is to hold it next; empty: none.
func (f *Float) Successor() string { return *f.successor.Load() }

// Since is when this node became the holder last, µs of Unix time; 0 if it never did.
func (f *Float) Since() int64 { return f.acquired.Load() }

// Settled tells whether this node, the holder since a moment ago, knows which ports are in use.
func (f *Float) Settled() bool {
	select {
	case <-*f.settled.Load():
		return true
	default:
		return false
	}
}

// Settle waits until the float is settled; false if ctx ends first.
func (f *Float) Settle(ctx context.Context) bool {
	select {
	case <-*f.settled.Load():
		return true
	case <-ctx.Done():
		return false
	}
}
