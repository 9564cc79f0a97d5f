package ngserver

import (
	"hash/maphash"
	"sync"
	"time"
)

// Limits of a Cache that was not told any.
const (
	// DefaultCacheRetention is how long a reply can be repeated at least. Clients send a command again for 5 s
	// (Kamailio's rtpengine_retr and rtpengine_tout_ms); rtpengine keeps its replies for a minute at most.
	DefaultCacheRetention = 60 * time.Second
	// DefaultCacheBytes is how much memory the finished replies take at most, keys included, about.
	DefaultCacheBytes = 256 << 20
	// maxWaiters bounds the duplicates that wait for one command. A client sends five.
	maxWaiters = 64
	// entryOverhead is about what an entry costs beside its cookie and reply.
	entryOverhead = 160
)

// Cache remembers replies by cookie and payload, so that a command that comes twice is executed once and answered with the
// same bytes (docs/ng.md, "Repeated messages"). The payload belongs to the key because cookies of different
// clients collide. Replies with errors are kept like all others.
//
// Finished replies are in two generations; each is filled for the retention time, or until it holds half of the byte limit,
// and then becomes the old one. So under more load than the memory allows retention gets shorter, and memory never larger.
// Commands in progress are kept apart and cannot be pushed out. A Cache is safe for concurrent use.
type Cache struct {
	retention time.Duration
	maxBytes  int // of one generation
	seed      maphash.Seed

	mu       sync.Mutex
	running  map[string]*entry // by cookie
	young    generation
	old      generation
	started  time.Time // of the young generation; zero until first used
	counters CacheStats
}

type generation struct {
	byCookie map[string]*entry
	bytes    int
	entries  int
}

// entry is a command by its cookie and payload, running (reply nil) or finished. Entries with the same cookie are chained.
type entry struct {
	cookie  string
	sum     uint64
	size    int
	reply   []byte
	waiters []Waiter
	next    *entry
}

// CacheStats counts what a Cache did since its start. Entries, Bytes and Running are as of now.
type CacheStats struct {
	Hits       uint64 // answered from memory
	Joined     uint64 // waited for the same command in progress
	Misses     uint64 // new commands
	Collisions uint64 // new commands whose cookie was known with another payload
	Refused    uint64 // duplicates beyond the bound of those that may wait
	Shortened  uint64 // generations that ended early because of the byte limit
	Entries    int
	Bytes      int
	Running    int
}

// A Waiter is told the reply of the command that it joined. Deliver is called once, from the goroutine that finished the
// command; reply is nil if the command was dropped without one. The bytes are shared and must not be changed.
type Waiter interface {
	Deliver(reply []byte)
}

// NewCache returns an empty cache. Zero or negative arguments mean the defaults; maxBytes is for both generations.
func NewCache(retention time.Duration, maxBytes int) *Cache {
	if retention <= 0 {
		retention = DefaultCacheRetention
	}
	if maxBytes <= 0 {
		maxBytes = DefaultCacheBytes
	}
	return &Cache{
		retention: retention,
		maxBytes:  maxBytes / 2,
		seed:      maphash.MakeSeed(),
		running:   make(map[string]*entry),
		young:     generation{byCookie: make(map[string]*entry)},
		old:       generation{byCookie: make(map[string]*entry)},
	}
}

// Outcome says what Claim found.
type Outcome uint8

const (
	// Claimed: the command is new. The caller executes it and calls Ticket.Finish or Ticket.Drop, whatever happens.
	Claimed Outcome = iota
	// Known: the command was answered before; the reply is that answer.
	Known
	// Joined: the command is in progress; the Waiter will be told its reply.
	Joined
	// Refused: the command is in progress and enough others wait for it already. Nothing is to be done.
	Refused
)

// A Ticket is the right and the duty to execute a command that Claim found to be new.
type Ticket struct {
	cache *Cache
	entry *entry
}

// Claim looks a command up. cookie and payload are not kept, and now must not go back by much. w is used with the outcome
// Joined only.
func (c *Cache) Claim(cookie, payload []byte, now time.Time, w Waiter) (Outcome, Ticket, []byte) {
	sum := maphash.Bytes(c.seed, payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rotate(now)

	collided := false
	for e := c.running[string(cookie)]; e != nil; e = e.next {
		if e.sum == sum && e.size == len(payload) {
			if len(e.waiters) >= maxWaiters {
				c.counters.Refused++
				return Refused, Ticket{}, nil
			}
			e.waiters = append(e.waiters, w)
			c.counters.Joined++
			return Joined, Ticket{}, nil
		}
		collided = true
	}
	for _, g := range [...]*generation{&c.young, &c.old} {
		for e := g.byCookie[string(cookie)]; e != nil; e = e.next {
			if e.sum == sum && e.size == len(payload) {
				c.counters.Hits++
				return Known, Ticket{}, e.reply
			}
			collided = true
		}
	}
	c.counters.Misses++
	if collided {
		c.counters.Collisions++
	}
	e := &entry{cookie: string(cookie), sum: sum, size: len(payload)}
	e.next = c.running[e.cookie]
	c.running[e.cookie] = e
	return Claimed, Ticket{cache: c, entry: e}, nil
}

// Finish keeps the reply, which must not be changed any more, and gives it to those who wait for it.
func (t Ticket) Finish(reply []byte, now time.Time) {
	c, e := t.cache, t.entry
	c.mu.Lock()
	c.unlinkRunning(e)
	e.reply = reply
	waiters := e.waiters
	e.waiters = nil
	c.rotate(now)
	cost := len(e.cookie) + len(reply) + entryOverhead
	if c.young.bytes+cost > c.maxBytes && c.young.entries > 0 {
		c.counters.Shortened++
		c.turn(now)
	}
	e.next = c.young.byCookie[e.cookie]
	c.young.byCookie[e.cookie] = e
	c.young.bytes += cost
	c.young.entries++
	c.mu.Unlock()
	for _, w := range waiters {
		w.Deliver(reply)
	}
}

// Drop forgets the command: it was not executed. Who waits for it is told nil.
func (t Ticket) Drop() {
	c, e := t.cache, t.entry
	c.mu.Lock()
	c.unlinkRunning(e)
	waiters := e.waiters
	e.waiters = nil
	c.mu.Unlock()
	for _, w := range waiters {
		w.Deliver(nil)
	}
}

// Stats returns the counters.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counters
	s.Entries = c.young.entries + c.old.entries
	s.Bytes = c.young.bytes + c.old.bytes
	for _, e := range c.running {
		for ; e != nil; e = e.next {
			s.Running++
		}
	}
	return s
}

func (c *Cache) unlinkRunning(e *entry) {
	head := c.running[e.cookie]
	if head == e {
		if e.next == nil {
			delete(c.running, e.cookie)
		} else {
			c.running[e.cookie] = e.next
		}
	} else {
		for p := head; p != nil; p = p.next {
			if p.next == e {
				p.next = e.next
				break
			}
		}
	}
	e.next = nil
}

// rotate ends the young generation when its time is over. It is called with mu held.
func (c *Cache) rotate(now time.Time) {
	if c.started.IsZero() {
		c.started = now
		return
	}
	age := now.Sub(c.started)
	if age < c.retention {
		return
	}
	c.turn(now)
	if age >= 2*c.retention {
		c.old = generation{byCookie: make(map[string]*entry)}
	}
}

func (c *Cache) turn(now time.Time) {
	c.old = c.young
	c.young = generation{byCookie: make(map[string]*entry, min(c.old.entries, 1<<16))}
	c.started = now
}
