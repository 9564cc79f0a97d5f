package node

import "sync/atomic"

// capacity says how many calls the node takes. It is safe for concurrent use.
type capacity struct {
	draining atomic.Bool
	most     int // calls at once; negative: no limit
	tally    *tally
}

// takesNew tells whether the node takes new calls.
func (c *capacity) takesNew() bool { return !c.draining.Load() && c.room() != 0 }

// room is how many more calls the node takes; -1: as many as its ports allow.
func (c *capacity) room() int64 {
	if c.most < 0 {
		return -1
	}
	return max(0, int64(c.most)-c.tally.own())
}
