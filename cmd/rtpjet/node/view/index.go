package view

import (
	"slices"
	"sync"
	"time"

	"rtpjet/projection"
	"rtpjet/projection/pages"
)

// index has the live calls as the list on the web page shows them. It costs nothing while nobody looks: it is brought up to
// date by whoever asks, at most once in indexEvery, and looks only at calls that an event has reached since. It waits for no
// call: one that a command is at work on keeps its row until the next look. Its methods are safe for concurrent use.
type index struct {
	host Host

	mu    sync.Mutex
	at    time.Time             // of the last look; zero: there is nothing to go by
	calls map[string]*pages.Row // by key
	list  []*pages.Row          // sorted; replaced and never changed
	idle  *time.Timer
}

const (
	indexEvery = 500 * time.Millisecond
	// indexIdle is after how long without a look the index is given up.
	indexIdle = time.Minute
)

// rows returns all live calls, the newest first. The caller must not change what it gets.
func (x *index) rows() []*pages.Row {
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
	if x.refresh() {
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
func (x *index) refresh() (changed bool) {
	next := make(map[string]*pages.Row, len(x.calls))
	var look []string
	x.host.Live(func(key string, last uint64) {
		if r := x.calls[key]; r != nil {
			next[key] = r
			if r.Seq == last {
				return
			}
		}
		look = append(look, key)
	})
	changed = len(next) != len(x.calls) || len(look) > 0
	for _, key := range look {
		var row *pages.Row
		busy := x.host.Peek(key, func(c *projection.Call, last uint64) {
			row = pages.NewRow(c)
			row.Seq = last
		})
		switch {
		case row != nil:
			next[key] = row
		case !busy: // it has ended meanwhile
			delete(next, key)
		}
	}
	x.calls = next
	return changed
}

func (x *index) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls, x.list, x.at = nil, nil, time.Time{}
}
