package keeper

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// When a keeper dies, its machine refuses connections at once, and the next node takes its floats over within a millisecond.
// The node of the dead keeper has to stop before that, and may be too busy to hear of it. So the kernel tells each packet: the
// keeper's sign of life is a robust futex (set_robust_list(2)), which the kernel marks when the thread that owns it exits. It
// does so before it closes any file of the process.

// robustList is struct robust_list_head of linux/futex.h, for a list of one.
type robustList struct {
	first   uintptr // the list's entry, which is a pointer to the next one: this struct again
	offset  int     // of the futex from its entry
	pending uintptr
}

// live ties the sign of life to the calling thread, which must not end before the keeper does. The deadlines of a keeper before
// this one are no longer in force.
func (d *Deadlines) live() error {
	d.forbid()
	d.Life().Store(0)
	// The kernel reads it when the thread ends, so it is nothing that the collector may move or free.
	mem, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("have the kernel tell of the keeper's end: %w", err)
	}
	list := (*robustList)(unsafe.Pointer(&mem[0]))
	entry := (*uintptr)(unsafe.Pointer(&d.mem[lifeAt]))
	*entry = uintptr(unsafe.Pointer(&list.first))
	list.first, list.offset = uintptr(unsafe.Pointer(entry)), 8
	d.Life().Store(uint32(unix.Gettid()))
	if _, _, errno := unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(list)), unsafe.Sizeof(*list), 0); errno != 0 {
		return fmt.Errorf("have the kernel tell of the keeper's end: %w", errno)
	}
	return nil
}
