package netaddr

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
)

// TestProbe asks for addresses that nobody has, that another host has, and that this machine has itself.
func TestProbe(t *testing.T) {
	w := newWorld(t)
	p := w.nodes[0].netlinkProvider(t, Config{})
	ask := func() (found map[netip.Addr]net.HardwareAddr) {
		must(t, w.nodes[0].do(func() (err error) {
			found, err = p.Probe(t.Context(), both...)
			return err
		}))
		return found
	}
	if found := ask(); len(found) != 0 {
		t.Errorf("nobody has them, and %v answer", found)
	}
	must(t, w.nodes[1].netlinkProvider(t, Config{}).Add(t.Context(), both...))
	for _, a := range both {
		if mac := ask()[a.Addr()]; !bytes.Equal(mac, w.nodes[1].mac) {
			t.Errorf("%s is at %v, and %v answers", a, w.nodes[1].mac, mac)
		}
	}
	p2 := w.nodes[1].netlinkProvider(t, Config{})
	must(t, w.nodes[1].do(func() error {
		found, err := p2.Probe(t.Context(), both...)
		if len(found) != 0 {
			t.Errorf("%v answer to the machine that has them", found)
		}
		return err
	}))
}

func FuzzAnswers(f *testing.F) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	four, six := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")
	f.Add(gratuitousARP(arpReply, mac, four))
	f.Add(arpProbe(mac, four))
	f.Add(unsolicitedNA(mac, six))
	_, ask := solicit(six)
	f.Add(ask)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range []netip.Addr{four, six} {
			if mac := answers(b, a); mac != nil && len(mac) != 6 {
				t.Errorf("%v of %x", mac, b)
			}
		}
	})
}
