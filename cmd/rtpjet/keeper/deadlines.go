package keeper

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// The shared memory: deadlines, and at its end the keeper's sign of life.
const (
	sharedSize = 4096
	lifeAt     = sharedSize - 64
	maxFloats  = lifeAt / 8
)

// Deadlines is memory that a node shares with its keeper: for each float the time until which it may be relayed, in ns of
// CLOCK_MONOTONIC; 0: not. The keeper writes it, and anybody may read it at any time.
type Deadlines struct {
	mem []byte
	fd  int
}

// At returns the deadline of a float, by its place in Config.Floats.
func (d *Deadlines) At(i int) *atomic.Int64 {
	if i < 0 || i >= maxFloats {
		panic(fmt.Sprintf("there are %d deadlines, and not one of number %d", maxFloats, i))
	}
	return (*atomic.Int64)(unsafe.Pointer(&d.mem[8*i])) // a mapping is aligned to a page
}

// Life is not 0 while the keeper is there that writes the deadlines: without it they count for nothing.
func (d *Deadlines) Life() *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&d.mem[lifeAt+8]))
}

// forbid lets nothing be relayed.
func (d *Deadlines) forbid() {
	for i := range maxFloats {
		d.At(i).Store(0)
	}
}
