package lab

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"
)

// frameOf is a frame with a number in it.
func frameOf(to, from byte, number int) []byte {
	f := make([]byte, 60)
	f[0], f[5], f[6], f[11] = 2, to, 2, from
	if to == 0xff {
		copy(f, bytes.Repeat([]byte{0xff}, 6))
	}
	f[14], f[15] = byte(number>>8), byte(number)
	return f
}

// drain returns where frames leave until a moment, and their numbers.
func (q *wanQueue) drain(now time.Duration) (ports, numbers []int) {
	for {
		to, data, ok := q.give(now)
		if !ok {
			return ports, numbers
		}
		ports, numbers = append(ports, to), append(numbers, int(data[14])<<8|int(data[15]))
	}
}

func joined(n int, way Way) *wanQueue {
	q := newWanQueue(1)
	for range n {
		q.join()
	}
	for from := range n {
		for to := range n {
			q.set(from, to, way)
		}
	}
	return q
}

func TestQueueDelaysAndLearns(t *testing.T) {
	q := joined(3, Way{Delay: 40})
	if _, ok := q.next(); ok {
		t.Error("something is under way at first")
	}
	q.take(0, 0, frameOf(0xff, 1, 7))
	if due, ok := q.next(); !ok || due != 40 {
		t.Errorf("the next one is due at %v, %v", due, ok)
	}
	if ports, _ := q.drain(39); ports != nil {
		t.Errorf("too early at %v", ports)
	}
	if ports, _ := q.drain(40); !slices.Equal(ports, []int{1, 2}) {
		t.Errorf("a broadcast leaves at %v", ports)
	}
	q.take(50, 2, frameOf(1, 3, 8)) // address 1 is at port 0, and 3 at port 2
	q.take(50, 1, frameOf(9, 2, 9)) // nobody knows where 9 is
	q.take(50, 1, frameOf(3, 2, 10))
	q.take(50, 2, frameOf(3, 4, 11)) // stays where it is
	ports, numbers := q.drain(90)
	if !slices.Equal(ports, []int{0, 2, 2, 0}) && !slices.Equal(ports, []int{0, 2, 0, 2}) {
		t.Errorf("frames %v leave at %v", numbers, ports)
	}
}

func TestQueueKeepsTheOrderOfAWay(t *testing.T) {
	q := joined(2, Way{Delay: 100})
	q.take(0, 0, frameOf(2, 1, 0))
	q.set(0, 1, Way{Delay: 10})
	q.take(1, 0, frameOf(2, 1, 1))
	q.take(2, 1, frameOf(1, 2, 2))
	if _, numbers := q.drain(99); numbers != nil {
		t.Errorf("%v overtook", numbers)
	}
	if _, numbers := q.drain(102); !slices.Equal(numbers, []int{0, 1, 2}) {
		t.Errorf("order %v", numbers)
	}
}

func TestQueueCutsOneWay(t *testing.T) {
	q := joined(2, Way{Delay: 10})
	q.take(0, 0, frameOf(2, 1, 0))
	q.set(0, 1, Way{Delay: 10, Cut: true})
	q.take(1, 0, frameOf(2, 1, 1))
	q.take(1, 1, frameOf(1, 2, 2))
	if ports, numbers := q.drain(100); !slices.Equal(numbers, []int{2}) || !slices.Equal(ports, []int{0}) {
		t.Errorf("%v arrived at %v", numbers, ports)
	}
	if c := q.ports[0][1].WayCounts; c != (WayCounts{Cut: 2}) {
		t.Errorf("counts %+v", c)
	}
	q.set(0, 1, Way{Delay: 10})
	q.take(100, 0, frameOf(2, 1, 3))
	if _, numbers := q.drain(110); !slices.Equal(numbers, []int{3}) {
		t.Errorf("after healing: %v", numbers)
	}
}

func TestQueueLosesWhatItWasAskedToAndIsBounded(t *testing.T) {
	q := joined(2, Way{Loss: 0.05})
	const frames = 20000
	for i := range frames {
		q.take(time.Duration(i), 0, frameOf(2, 1, i))
		q.drain(time.Duration(i))
	}
	c := q.ports[0][1].WayCounts
	if lost := float64(c.Lost) / frames; math.Abs(lost-0.05) > 0.01 || c.Sent+c.Lost != frames {
		t.Errorf("counts %+v", c)
	}
	again := joined(2, Way{Loss: 0.05})
	for i := range frames {
		again.take(time.Duration(i), 0, frameOf(2, 1, i))
		again.drain(time.Duration(i))
	}
	if again.ports[0][1].WayCounts != c {
		t.Errorf("the same seed lost other frames: %+v and %+v", again.ports[0][1].WayCounts, c)
	}

	q = joined(2, Way{Delay: time.Hour})
	for i := range wanQueueFrames + 5 {
		q.take(0, 0, frameOf(2, 1, i))
	}
	if c := q.ports[0][1].WayCounts; c.Dropped != 5 || len(q.ports[0][1].queue) != wanQueueFrames {
		t.Errorf("counts %+v, %d under way", c, len(q.ports[0][1].queue))
	}
}
