package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/projection/members"
	"rtpjet/projection/pages"
)

const (
	newsEvery = 250 * time.Millisecond
	maxNews   = 100 // older ones are forgotten
	// maxTaken bounds the kinds of takeovers between two looks: pairs of owners and a reason.
	maxTaken = 64
)

// news is what has happened in the cluster lately, as this node has seen it. Its methods are safe for concurrent use.
type news struct {
	mu      sync.Mutex
	on      bool
	items   []pages.Item
	last    uint64
	between map[pages.Taken]*pages.Taken // takeovers since the last look, by owners and reason
}

// taken notes that a call has another owner.
func (w *news) taken(call, from, to, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.on {
		return
	}
	key := pages.Taken{From: from, To: to, Why: why}
	t := w.between[key]
	if t == nil {
		if len(w.between) >= maxTaken {
			return
		}
		t = &pages.Taken{From: from, To: to, Why: why, Call: call}
		w.between[key] = t
	}
	t.Calls++
}

func (w *news) takeTaken() (out []pages.Taken) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.between {
		out = append(out, *t)
	}
	clear(w.between)
	return out
}

func (w *news) add(items []pages.Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range items {
		w.last++
		it.ID = w.last
		w.items = append(w.items, it)
	}
	if n := len(w.items) - maxNews; n > 0 {
		w.items = append([]pages.Item{}, w.items[n:]...)
	}
}

// after returns what has happened after an item. An id that this process has not given yet is of the one before it.
func (w *news) after(id uint64) (items []pages.Item, last uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id > w.last {
		id = 0
	}
	for _, it := range w.items {
		if it.ID > id {
			items = append(items, it)
		}
	}
	return items, w.last
}

// watch notes what happens, until ctx ends. It asks nobody.
func (n *Node) watch(ctx context.Context) error {
	n.news.mu.Lock()
	n.news.on, n.news.between = true, make(map[pages.Taken]*pages.Taken)
	n.news.mu.Unlock()
	tick := time.NewTicker(newsEvery)
	defer tick.Stop()
	var before pages.View
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if n.stage.Load() != stageServing {
			continue
		}
		now := n.view()
		n.news.add(pages.News(before, now, n.now()))
		before = now
	}
}

// view is how the cluster looks from here.
func (n *Node) view() pages.View {
	v := pages.View{Nodes: map[string]pages.NodeView{}, Floats: map[string]pages.FloatView{}, Taken: n.news.takeTaken()}
	calls := map[string]int64{} // by the node that carries them
	n.tally.live.Range(func(owner, g any) bool {
		calls[n.owners.carrier(owner.(string))] += g.(*atomic.Int64).Load()
		return true
	})
	for _, r := range n.leaseRows() {
		nv := pages.NodeView{State: r.Verdict, Draining: r.Draining, Epoch: r.Epoch, Calls: calls[r.Node]}
		if r.Verdict == members.Lost {
			nv.State = members.Gone.String()
		}
		v.Nodes[r.Node] = nv
	}
	for _, s := range n.floats.Status() {
		v.Floats[s.Float] = pages.FloatView{
			Holder: s.Holder, Successor: s.Successor, Epoch: s.Epoch, Calls: s.Calls, Moves: s.Moves, Why: s.Why, Silence: s.Silence,
		}
	}
	return v
}
