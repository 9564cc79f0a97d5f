package node

import (
	"net/netip"
	"testing"
)

// TestUncertainNothing: sockets may be given back to a node that has given none, since it began anew.
func TestUncertainNothing(t *testing.T) {
	var u uncertain
	port := netip.MustParseAddrPort("192.0.2.1:30000")
	if got := u.remove("k", []netip.AddrPort{port}); got != nil {
		t.Errorf("%v from nothing", got)
	}
	u.add("k", []netip.AddrPort{port}, 0)
	if got := u.remove("other", []netip.AddrPort{port}); got != nil {
		t.Errorf("%v of another call", got)
	}
	if got := u.remove("k", []netip.AddrPort{port}); len(got) != 1 || u.num.Load() != 0 || u.grants.Len() != 0 {
		t.Errorf("%v, %d and %v left", got, u.num.Load(), u.grants)
	}
}
