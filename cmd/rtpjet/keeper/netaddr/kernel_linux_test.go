package netaddr

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// present is what the kernel says of an address; lifetime in seconds.
func present(prefix string, index, flags, lifetime int) netlink.Addr {
	return netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(prefix)), LinkIndex: index, Flags: flags, ValidLft: lifetime}
}

// TestFormOf decides from lists that a kernel could give.
func TestFormOf(t *testing.T) {
	const forever = 1<<32 - 1
	const device, other = 3, 4
	longest := int(maxLifetime / time.Second)
	for _, test := range []struct {
		name    string
		a       Address
		present []netlink.Addr
		want    form
		found   bool
		foreign bool
	}{
		{"an empty machine", float4, nil, form{bits: 24}, false, false},
		{"an empty machine, IPv6", float6, nil, form{bits: 64}, false, false},
		{"in the device's network", float4, []netlink.Addr{present("10.98.0.1/24", device, unix.IFA_F_PERMANENT, forever)}, form{bits: 32, noRoute: true}, false, false},
		{"in the device's network, IPv6", float6, []netlink.Addr{present("fd98::1/64", device, unix.IFA_F_PERMANENT, forever)}, form{bits: 128, noRoute: true}, false, false},
		{"in a wider network", float4, []netlink.Addr{present("10.0.0.1/8", device, 0, forever)}, form{bits: 32, noRoute: true}, false, false},
		{"in another device's network", float4, []netlink.Addr{present("10.98.0.1/24", other, 0, forever)}, form{bits: 24}, false, false},
		{"beside a network", float4, []netlink.Addr{present("10.98.1.1/24", device, 0, forever)}, form{bits: 24}, false, false},
		{"in the network of a host alone", float4, []netlink.Addr{present("10.98.0.1/32", device, 0, forever)}, form{bits: 24}, false, false},
		{"beside the other family", float4, []netlink.Addr{present("::/0", device, 0, forever)}, form{bits: 24}, false, false},

		{"there already, as it was put", float4, []netlink.Addr{present("10.98.0.100/32", device, unix.IFA_F_NOPREFIXROUTE, 2)}, form{bits: 32, noRoute: true}, true, false},
		{"there already, with the route", float4, []netlink.Addr{present("10.98.0.100/24", device, 0, 2)}, form{bits: 24}, true, false},
		{"there already, behind the device's", float6, []netlink.Addr{
			present("fd98::1/64", device, unix.IFA_F_PERMANENT, forever), present("fd98::100/128", device, unix.IFA_F_NOPREFIXROUTE, longest),
		}, form{bits: 128, noRoute: true}, true, false},
		{"there on another device", float4, []netlink.Addr{present("10.98.0.100/32", other, unix.IFA_F_PERMANENT, forever)}, form{bits: 24}, false, false},

		{"there for good", float4, []netlink.Addr{present("10.98.0.100/24", device, unix.IFA_F_PERMANENT, 2)}, form{bits: 24}, true, true},
		{"there for longer than ours", float6, []netlink.Addr{present("fd98::100/64", device, 0, longest+1)}, form{bits: 64}, true, true},
		{"there from a DHCP server", float4, []netlink.Addr{present("10.98.0.100/24", device, 0, 3600)}, form{bits: 24}, true, true},
	} {
		f, found, err := formOf(test.a, device, test.present)
		if f != test.want || found != test.found || errors.Is(err, ErrForeign) != test.foreign || (err != nil) != test.foreign {
			t.Errorf("%s: %+v, there: %v, %v; want %+v", test.name, f, found, err, test.want)
		}
		if test.foreign && !strings.Contains(err.Error(), "ip addr del "+test.present[0].IPNet.String()+" dev "+testDevice) {
			t.Errorf("%s: the error does not say how to remove it: %v", test.name, err)
		}
	}
}

// FuzzFormOf: whatever the machine has, an address that is not there gets a form that holds it, and one that is there keeps its.
func FuzzFormOf(f *testing.F) {
	f.Add([]byte{10, 98, 0, 1}, uint8(24), 0, 2, true)
	f.Add(float4.Addr().AsSlice(), uint8(32), unix.IFA_F_NOPREFIXROUTE, 2, true)
	f.Add(float6.Addr().AsSlice(), uint8(64), unix.IFA_F_PERMANENT, 0, true)
	f.Add([]byte{1, 2, 3}, uint8(200), -1, -1, false)
	f.Fuzz(func(t *testing.T, ip []byte, bits uint8, flags, lifetime int, here bool) {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || addr.Is4In6() || int(bits) > addr.BitLen() {
			return
		}
		index := 1
		if here {
			index = 2
		}
		list := []netlink.Addr{{IPNet: ipNet(netip.PrefixFrom(addr, int(bits))), LinkIndex: index, Flags: flags, ValidLft: lifetime}}
		if got := prefixOf(list[0]); got != netip.PrefixFrom(addr, int(bits)) {
			t.Fatalf("%s/%d is read as %s", addr, bits, got)
		}
		for _, a := range both {
			got, found, err := formOf(a, 2, list)
			if there := here && addr == a.Addr(); found != there || err != nil && !there {
				t.Errorf("%s among %v: there: %v, %v", a, list, found, err)
			}
			if found && got.bits != int(bits) || !found && got.bits != a.Prefix.Bits() && got.bits != a.host().Bits() {
				t.Errorf("%s among %v: %+v", a, list, got)
			}
			if shares := here && netip.PrefixFrom(addr, int(bits)).Contains(a.Addr()); !found && got.noRoute != shares {
				t.Errorf("%s among %v, which holds its network: %v; %+v", a, list, shares, got)
			}
			if found && err == nil && (flags&unix.IFA_F_PERMANENT != 0 || time.Duration(lifetime) > maxLifetime/time.Second) {
				t.Errorf("%v, that somebody else owns, is taken", list)
			}
		}
	})
}

// TestExplain: the operator is told what to do about a number of the kernel's, and a program can still ask for it.
func TestExplain(t *testing.T) {
	for _, test := range []struct {
		a    Address
		err  unix.Errno
		want string
	}{
		{float4, unix.EPERM, "CAP_NET_ADMIN"},
		{float6, unix.EPERM, "CAP_NET_ADMIN"},
		{float6, unix.EACCES, "net.ipv6.conf." + testDevice + ".disable_ipv6"},
		{float6, unix.EOPNOTSUPP, "this machine has no IPv6"},
		{float4, unix.EACCES, ""},
		{float4, unix.EOPNOTSUPP, ""},
		{float6, unix.ENOBUFS, ""},
	} {
		err := explain("add", test.a, test.err)
		if !errors.Is(err, test.err) || !strings.HasPrefix(err.Error(), "add "+test.a.String()+": "+test.err.Error()) {
			t.Errorf("%v of %s: %v", test.err, test.a, err)
		}
		if rest := strings.TrimPrefix(err.Error(), "add "+test.a.String()+": "+test.err.Error()); !strings.Contains(rest, test.want) || test.want == "" && rest != "" {
			t.Errorf("%v of %s: %v, want %q", test.err, test.a, err, test.want)
		}
	}
}

// TestIPv6Off has the device's IPv6 switched off: the error names the switch, and IPv4 goes on.
func TestIPv6Off(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	must(t, n.sysctl("net/ipv6/conf/"+testDevice+"/disable_ipv6", "1"))
	err := p.Add(t.Context(), both...)
	if err == nil || !strings.Contains(err.Error(), "disable_ipv6") {
		t.Errorf("the error does not name the switch: %v", err)
	}
	if _, ok := n.has(t, float4); ok {
		t.Error("half of an Add that failed is there")
	}
	must(t, p.Add(t.Context(), float4))
	must(t, p.Remove(t.Context(), both...)) // one that cannot be there is no error
	must(t, p.Sweep(t.Context(), both...))
}

// TestClosed: after Close nothing is added, announced or repeated, and Close is no error the second time.
func TestClosed(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	must(t, p.Add(t.Context(), float4))
	h := p.held[float4]
	must(t, p.Close())
	must(t, p.Close())
	if err := p.Add(t.Context(), float6); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	sent := h.sent
	p.repeat(float4, h, h.turn)
	if h.sent != sent {
		t.Error("an announcement was repeated")
	}
	if _, ok := n.has(t, float4); !ok {
		t.Error("Close has removed the address")
	}
}

// TestVanished takes addresses away behind the provider's back: they are neither renewed nor announced, and can be had again.
func TestVanished(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	p := n.netlinkProvider(t, Config{})
	l, err := n.kernel.LinkByName(testDevice)
	must(t, err)
	for _, a := range both {
		must(t, p.Add(t.Context(), a))
		b, _ := n.has(t, a)
		must(t, n.kernel.AddrDel(l, &netlink.Addr{IPNet: b.IPNet}))
		p.mu.Lock()
		if p.send(a) {
			t.Errorf("%s is announced, and is gone", a)
		}
		p.mu.Unlock()
		if err := p.Renew(t.Context(), a); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", a, err)
		}
		if err := p.Renew(t.Context(), a); !errors.Is(err, ErrGone) { // nor the second time
			t.Errorf("%s: %v", a, err)
		}
		if _, ok := n.has(t, a); ok {
			t.Errorf("a renewal has brought %s back", a)
		}
		p.Announce(a) // not held any more
		if p.held[a] != nil {
			t.Errorf("%s is held", a)
		}
		must(t, p.Add(t.Context(), a))
		must(t, p.Renew(t.Context(), a))
	}
}
