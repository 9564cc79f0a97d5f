package keeper

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeadlinesAreShared: what a keeper writes to its mapping stands in that of the node, each float in a place of its own, and
// none where the sign of life is.
func TestDeadlinesAreShared(t *testing.T) {
	node := newShared(t)
	mem, err := unix.Mmap(node.fd, 0, sharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer func() { _ = unix.Munmap(mem) }()
	keeper := &Deadlines{mem: mem, fd: -1}
	for i := range maxFloats {
		if got := node.At(i).Load(); got != 0 {
			t.Fatalf("the deadline of float %d begins at %d", i, got)
		}
		keeper.At(i).Store(int64(i) + 1)
	}
	if node.Life().Load() != 0 {
		t.Error("a deadline is written over the sign of life")
	}
	keeper.Life().Store(0xffffffff)
	for i := range maxFloats {
		if got := node.At(i).Load(); got != int64(i)+1 {
			t.Errorf("the deadline of float %d is %d", i, got)
		}
	}
	if node.Life().Load() != 0xffffffff {
		t.Error("the sign of life is not shared")
	}
	keeper.forbid()
	for i := range maxFloats {
		if got := node.At(i).Load(); got != 0 {
			t.Errorf("float %d may be relayed until %d", i, got)
		}
	}
	if node.Life().Load() != 0xffffffff {
		t.Error("nothing may be relayed, and the keeper counts as dead for that")
	}
}

// TestDeadlinesEnd: there is no deadline beside the memory for them, not even a wrong one.
func TestDeadlinesEnd(t *testing.T) {
	d := newShared(t)
	for _, i := range []int{-1, maxFloats, maxFloats + 1, 1 << 30} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("there is a deadline of number %d", i)
				}
			}()
			d.At(i)
		}()
	}
}

// TestDeadlinesAreNotInherited: a program that the node starts, other than a keeper, does not get them.
func TestDeadlinesAreNotInherited(t *testing.T) {
	flags, err := unix.FcntlInt(uintptr(newShared(t).fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %x, %v", flags, err)
	}
}
