package floats

import (
	"context"
	"time"

	"rtpjet/projection/floats"
)

// vacated are the states of all floats when no keeper knows of them.
func (d *Driver) vacated() []floats.State {
	var out []floats.State
	for id := range d.Known() {
		out = append(out, floats.State{Float: id})
	}
	return out
}

// see takes in how all floats stand.
func (d *Driver) see(states []floats.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	news := false
	for _, s := range states {
		f := d.floatLocked(s.Float)
		news = d.note(f, s) || news
		if f.own != nil {
			d.settleLocked(f, s)
		}
	}
	if news {
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// note keeps what everybody else in this node wants to know of a float. It tells whether something has changed.
func (d *Driver) note(f *Float, s floats.State) (news bool) {
	holder := ""
	if s.Live || s.Hold {
		holder = s.Holder
	}
	if f.Holder() != holder {
		f.holder.Store(&holder)
		news = true
	}
	if f.Successor() != s.Successor {
		f.successor.Store(&s.Successor)
		news = true
	}
	switch {
	case holder != "":
		f.vacant.Store(0)
	case f.vacant.Load() == 0:
		f.vacant.Store(max(d.now(), 1))
	}
	news = news || s != f.state
	f.state = s
	return news
}

// settleLocked does what the state of one float demands of this node.
func (d *Driver) settleLocked(f *Float, s floats.State) {
	mine := s.Holder == d.cfg.Node
	if s.Hold && !f.Holding() {
		d.acquiredLocked(f, s)
	}
	if f.Holding() && !mine {
		f.holding.Store(false)
		f.fresh = true
		d.log.Warn("this node no longer holds a float", "float", f.id, "holder", s.Holder, "epoch", s.Epoch, "calls", d.host.Calls(f.owner))
		wake(f.wakeCalls)
	}
	if keep := s.Keep || s.Hold || mine; keep != f.keep.Load() {
		f.keep.Store(keep)
		wake(f.wakeCalls)
	}
	if s.Hold && !(floats.Record{Epoch: s.Epoch, Holder: s.Holder, Successor: s.Successor}).Same(f.record) {
		wake(d.records)
	}
}

// acquiredLocked makes this node the holder. New ports are given out only when it is known which are in use.
func (d *Driver) acquiredLocked(f *Float, s floats.State) {
	settled := make(chan struct{})
	f.settled.Store(&settled)
	f.acquired.Store(d.cfg.Clock().UnixMicro())
	f.holding.Store(true)
	d.log.Warn("this node holds a float now", "float", f.id, "why", s.Why, "epoch", s.Epoch, "before", f.record.Holder, "ready", s.Warm,
		"calls", d.host.Calls(f.owner))
	if d.cfg.Moved != nil {
		d.cfg.Moved(f.id, s.Why, time.Duration(s.Silence)*time.Microsecond)
	}
	go d.settle(f, settled)
}

// settle waits until this node has folded all that was written before it became the holder.
func (d *Driver) settle(f *Float, settled chan struct{}) {
	defer close(settled)
	ctx, cancel := context.WithTimeout(context.Background(), goneAfter)
	defer cancel()
	if err := d.host.CatchUp(ctx, f.Holding); err != nil {
		d.log.Warn("the end of the log is not known; new calls of a float may find ports in use", "float", f.id, "err", err)
	}
}

// attendCalls opens the sockets of a float's calls, or closes them, as the float's state wants, until ctx ends.
func (d *Driver) attendCalls(ctx context.Context, f *Float) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wakeCalls:
		}
		if !d.host.Relaying() {
			continue // the end of the backlog brings all calls into effect, and wakes us
		}
		d.mu.Lock()
		fresh, keep := f.fresh, f.keep.Load()
		f.fresh = false
		d.mu.Unlock()
		d.host.Attend(ctx, f.owner, fresh)
		if ctx.Err() != nil {
			return
		}
		d.mu.Lock()
		done := keep == f.keep.Load() && !f.fresh
		d.mu.Unlock()
		if done {
			d.toKeeper(func(k Keeper) error { return k.Warm(f.id, keep) })
		} else {
			wake(f.wakeCalls)
		}
	}
}

// Wait returns true when done says yes, and false when ctx ends. It is asked whenever a float has changed.
func (d *Driver) Wait(ctx context.Context, done func() bool) bool {
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if done() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}
