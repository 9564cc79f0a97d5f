package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/embed"
)

// moveRequest asks the holder of a float to give it to another node.
type moveRequest struct {
	Float string `json:"float"` // its id
	To    string `json:"to"`    // empty: the node with the least to do
}

// moveTime bounds a planned move, for which the other node may have to open all sockets first.
const moveTime = 20 * time.Second

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

// serveMove moves a float, and answers when another node holds it.
func (c *cluster) serveMove(ctx context.Context, m embed.Msg) {
	var req moveRequest
	if err := json.Unmarshal(m.Data, &req); err != nil {
		respond(m, adminReply{Error: err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, moveTime)
	defer cancel()
	target, err := c.n.floats.beginMove(ctx, req.Float, req.To)
	if err != nil {
		respond(m, adminReply{Error: err.Error()})
		return
	}
	owner := floatOwner(req.Float)
	calls := c.n.gauge(owner).Load()
	if !c.n.floats.wait(ctx, func() bool { now := c.n.carrier(owner); return now != "" && now != c.n.id }) {
		respond(m, adminReply{Error: "the float has not moved yet: node " + target + " is not ready; see rtpjet float list, and the log of both nodes"})
		return
	}
	respond(m, adminReply{Calls: int(calls), Node: c.n.carrier(owner)})
}

// FloatStatus is how a node sees one float.
type FloatStatus struct {
	Float     string   `json:"float"`
	Addresses []string `json:"addresses,omitempty"`
	Epoch     uint64   `json:"epoch"`
	Holder    string   `json:"holder"`
	Successor string   `json:"successor"`
	Holding   bool     `json:"holding"` // this node holds it
	Warm      bool     `json:"warm"`    // this node has its calls ready
	Moves     string   `json:"moves,omitempty"`
	Calls     int64    `json:"calls"`
	// Why, Silence (µs) and Since (µs of Unix time) are about how this node became the holder.
	Why     string `json:"why,omitempty"`
	Silence int64  `json:"silence,omitempty"`
	Since   int64  `json:"since,omitempty"`
}

// status tells of all floats, in the order of their names.
func (f *floatState) status() []FloatStatus {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []FloatStatus
	for _, id := range slices.Sorted(maps.Keys(f.known())) {
		u := f.unitLocked(id)
		s := u.state
		st := FloatStatus{
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
