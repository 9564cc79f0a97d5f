package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
)

// Times in µs.
const (
	ms  = int64(1000)
	sec = 1000 * ms
)

// world is one run. Nothing in it depends on anything but the seed: no map is ranged over where the order matters, and one
// coroutine runs at a time.
type world struct {
	seed   uint64
	rng    *rand.Rand
	now    int64 // µs of true time
	queue  agenda
	serial uint64

	cfg    scenario
	bug    bug
	log    eventLog
	leases bucket
	nodes  []*node
	calls  []*script
	calm   bool // the time of faults is over

	kept    map[string][]*kept // events that took effect without the log, by key
	signals map[string]*signal // of talks, by the bytes of their commands

	trace  trace
	broken error
	stats  counters
}

// counters tell whether a run has tried anything.
type counters struct {
	steps, commands, events, takeovers, conflicts, uncertain, repeats, refusals, rerun int
	// Of talks: exchanges that were settled, offers that were not taken for proposals, and those that waited while a call moved.
	exchanges, atOnce, movedOffers, repeated int
	twinned                                  int // offers that twins have not had
	kept, served, orphans                    int // events that took effect without the log, commands that were answered so, and calls without owner that were ended
}

// start is the time at which a run begins, in µs of Unix time.
const start = int64(1_000_000_000_000_000)

func newWorld(seed uint64, b bug) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5eed)), now: start, bug: b, signals: map[string]*signal{}, kept: map[string][]*kept{}}
	w.cfg = w.drawScenario()
	w.log.init(w)
	w.leases.w = w
	for i := range w.cfg.nodes {
		w.nodes = append(w.nodes, newNode(w, i))
	}
	return w
}

// task is something that happens at a time. Those of one time happen in the order in which they were planned: the delays are
// random enough.
type task struct {
	at     int64
	serial uint64
	f      func()
}

type agenda []task

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].serial < a[j].serial
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(task)) }
func (a *agenda) Pop() any {
	old := *a
	t := old[len(old)-1]
	old[len(old)-1] = task{}
	*a = old[:len(old)-1]
	return t
}

// after plans something.
func (w *world) after(d int64, f func()) {
	w.serial++
	heap.Push(&w.queue, task{at: w.now + max(d, 0), serial: w.serial, f: f})
}

// runUntil lets things happen up to a time, or until ready says so. It returns false if the time was over first.
func (w *world) runUntil(at int64, ready func() bool) bool {
	for w.broken == nil {
		if ready != nil && ready() {
			return true
		}
		if len(w.queue) == 0 || w.queue[0].at > at {
			w.now = max(w.now, at)
			return ready == nil
		}
		t := heap.Pop(&w.queue).(task)
		w.now = t.at
		w.stats.steps++
		t.f()
	}
	return false
}

// chance is true with a probability in thousandths.
func (w *world) chance(thousandths int) bool {
	return thousandths > 0 && w.rng.IntN(1000) < thousandths
}

// between draws a number, both ends included.
func (w *world) between(low, high int64) int64 { return low + w.rng.Int64N(high-low+1) }

// delay draws how long a message takes. Nothing that arrives takes longer than maxDelay.
func (w *world) delay() int64 {
	switch k := w.rng.IntN(200); {
	case k == 0 && !w.calm:
		return w.between(50*ms, maxDelay)
	case k < 10 && !w.calm:
		return w.between(3*ms, 50*ms)
	}
	return w.between(60, 3*ms)
}

const maxDelay = 190 * ms

// lost draws whether a message is lost.
func (w *world) lost() bool { return !w.calm && w.chance(w.cfg.loss) }

// fail notes the first violation, which ends the run.
func (w *world) fail(format string, args ...any) {
	if w.broken == nil {
		w.broken = fmt.Errorf(format, args...)
		w.trace.add(w.now, "", "VIOLATION: "+format, args...)
	}
}

// close ends the coroutines that are under way.
func (w *world) close() {
	for _, n := range w.nodes {
		n.killProcs()
	}
}

// trace keeps the last steps, to be formatted if somebody wants to read them. With full set it takes the hash of all of them.
type trace struct {
	ring [60]line
	n    int
	full bool
	sum  uint64
}

type line struct {
	at     int64
	who    string
	format string
	args   []any
}

func (l line) String() string {
	return fmt.Sprintf("%9.3f ms %-3s ", float64(l.at-start)/1000, l.who) + fmt.Sprintf(l.format, l.args...)
}

// add notes a step. The arguments must not change afterwards.
func (t *trace) add(at int64, who, format string, args ...any) {
	l := line{at, who, format, args}
	t.ring[t.n%len(t.ring)] = l
	t.n++
	if t.full {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s", t.sum, l)
		t.sum = h.Sum64()
	}
}

func (t *trace) print(out io.Writer) {
	for i := max(0, t.n-len(t.ring)); i < t.n; i++ {
		fmt.Fprintln(out, strings.ReplaceAll(t.ring[i%len(t.ring)].String(), "\r\n", "|"))
	}
}
