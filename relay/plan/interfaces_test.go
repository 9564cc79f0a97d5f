package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func iface(name, addr string) Interface {
	return Interface{Name: name, Addr: netip.MustParseAddr(addr), Ports: PortRange{30000, 39999}}
}

func TestInterfacesLookup(t *testing.T) {
	pub := iface("pub", "192.0.2.1")
	pub.Advertised = netip.MustParseAddr("203.0.113.1")
	table, err := NewInterfaces([]Interface{
		pub, iface("pub", "192.0.2.2"), iface("pub", "2001:db8::1"),
		iface("priv", "10.0.0.1"),
		iface("six", "2001:db8::6"),
		iface("g:1", "10.1.0.1"), iface("g:2", "10.1.0.2"), iface("g:2", "2001:db8::a:2"), iface("g:3", "2001:db8::a:3"),
	}, map[string]string{"external": "pub", "all": "g"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, family string
		turn         uint64
		want         string
		advertised   string
		exact        bool
	}{
		{"", "IP4", 0, "192.0.2.1", "203.0.113.1", true},
		{"", "IP4", 7, "192.0.2.1", "203.0.113.1", true},
		{"pub", "IP6", 0, "2001:db8::1", "2001:db8::1", true},
		{"external", "IP6", 0, "2001:db8::1", "2001:db8::1", true},
		{"priv", "IP4", 0, "10.0.0.1", "10.0.0.1", true},
		{"priv", "IP6", 0, "10.0.0.1", "10.0.0.1", true},
		{"six", "IP4", 3, "2001:db8::6", "2001:db8::6", true},
		{"nobody", "IP4", 0, "192.0.2.1", "203.0.113.1", false},
		{"g", "IP4", 0, "10.1.0.1", "10.1.0.1", true},
		{"g", "IP4", 1, "10.1.0.2", "10.1.0.2", true},
		{"g", "IP4", 2, "10.1.0.1", "10.1.0.1", true},
		{"g", "IP6", 0, "2001:db8::a:2", "2001:db8::a:2", true},
		{"all", "IP6", 1, "2001:db8::a:3", "2001:db8::a:3", true},
		{"g:2", "IP4", 0, "10.1.0.2", "10.1.0.2", true},
		{"g:3", "IP4", 0, "2001:db8::a:3", "2001:db8::a:3", true},
	}
	for _, tt := range tests {
		a, exact := table.Lookup(tt.name, tt.family, tt.turn)
		if a.Addr.String() != tt.want || a.Advertised.String() != tt.advertised || exact != tt.exact {
			t.Errorf("Lookup(%q, %s, %d) = %v advertised as %v, %v", tt.name, tt.family, tt.turn, a.Addr, a.Advertised, exact)
		}
	}
	if got := table.Addrs("external"); len(got) != 3 {
		t.Errorf("Addrs: %v", got)
	}
	for _, tt := range []struct {
		name, member string
		want         bool
	}{
		{"g", "g:2", true}, {"all", "g:1", true}, {"g:1", "g:2", false}, {"pub", "pub", true},
		{"external", "pub", true}, {"", "pub", true}, {"pub", "priv", false}, {"g", "pub", false},
	} {
		if got := table.Has(tt.name, tt.member); got != tt.want {
			t.Errorf("Has(%q, %q) = %v", tt.name, tt.member, got)
		}
	}
	for name, want := range map[string]bool{"": true, "g": true, "all": true, "pub": true, "x": false} {
		if table.Known(name) != want {
			t.Errorf("Known(%q) = %v", name, !want)
		}
	}
	if len(table.All()) != 9 || table.Default() != "pub" {
		t.Errorf("All has %d, the default is %s", len(table.All()), table.Default())
	}
}

func TestInterfacesDefaultGroup(t *testing.T) {
	table, err := NewInterfaces([]Interface{iface("g:1", "10.1.0.1"), iface("g:2", "10.1.0.2")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := table.Lookup("", "IP4", 1); a.Name != "g:2" {
		t.Errorf("the default group's second turn is %s", a.Name)
	}
}

func TestInterfacesFaults(t *testing.T) {
	broken := func(change func(*Interface)) []Interface {
		a := iface("a", "10.0.0.1")
		change(&a)
		return []Interface{a}
	}
	tests := []struct {
		name  string
		list  []Interface
		alias map[string]string
		want  string
	}{
		{"none", nil, nil, "no media address"},
		{"no name", broken(func(a *Interface) { a.Name = "" }), nil, "no name"},
		{"no address", broken(func(a *Interface) { a.Addr = netip.Addr{} }), nil, "no usable address"},
		{"wildcard", broken(func(a *Interface) { a.Addr = netip.IPv4Unspecified() }), nil, "no usable address"},
		{"advertised", broken(func(a *Interface) { a.Advertised = netip.IPv6Unspecified() }), nil, "cannot advertise"},
		{"ports", broken(func(a *Interface) { a.Ports = PortRange{4000, 4000} }), nil, "empty range"},
		{"twice", []Interface{iface("a", "10.0.0.1"), iface("a", "10.0.0.1")}, nil, "twice"},
		{"alias of nothing", []Interface{iface("a", "10.0.0.1")}, map[string]string{"x": "b"}, "no such interface"},
		{"alias of itself", []Interface{iface("a", "10.0.0.1")}, map[string]string{"a": "a"}, "is an interface itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewInterfaces(tt.list, tt.alias)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestInterfacesPools(t *testing.T) {
	a := iface("a", "10.0.0.1")
	a.Ports, a.Exclude = PortRange{30000, 31000}, []PortRange{{30500, 30509}, {31000, 32000}}
	b := iface("b", "10.0.0.1")
	b.Ports = PortRange{40000, 40100}
	c := iface("c", "10.0.0.1")
	c.Ports = PortRange{40050, 40200}
	d := iface("d", "10.0.0.2")
	d.Exclude = []PortRange{{1, 65535}}
	table, err := NewInterfaces([]Interface{a, b, c, d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []PortPool{{Addr: a.Addr, Ports: PortRange{30000, 40200}, Exclude: []PortRange{{30500, 30509}, {31000, 39999}}}}
	if diff := cmp.Diff(want, table.Pools(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// TestInterfacesOwn: an address with a port that media may come to, as it is bound or as SDPs say it.
func TestInterfacesOwn(t *testing.T) {
	a := iface("a", "10.0.0.1")
	a.Advertised, a.Exclude = netip.MustParseAddr("203.0.113.1"), []PortRange{{31000, 31009}}
	b := iface("b", "10.0.0.1")
	b.Ports = PortRange{50000, 50100}
	table, err := NewInterfaces([]Interface{a, b, iface("six", "2001:db8::6")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"10.0.0.1:30000": true, "203.0.113.1:39999": true, "10.0.0.1:50050": true, "[2001:db8::6]:30001": true,
		"10.0.0.1:29999": false, "10.0.0.1:40000": false, "10.0.0.1:31005": false, "10.0.0.2:30000": false, "[2001:db8::7]:30000": false,
	} {
		if got := table.Own(netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s: %t", addr, got)
		}
	}
	if table.Own(netip.AddrPort{}) {
		t.Error("no address at all is one of ours")
	}
}
