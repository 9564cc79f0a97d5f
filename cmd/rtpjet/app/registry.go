package app

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
)

// entry is one call and whoever works on it. mu is held from the decision of a command to its effect, so that a call has one
// append in flight at most; entries of the log that arrive meanwhile wait in the inbox, and the holder of mu folds them
// before it lets go. Thus the log's reader never waits for a command.
type entry struct {
	key string

	mu   sync.Mutex
	call projection.Call // under mu
	dead bool            // under mu: no longer in the registry; look the key up again
	// unreadable is true if an event of the call could not be read: its events stay. Under mu.
	unreadable bool
	// unlogged is what the log does not have of the call; nil nearly always. call goes beyond the log by that. Under mu.
	unlogged *unloggedCall

	applied atomic.Uint64 // the sequence up to which the log is folded, for a look without mu
	first   atomic.Uint64 // the sequence of the first event that has to stay in the log; 0 if there is none

	// owner is that of the call while it lives, nil otherwise, for a look without mu.
	owner atomic.Pointer[string]

	// told is what the log was told of that commands of the call, of its generation toldGen, asked for and did not get. Under mu.
	told    ng.Undone
	toldGen uint64

	// silentAt is when a section of the call may have been silent for long enough, µs of Unix time. Under mu.
	silentAt int64
	// learnFrom is the time of the signalling that learnSkew, in µs, was measured for: how far its writer's clock was behind
	// ours. Under mu.
	learnFrom, learnSkew int64
	// changed is true if the relay does not know yet what was folded last; fresh if some of it happened a moment ago. Under mu.
	changed, fresh bool

	inboxMu sync.Mutex // taken after mu, never before
	inbox   []logged
}

// registry holds the calls by their keys. It is safe for concurrent use.
type registry struct {
	fold   func(*entry, logged) // folds one entry of the log into a locked call
	effect func(*entry)         // brings a locked call into effect after something was folded
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu    sync.Mutex
	calls map[string]*entry
}

func newRegistry(fold func(*entry, logged), effect func(*entry)) *registry {
	r := &registry{fold: fold, effect: effect, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].calls = make(map[string]*entry)
	}
	return r
}

func (r *registry) shard(key string) *shard {
	return &r.shards[maphash.String(r.seed, key)%uint64(len(r.shards))]
}

// lookup returns the entry of a key, or nil.
func (r *registry) lookup(key string) *entry {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[key]
}

func (r *registry) lookupOrAdd(key string) *entry {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.calls[key]
	if e == nil {
		e = &entry{key: key}
		s.calls[key] = e
	}
	return e
}

// acquire returns the entry locked; nil if there is none and create is false. The caller releases it.
func (r *registry) acquire(key string, create bool) *entry {
	for {
		var e *entry
		if create {
			e = r.lookupOrAdd(key)
		} else if e = r.lookup(key); e == nil {
			return nil
		}
		e.mu.Lock()
		if !e.dead {
			return e
		}
		e.mu.Unlock()
	}
}

// forget removes a locked entry.
func (r *registry) forget(e *entry) {
	e.dead = true
	s := r.shard(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[e.key] == e {
		delete(s.calls, e.key)
	}
}

// release folds what has arrived, brings what changed into effect, once, and unlocks the entry. An entry that never became a
// call is forgotten.
func (r *registry) release(e *entry) {
	for {
		if e.changed && !e.pending() {
			r.effect(e)
			e.changed, e.fresh = false, false
		}
		e.inboxMu.Lock()
		if len(e.inbox) == 0 {
			if e.call.Gen == 0 && e.call.Seq == 0 {
				r.forget(e)
			}
			e.mu.Unlock() // before inboxMu: whoever delivers next finds mu free
			e.inboxMu.Unlock()
			return
		}
		batch := e.inbox
		e.inbox = nil
		e.inboxMu.Unlock()
		for _, in := range batch {
			r.fold(e, in)
		}
	}
}

// pending tells whether entries wait to be folded.
func (e *entry) pending() bool {
	e.inboxMu.Lock()
	defer e.inboxMu.Unlock()
	return len(e.inbox) > 0
}

// collect keeps a log entry for its call until the end of the backlog. An end makes what came before it superfluous: most of
// a backlog is calls that are over.
func (r *registry) collect(in embed.Entry) {
	e := r.lookupOrAdd(in.Key)
	e.first.CompareAndSwap(0, in.Seq)
	e.inboxMu.Lock()
	defer e.inboxMu.Unlock()
	if events.IsEnd(in.Data) {
		clear(e.inbox)
		e.inbox = e.inbox[:0]
	}
	e.inbox = append(e.inbox, logged{Entry: in})
}

// deliver hands a log entry to its call without waiting: it is folded here, or by whoever holds the call; done is false in that
// case.
func (r *registry) deliver(in logged) (done bool) {
	for {
		e := r.lookupOrAdd(in.Key)
		if e.applied.Load() >= in.Seq {
			return true // our own append, folded when it was confirmed
		}
		if !in.early {
			e.first.CompareAndSwap(0, in.Seq) // until it is folded
		}
		e.inboxMu.Lock()
		e.inbox = append(e.inbox, in)
		e.inboxMu.Unlock()
		if !e.mu.TryLock() {
			return false
		}
		if !e.dead {
			r.release(e)
			return true
		}
		e.mu.Unlock() // forgotten meanwhile: deliver to its successor
	}
}

// each calls f with the present entries, unlocked, in no order. f must be quick: commands for other calls wait.
func (r *registry) each(f func(*entry)) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for _, e := range s.calls {
			f(e)
		}
		s.mu.Unlock()
	}
}

// all returns the present entries, unlocked, in no order.
func (r *registry) all() []*entry {
	var out []*entry
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for _, e := range s.calls {
			out = append(out, e)
		}
		s.mu.Unlock()
	}
	return out
}
