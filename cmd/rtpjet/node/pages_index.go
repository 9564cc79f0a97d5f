package node

import (
	"slices"
	"sync"
	"time"

	"rtpjet/projection/pages"
)

// callIndex has the live calls as the list on the web page shows them. It costs nothing while nobody looks: it is brought up to
// date by whoever asks, at most once in indexEvery, and looks only at calls that an event has reached since. It waits for no
// call: one that a command is at work on keeps its row until the next look.
type callIndex struct {
	mu    sync.Mutex
	at    time.Time
	calls map[*entry]*pages.Row
	list  []*pages.Row // sorted; replaced and never changed
	idle  *time.Timer
}

const (
	indexEvery = 500 * time.Millisecond
	// indexIdle is after how long without a look the index is given up.
	indexIdle = time.Minute
)

// rows returns all live calls, the newest first. The caller must not change what it gets.
func (x *callIndex) rows(n *Node) []*pages.Row {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.at.IsZero() && time.Since(x.at) < indexEvery {
		return x.list
	}
	if x.idle == nil {
		x.idle = time.AfterFunc(indexIdle, x.forget)
	} else {
		x.idle.Reset(indexIdle)
	}
	if x.refresh(n) {
		x.list = make([]*pages.Row, 0, len(x.calls))
		for _, r := range x.calls {
			x.list = append(x.list, r)
		}
		slices.SortFunc(x.list, pages.Newer)
	}
	x.at = time.Now()
	return x.list
}

// refresh looks at the calls that are not as they were. It tells whether there were any.
func (x *callIndex) refresh(n *Node) (changed bool) {
	next := make(map[*entry]*pages.Row, len(x.calls))
	var look []*entry
	n.calls.each(func(e *entry) {
		if e.owner.Load() == nil {
			return // it does not live
		}
		if r := x.calls[e]; r != nil {
			next[e] = r
			if r.Seq == e.applied.Load() {
				return
			}
		}
		look = append(look, e)
	})
	changed = len(next) != len(x.calls) || len(look) > 0
	for _, e := range look {
		if !e.mu.TryLock() {
			continue
		}
		if e.dead || !e.Call.Live() {
			delete(next, e)
		} else {
			r := pages.NewRow(&e.Call)
			r.Seq = e.applied.Load()
			next[e] = r
		}
		if e.dead {
			e.mu.Unlock()
		} else {
			n.calls.release(e)
		}
	}
	x.calls = next
	return changed
}

func (x *callIndex) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls, x.list, x.at = nil, nil, time.Time{}
}
