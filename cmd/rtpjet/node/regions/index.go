package regions

import (
	"sync"
	"time"

	"rtpjet/embed"
	"rtpjet/events"
)

// index says which calls live in another region, by the mirror. It has the key of each and the place of its first
// entry, and no projection: that is folded when somebody asks, from the mirror, which is here. So a call of another region
// takes some 100 bytes of a node's memory and not the 10 kB of its own ones (docs/scale.md). It is safe for concurrent use.
type index struct {
	mu    sync.RWMutex
	first map[string]uint64 // of live calls
	again map[string]uint64 // where a live call began whose call-id the mirror has entries of an earlier one of
	over  map[string]endedKey
	next  uint64 // of the stream
	whole bool   // all that the mirror had at the start is in it
}

// endedKey is what the mirror still has of a call that has ended.
type endedKey struct {
	first, last uint64
	at          time.Time
}

// began says where a live call began; ok is false if it does not live there.
func (x *index) began(key string) (first uint64, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	first, ok = x.first[key]
	if again := x.again[key]; again > 0 {
		first = again
	}
	return first, ok
}

func (x *index) live() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.first)
}

// complete notes that all is in the index that the mirror had.
func (x *index) complete() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.whole = true
}

// incomplete tells whether the mirror has to be asked as well.
func (x *index) incomplete() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return !x.whole
}

// from is where to go on in the mirror.
func (x *index) from() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.next
}

// note takes an entry of the mirror.
func (x *index) note(e embed.Entry, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next = e.Seq + 1
	switch first, ok := x.first[e.Key]; {
	case events.IsEnd(e.Data):
		if !ok {
			first = e.Seq
			if was, again := x.over[e.Key]; again {
				first = was.first
			}
		}
		delete(x.first, e.Key)
		delete(x.again, e.Key)
		x.over[e.Key] = endedKey{first, e.Seq, now}
	case !ok:
		x.first[e.Key] = e.Seq
		if was, again := x.over[e.Key]; again { // the same call-id once more
			x.first[e.Key], x.again[e.Key] = was.first, e.Seq
			delete(x.over, e.Key)
		}
	}
}

// last is the end of the mirror, as far as it was followed.
func (x *index) last() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return max(x.next, 1) - 1
}

// reset forgets everything: the mirror begins anew.
func (x *index) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.first, x.again, x.over, x.next = make(map[string]uint64), make(map[string]uint64), make(map[string]endedKey), 1
}

// vanished notes the end of calls whose entries are not at home any more: all of them that began up to a sequence.
func (x *index) vanished(keys map[string]uint64, upto uint64, now time.Time) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k, first := range x.first {
		if _, ok := keys[k]; !ok && first <= upto {
			delete(x.first, k)
			x.over[k] = endedKey{first, upto, now}
			n++
		}
	}
	return n
}

// expired says below which sequence nothing of the mirror is needed, and which calls behind it are over; it forgets those before
// it. If forget is set, all that are over for that long are forgotten: another node cleans.
func (x *index) expired(old time.Time, forget bool) (below uint64, behind map[string]uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	below = x.next
	for _, first := range x.first {
		below = min(below, first)
	}
	for _, e := range x.over {
		if e.at.After(old) {
			below = min(below, e.first)
		}
	}
	behind = make(map[string]uint64)
	for key, e := range x.over {
		switch {
		case e.at.After(old):
		case forget || e.last < below:
			delete(x.over, key)
		case len(behind) < cleanMost:
			behind[key] = e.last
		}
	}
	return below, behind
}

// purged notes that the entries of a call are gone from the mirror.
func (x *index) purged(key string, last uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.over[key]; ok && e.last == last {
		delete(x.over, key)
	}
}
