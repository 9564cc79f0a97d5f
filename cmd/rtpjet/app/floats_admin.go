package app

import (
	"context"
	"maps"
	"slices"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/events"
)

// handingOver returns a context for the node's work that ends a moment after ctx: when the floats of this node have moved, or
// it is plain that they cannot.
func (n *Node) handingOver(ctx context.Context) (context.Context, context.CancelFunc) {
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer end()
		n.stage.Store(stageEnding)
		if n.floats != nil {
			hctx, cancel := context.WithTimeout(work, handOverTime)
			defer cancel()
			n.floats.handOver(hctx)
		}
	})
	return work, func() { stop(); end() }
}

// held returns the floats that this node holds.
func (f *floatState) held() []*unit {
	var out []*unit
	for _, u := range f.known() {
		if u.holding.Load() {
			out = append(out, u)
		}
	}
	return out
}

// handOver gives all floats of this node to others; calls go on there. It returns when it holds none, or ctx ends.
func (f *floatState) handOver(ctx context.Context) (left int) {
	f.setDraining(true)
	for _, u := range f.held() {
		if _, err := f.beginMove(ctx, u.id, ""); err != nil && u.holding.Load() {
			f.log.Warn("a float cannot be given to another node", "float", u.id, "err", err)
			return len(f.held())
		}
	}
	f.wait(ctx, func() bool { return len(f.held()) == 0 })
	return len(f.held())
}

func (f *floatState) setDraining(on bool) {
	f.mu.Lock()
	f.drain = on
	f.mu.Unlock()
	f.tell(func(k *keeper.Keeper) error { return k.Drain(on) })
}

// beginMove begins to give a float to another node, and returns to which.
func (f *floatState) beginMove(ctx context.Context, id, to string) (target string, err error) {
	f.mu.Lock()
	k := f.keeper
	f.mu.Unlock()
	if k == nil {
		return "", keeper.ErrEnded
	}
	return k.Move(ctx, id, to)
}

// Move implements [admin.Server].
func (o operators) Move(ctx context.Context, req admin.MoveRequest) admin.Reply {
	ctx, cancel := context.WithTimeout(ctx, admin.MoveTime)
	defer cancel()
	n := o.c.n
	target, err := n.floats.beginMove(ctx, req.Float, req.To)
	if err != nil {
		return replyOf(0, err)
	}
	owner := events.Owner{Kind: events.OwnerFloat, Name: req.Float}.String()
	calls := n.gauge(owner).Load()
	if !n.floats.wait(ctx, func() bool { now := n.carrier(owner); return now != "" && now != n.id }) {
		return admin.Reply{Error: "the float has not moved yet: node " + target + " is not ready; see rtpjet float list, and the log of both nodes"}
	}
	return admin.Reply{Calls: int(calls), Node: n.carrier(owner)}
}

// status tells of all floats, in the order of their names.
func (f *floatState) status() []admin.FloatStatus {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []admin.FloatStatus
	for _, id := range slices.Sorted(maps.Keys(f.known())) {
		u := f.unitLocked(id)
		s := u.state
		st := admin.FloatStatus{
			Float: id, Epoch: s.Epoch, Holder: *u.holder.Load(), Successor: s.Successor, Holding: u.holding.Load(),
			Warm: s.Warm, Moves: s.Moves, Calls: f.n.gauge(u.owner).Load(),
		}
		if st.Holding {
			st.Why, st.Silence, st.Since = s.Why, s.Silence, u.acquired.Load()
		}
		if t := u.table.Load(); t != nil {
			for _, i := range t.All() {
				st.Addresses = append(st.Addresses, i.Name+"/"+i.Addr.String())
			}
		}
		out = append(out, st)
	}
	return out
}
