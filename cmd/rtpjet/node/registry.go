package node

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"rtpjet/ngserver/ng"
	"rtpjet/projection/replica"
)

// entry is one call and whoever works on it. mu is held from the decision of a command to its effect, so that a call has one
// append in flight at most; entries of the log that arrive meanwhile wait in the inbox, and the holder of mu folds them
// before it lets go. Thus the log's reader never waits for a command.
type entry struct {
	key string

	mu              sync.Mutex
	replica.Replica      // under mu
	dead            bool // under mu: no longer in the registry; look the key up again

	applied atomic.Uint64 // the sequence up to which the log is folded, for a look without mu
	first   atomic.Uint64 // the sequence of the first event that has to stay in the log; 0 if there is none

	// owner is that of the call while it lives, nil otherwise, for a look without mu.
	owner atomic.Pointer[string]

	// told is what the log was told of that commands of the call, of its generation toldGen, asked for and did not get. Under mu.
	told    ng.Undone
	toldGen uint64

	inboxMu sync.Mutex // taken after mu, never before
	inbox   replica.Inbox
}

// mark notes who owns a locked call, and how much of it is in the log, for those who look without the lock.
func (e *entry) mark() {
	e.markOwner()
	e.applied.Store(e.Logged().Seq)
	if first := e.First(); first > 0 { // else there may be one in the inbox
		e.first.Store(first)
	}
}

func (e *entry) markOwner() {
	switch have := e.owner.Load(); {
	case !e.Call.Live():
		e.owner.Store(nil)
	case have == nil || *have != e.Call.Owner:
		owner := e.Call.Owner
		e.owner.Store(&owner)
	}
}

// arrived empties the inbox.
func (e *entry) arrived() []replica.Entry {
	e.inboxMu.Lock()
	defer e.inboxMu.Unlock()
	return e.inbox.Take()
}

// registry holds the calls by their keys. It is safe for concurrent use.
type registry struct {
	node   *replica.Node
	fold   func(*entry, replica.Entry) // folds one entry of the log into a locked call
	route  func(*entry)                // brings the relay in line with a locked call, if it is not
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu    sync.Mutex
	calls map[string]*entry
}

func newRegistry(node *replica.Node, fold func(*entry, replica.Entry), route func(*entry)) *registry {
	r := &registry{node: node, fold: fold, route: route, seed: maphash.MakeSeed()}
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
		e = &entry{key: key, Replica: replica.New(r.node)}
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

// release lets go of a locked entry. What others have written meanwhile is folded before and brought into effect, once. An entry
// that never became a call is forgotten.
func (r *registry) release(e *entry) {
	for {
		batch := e.arrived()
		for _, in := range batch {
			r.fold(e, in)
		}
		if len(batch) > 0 {
			continue // perhaps there is more
		}
		r.route(e)
		if r.unlock(e) {
			return
		}
	}
}

// unlock unlocks an entry, unless something has arrived that has to be folded before.
func (r *registry) unlock(e *entry) bool {
	e.inboxMu.Lock()
	defer e.inboxMu.Unlock()
	if e.inbox.Len() > 0 {
		return false
	}
	if !e.Known() {
		r.forget(e)
	}
	e.mu.Unlock() // before inboxMu: whoever delivers next finds mu free
	return true
}

// collect keeps a log entry for its call until the end of the backlog.
func (r *registry) collect(key string, in replica.Entry) {
	e := r.lookupOrAdd(key)
	e.first.CompareAndSwap(0, in.Seq)
	e.inboxMu.Lock()
	defer e.inboxMu.Unlock()
	e.inbox.Collect(in)
}

// deliver hands a log entry to its call without waiting: it is folded here, or by whoever holds the call; done is false in that
// case.
func (r *registry) deliver(key string, in replica.Entry) (done bool) {
	for {
		e := r.lookupOrAdd(key)
		if e.applied.Load() >= in.Seq {
			return true // our own append, folded when it was confirmed
		}
		if !in.Early {
			e.first.CompareAndSwap(0, in.Seq) // until it is folded
		}
		e.inboxMu.Lock()
		e.inbox.Put(in)
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
