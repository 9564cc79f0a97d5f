package keeper

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// maxFloats is how many deadlines the shared memory has.
const maxFloats = sharedSize / 8

const sharedSize = 4096

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

// forbid lets nothing be relayed.
func (d *Deadlines) forbid() {
	for i := range maxFloats {
		d.At(i).Store(0)
	}
}
