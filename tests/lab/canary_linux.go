package lab

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Canary tells whether the machine had time for those who asked for it: on each
// processor a thread sleeps for a millisecond at a time, with the priority that
// relays give to their packet threads, and notes how much longer that took.
type Canary struct {
	stop  atomic.Bool
	done  sync.WaitGroup
	worst atomic.Int64
}

// NewCanary starts it.
func NewCanary() *Canary {
	c := &Canary{}
	for cpu := range runtime.NumCPU() {
		c.done.Go(func() { c.watch(cpu) })
	}
	return c
}

func (c *Canary) watch(cpu int) {
	runtime.LockOSThread() // never unlocked: the thread keeps its priority to its end
	const niceness = -10
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness) // what is not allowed, is not
	var one unix.CPUSet
	one.Set(cpu)
	_ = unix.SchedSetaffinity(0, &one)
	for !c.stop.Load() {
		began := time.Now()
		nap := unix.NsecToTimespec(int64(time.Millisecond))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &nap, nil) // an early end does no harm
		late := int64(time.Since(began) - time.Millisecond)
		for old := c.worst.Load(); late > old && !c.worst.CompareAndSwap(old, late); old = c.worst.Load() {
		}
	}
}

// Stop ends it and returns how late the latest thread was.
func (c *Canary) Stop() time.Duration {
	c.stop.Store(true)
	c.done.Wait()
	return time.Duration(c.worst.Load())
}
