package relay

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
)

func TestAddrBox(t *testing.T) {
	var b addrBox
	if a, flag := b.get(); a.IsValid() || flag {
		t.Errorf("empty box: %v %v", a, flag)
	}
	for _, want := range []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:65535"), netip.MustParseAddrPort("[2001:db8::1]:1"),
		netip.MustParseAddrPort("[::ffff:192.0.2.1]:5"), netip.MustParseAddrPort("0.0.0.0:0"), {},
	} {
		for _, flag := range []bool{false, true} {
			b.set(want, flag)
			if got, f := b.get(); got != want || f != flag {
				t.Errorf("got %v %v, want %v %v", got, f, want, flag)
			}
		}
	}
}

// TestAddrBoxIsNeverMixed reads while another goroutine writes.
func TestAddrBoxIsNeverMixed(t *testing.T) {
	a, b := netip.MustParseAddrPort("[1111:1111:1111:1111:1111:1111:1111:1111]:4369"), netip.MustParseAddrPort("[2222:2222:2222:2222:2222:2222:2222:2222]:8738")
	var box addrBox
	box.set(a, false)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			box.set(b, true)
			box.set(a, false)
			runtime.Gosched()
		}
	}()
	for range 20_000 {
		if got, flag := box.get(); got != a && got != b || flag != (got == b) {
			t.Fatalf("read %v %v", got, flag)
		}
	}
	stop.Store(true)
	<-done
}
