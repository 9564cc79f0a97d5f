package unlogged

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"rtpjet/projection/replica"
)

// maxBytes bounds what waits for the log, in bytes, in memory and in the file: some minutes of a busy node. What comes
// beyond it is refused.
const maxBytes = 256 << 20

// Events knows which calls have events that wait for the log, and keeps a copy of these in a file. It is safe for
// concurrent use; its lock is taken after that of an entry and held while nothing else is locked.
type Events struct {
	log  *slog.Logger
	num  atomic.Int64  // of all calls, for a look without mu
	wake chan struct{} // the log may be back

	mu        sync.Mutex
	file      *file                      // nil: memory only
	loaded    map[string][]replica.Event // of an earlier process, until their calls are folded
	calls     map[string]int             // how many events wait, by key
	bytes     int
	since     time.Time // when the first of them came
	kept, cut int       // since then: how many came, and how many of them were dropped
}

// New makes Events with nothing in it.
func New(log *slog.Logger) *Events {
	return &Events{log: log, wake: make(chan struct{}, 1), calls: make(map[string]int)}
}

// Num is how many events wait, of all calls.
func (u *Events) Num() int64 { return u.num.Load() }

// Wake gets a value when the log may be back.
func (u *Events) Wake() <-chan struct{} { return u.wake }

// Open reads what an earlier process has left in dir, also if it was run with another setting, and writes there from now on.
// It never fails: without the file, events are in memory only.
func (u *Events) Open(dir string, serve bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, err := os.Stat(filepath.Join(dir, fileName)); dir == "" || !serve && err != nil {
		return
	}
	f, left, err := openFile(dir, u.log)
	if err != nil {
		u.log.Warn("events that wait for the log are kept in memory only", "dir", dir, "err", err)
		return
	}
	u.file, u.loaded = f, left
	for key, list := range left {
		for _, p := range list {
			u.countLocked(key, len(p.Data))
		}
	}
	if len(left) > 0 {
		u.log.Warn("an earlier process has left events that the log did not get", "calls", len(left), "events", u.num.Load())
	}
}

// Close lets go of the file, and says what waits still. Nothing may be called after it.
func (u *Events) Close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if num := u.num.Load(); num > 0 {
		u.log.Error("the node ends with events that the log did not get", "events", num, "on disk", u.file.intact())
	}
	u.file.close()
	u.file = nil
}

func (u *Events) countLocked(key string, size int) {
	u.calls[key]++
	u.bytes += size
	u.kept++
	if u.num.Add(1) == 1 {
		u.since = time.Now()
	}
}

// Add notes an event that is to wait; false if it cannot.
func (u *Events) Add(key string, data []byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes+len(data) > maxBytes {
		return false
	}
	u.countLocked(key, len(data))
	u.file.event(key, data)
	if u.num.Load() == 1 {
		u.log.Warn("the event log does not answer; the calls of this node are served without it", "on disk", u.file.intact())
	}
	return true
}

// Published notes that the first events of a call are in the log.
func (u *Events) Published(key string, list []replica.Event) { u.remove(key, list, 0) }

// Dropped notes that the first events of a call will never be in the log.
func (u *Events) Dropped(key string, list []replica.Event) { u.remove(key, list, len(list)) }

func (u *Events) remove(key string, list []replica.Event, cut int) {
	num := len(list)
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, ev := range list {
		u.bytes -= len(ev.Data)
	}
	u.cut += cut
	if u.calls[key] -= num; u.calls[key] <= 0 {
		delete(u.calls, key)
	}
	if u.num.Add(int64(-num)) > 0 {
		u.file.done(key, num)
		return
	}
	u.file.empty()
	u.log.Info("the event log has everything again", "published", u.kept-u.cut, "dropped", u.cut,
		"after", time.Since(u.since).Round(time.Millisecond))
	u.kept, u.cut = 0, 0
}

// Keys are the calls that have something here, in no order.
func (u *Events) Keys() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]string, 0, len(u.calls))
	for key := range u.calls {
		out = append(out, key)
	}
	return out
}

// Take returns what an earlier process has left of a call, once; it counts as waiting until it is published or dropped.
func (u *Events) Take(key string) []replica.Event {
	if u.num.Load() == 0 {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	list := u.loaded[key]
	delete(u.loaded, key)
	return list
}

// Rouse has the publisher try at once.
func (u *Events) Rouse() {
	if u.num.Load() == 0 {
		return
	}
	select {
	case u.wake <- struct{}{}:
	default: // it is about to
	}
}
