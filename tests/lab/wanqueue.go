package lab

import (
	"math/rand/v2"
	"time"
)

// Way is how frames go from one region to another one, and not back.
type Way struct {
	Delay time.Duration
	Loss  float64 // the share of frames that vanish, from 0 to 1
	Cut   bool    // none arrives, those that are under way included
}

// wanQueueFrames bounds what is under way from one port to another one; what is
// more is lost, as in any router. It holds a second of 50 Mbit/s.
const wanQueueFrames = 4096

// wanQueue is a switch that learns, with a delay between its ports: what has come in
// and has not left yet. It knows no clock, and the frames that are lost depend on the
// seed alone. It is not safe for concurrent use.
type wanQueue struct {
	ports [][]wanWay // from, to
	seed  uint64
	where map[[6]byte]int // the port that an address was last seen at
}

// wanWay is one ordered pair of ports. Its frames leave in the order in which they
// came, also after the delay was made less.
type wanWay struct {
	Way
	dice  *rand.Rand
	queue []wanFrame
	last  time.Duration // when the last one that was queued is due
	WayCounts
}

type wanFrame struct {
	due  time.Duration
	data []byte // shared by the queues of a broadcast; nobody writes to it
}

// WayCounts are what became of the frames of one way.
type WayCounts struct {
	Sent    uint64 // delivered
	Lost    uint64 // by chance
	Cut     uint64 // because of a cut
	Dropped uint64 // because the queue was full
}

func newWanQueue(seed uint64) *wanQueue {
	return &wanQueue{seed: seed, where: map[[6]byte]int{}}
}

// join adds a port, and returns its number.
func (q *wanQueue) join() int {
	n := len(q.ports)
	for from := range q.ports {
		q.ports[from] = append(q.ports[from], q.newWay(from, n))
	}
	all := make([]wanWay, n+1)
	for to := range all {
		all[to] = q.newWay(n, to)
	}
	q.ports = append(q.ports, all)
	return n
}

func (q *wanQueue) newWay(from, to int) wanWay {
	return wanWay{dice: rand.New(rand.NewPCG(q.seed, uint64(from)<<32|uint64(to)))}
}

// set changes a way. Frames that are under way keep their delay.
func (q *wanQueue) set(from, to int, w Way) {
	way := &q.ports[from][to]
	way.Way = w
	if w.Cut {
		way.WayCounts.Cut += uint64(len(way.queue))
		way.queue = nil
	}
}

// take takes a frame that came in at a port; data becomes the queue's own.
func (q *wanQueue) take(now time.Duration, from int, data []byte) {
	const header = 14
	if len(data) < header {
		return
	}
	to, source := [6]byte(data[:6]), [6]byte(data[6:12])
	const group = 1 // the bit of addresses that are those of several
	if source[0]&group == 0 {
		q.where[source] = from
	}
	if port, known := q.where[to]; known && to[0]&group == 0 {
		if port != from {
			q.ports[from][port].take(now, data)
		}
		return
	}
	for port := range q.ports {
		if port != from {
			q.ports[from][port].take(now, data)
		}
	}
}

func (w *wanWay) take(now time.Duration, data []byte) {
	lost := w.Loss > 0 && w.dice.Float64() < w.Loss
	switch {
	case w.Way.Cut:
		w.WayCounts.Cut++
	case lost:
		w.Lost++
	case len(w.queue) >= wanQueueFrames:
		w.Dropped++
	default:
		w.last = max(w.last, now+w.Delay)
		w.queue = append(w.queue, wanFrame{w.last, data})
	}
}

// next returns when the next frame leaves; ok is false if there is none.
func (q *wanQueue) next() (due time.Duration, ok bool) {
	_, _, due = q.first()
	return due, due >= 0
}

// first finds the way whose first frame is due first; due is -1 if nothing is under way.
func (q *wanQueue) first() (from, to int, due time.Duration) {
	due = -1
	for f := range q.ports {
		for t := range q.ports[f] {
			if w := &q.ports[f][t]; len(w.queue) > 0 && (due < 0 || w.queue[0].due < due) {
				from, to, due = f, t, w.queue[0].due
			}
		}
	}
	return from, to, due
}

// give returns a frame that is due, and the port at which it leaves.
func (q *wanQueue) give(now time.Duration) (to int, data []byte, ok bool) {
	from, to, due := q.first()
	if due < 0 || due > now {
		return 0, nil, false
	}
	w := &q.ports[from][to]
	data = w.queue[0].data
	w.queue[0].data = nil // append moves the rest to a new array now and then
	w.queue = w.queue[1:]
	w.Sent++
	return to, data, true
}
