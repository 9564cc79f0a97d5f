package view

import (
	"context"
	"sync"
	"time"

	"rtpjet/projection/pages"
)

const (
	newsEvery = 250 * time.Millisecond
	maxNews   = 100 // older ones are forgotten
	// maxTaken bounds the kinds of takeovers between two looks: pairs of owners and a reason.
	maxTaken = 64
)

// News is what has happened in the cluster lately, as this node has seen it. The zero value is ready for use, and its methods are safe
// for concurrent use.
type News struct {
	mu      sync.Mutex
	items   []pages.Item
	last    uint64
	between map[pages.Taken]*pages.Taken // takeovers since the last look, by owners and reason; nil: nobody looks
}

// TakenOver notes that a call has another owner. It is quick: a node says so while it holds the call.
func (w *News) TakenOver(call, from, to, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.between == nil {
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

// takeTaken returns the takeovers since the last time, and has those that follow noted.
func (w *News) takeTaken() (out []pages.Taken) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.between {
		out = append(out, *t)
	}
	w.between = make(map[pages.Taken]*pages.Taken)
	return out
}

func (w *News) add(items []pages.Item) {
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
func (w *News) after(id uint64) (items []pages.Item, last uint64) {
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

// Watch notes what happens, until ctx ends: from when the node has met the others, else it would be news that they are there. It asks
// nobody.
func (v *View) Watch(ctx context.Context) {
	tick := time.NewTicker(newsEvery)
	defer tick.Stop()
	var before pages.View
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := v.look()
		v.cfg.News.add(pages.News(before, now, v.now()))
		before = now
	}
}

// look is how the cluster looks from here.
func (v *View) look() pages.View {
	out := pages.View{Nodes: map[string]pages.NodeView{}, Floats: map[string]pages.FloatView{}, Taken: v.cfg.News.takeTaken()}
	nodes, floats := v.host.Cluster()
	calls := v.host.Carried()
	for _, r := range nodes {
		out.Nodes[r.Node] = pages.NodeView{State: stateOf(r), Draining: r.Draining, Epoch: r.Epoch, Calls: calls[r.Node]}
	}
	for _, s := range floats {
		out.Floats[s.Float] = pages.FloatView{
			Holder: s.Holder, Successor: s.Successor, Epoch: s.Epoch, Calls: s.Calls, Moves: s.Moves, Why: s.Why, Silence: s.Silence,
		}
	}
	return out
}
