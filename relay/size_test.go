package relay

import (
	"testing"
	"unsafe"
)

// What a socket takes is there four times in each call, and the heap may be three times as big as what is in use. So each of these stays
// within a size class of the allocator.
func TestSizes(t *testing.T) {
	for _, test := range []struct {
		name      string
		size, fit uintptr
	}{
		{"stream", unsafe.Sizeof(stream{}), 480},
		{"route", unsafe.Sizeof(route{}), 384},
		{"sources", unsafe.Sizeof(sources{}), 352},
	} {
		if unsafe.Sizeof(uintptr(0)) == 8 && test.size > test.fit {
			t.Errorf("a %s has %d bytes, more than %d", test.name, test.size, test.fit)
		}
	}
}
