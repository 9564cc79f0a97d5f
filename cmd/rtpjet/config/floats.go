package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/keeper/netaddr"
	"rtpjet/relay/plan"
)

// Float is one unit of floating addresses: one address of each interface and family. They move together, since a call may
// have sockets on several of them.
type Float struct {
	// ID names the float in the cluster: its first address, with _ for the colons of IPv6.
	ID    string
	Addrs []netaddr.Address
	// Interfaces are the same addresses as calls see them.
	Interfaces *plan.Interfaces
}

// Providers of floating addresses.
const (
	providerNetlink = "netlink"
	providerNone    = "none"
	providerExec    = "exec:"
)

type floatSpec struct {
	name       string
	addr       netaddr.Address
	advertised netip.Addr
}

// parseFloat reads [NAME/]ADDR[!ADVERTISED]/PREFIX@DEVICE.
func parseFloat(s string) (f floatSpec, err error) {
	const form = "write NAME/ADDR/PREFIX@DEVICE, such as pub/192.0.2.100/24@eth0"
	front, device, ok := strings.Cut(strings.TrimSpace(s), "@")
	parts := strings.Split(front, "/")
	if len(parts) == 2 {
		parts = append([]string{defaultInterface}, parts...)
	}
	if !ok || len(parts) != 3 || !validName(parts[0]) {
		return f, fmt.Errorf("%s is no floating address; %s", Quote(s), form)
	}
	host, adv, given := strings.Cut(parts[1], "!")
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return f, fmt.Errorf("%s is no IP address; %s", Quote(host), form)
	}
	bits, err := strconv.Atoi(parts[2])
	if err != nil || bits < 0 || bits > addr.BitLen() {
		return f, fmt.Errorf("%s is no length of a network; %s", Quote(parts[2]), form)
	}
	f.name, f.addr = parts[0], netaddr.Address{Prefix: netip.PrefixFrom(addr.Unmap(), bits), Device: device}
	if given {
		if f.advertised, err = netip.ParseAddr(strings.Trim(adv, "[]")); err != nil {
			return f, fmt.Errorf("%s behind the exclamation mark is no IP address", Quote(adv))
		}
		f.advertised = f.advertised.Unmap()
	}
	if err := f.addr.Validate(); err != nil {
		return f, fmt.Errorf("%s cannot float: %w", Quote(s), err)
	}
	return f, nil
}

// floats decodes --float and what belongs to it. c.Interfaces is known by then, nil if it has a fault.
func (d *decoder) floats(c *Config, specs []interfaceSpec, alias map[string]string) {
	c.FloatProvider = d.floatProvider()
	c.FloatTimeout = time.Duration(d.number("float-timeout")) * time.Millisecond
	c.FloatSettle = d.seconds("float-settle")
	list := d.floatSpecs()
	if len(list) == 0 || len(d.faults.list) > 0 {
		return
	}
	if len(c.ClusterKey) == 0 {
		c.Warnings = append(c.Warnings, "--float without --cluster-key-file: whoever can send packets to this node can take its floating addresses away")
	}
	units, err := groupFloats(list)
	if err != nil {
		d.faults.add("--float: %v", err)
		return
	}
	if c.Interfaces != nil {
		d.floatsFit(c.Interfaces, list)
	}
	for _, unit := range units {
		f, err := d.float(unit, specs, alias)
		if err != nil {
			d.faults.add("--float: %v", err)
			return
		}
		c.Floats = append(c.Floats, f)
	}
}

func (d *decoder) floatProvider() string {
	p := strings.TrimSpace(d.text("float-provider"))
	if p != providerNetlink && p != providerNone && !strings.HasPrefix(p, providerExec+"/") {
		d.faults.add("--float-provider is %s; it must be netlink, none, or exec:/PATH/OF/A/SCRIPT", Quote(p))
	}
	return p
}

// floatSpecs reads each --float.
func (d *decoder) floatSpecs() []floatSpec {
	var list []floatSpec
	for _, v := range d.s["float"] {
		f, err := parseFloat(v.value)
		switch {
		case err != nil:
			d.faults.add("%s: %v", v.where, err)
		case slices.ContainsFunc(list, func(g floatSpec) bool { return g.addr.Addr() == f.addr.Addr() }):
			d.faults.add("%s: the floating address %s is there twice", v.where, f.addr.Addr())
		default:
			list = append(list, f)
		}
	}
	return list
}

// floatsFit checks that each interface has a floating address, and that these are nobody's own.
func (d *decoder) floatsFit(own *plan.Interfaces, list []floatSpec) {
	for _, i := range own.All() {
		switch {
		case slices.ContainsFunc(list, func(f floatSpec) bool { return f.addr.Addr() == i.Addr }):
			d.faults.add("%s is a floating address and one of this machine's own: take it out of --interface, and out of the machine's configuration", i.Addr)
		case !slices.ContainsFunc(list, func(f floatSpec) bool { return f.name == i.Name }):
			d.faults.add("interface %s has no floating address, and others have: calls through it could not move; give it a --float, or leave it out", i.Name)
		}
	}
}

// float makes one unit. Its ports are those of the interface with the same name, which may have a section of its own.
func (d *decoder) float(unit []floatSpec, specs []interfaceSpec, alias map[string]string) (Float, error) {
	var table []plan.Interface
	f := Float{ID: strings.ReplaceAll(unit[0].addr.Addr().String(), ":", "_")}
	for _, s := range unit {
		i := plan.Interface{Name: s.name, Addr: s.addr.Addr(), Advertised: s.advertised, Ports: d.ports}
		for _, o := range specs {
			if o.name == s.name {
				i.Ports, i.Exclude = o.ports, o.exclude
			}
		}
		table = append(table, i)
		f.Addrs = append(f.Addrs, s.addr)
	}
	var err error
	f.Interfaces, err = plan.NewInterfaces(table, alias)
	return f, err
}

// groupFloats makes units: the first address of each interface and family is one, the second another, and so on.
func groupFloats(list []floatSpec) ([][]floatSpec, error) {
	type kind struct{ name, family string }
	num := make(map[kind]int)
	var units [][]floatSpec
	for _, f := range list {
		k := kind{f.name, plan.Family(f.addr.Addr())}
		if num[k] == len(units) {
			units = append(units, nil)
		}
		units[num[k]] = append(units[num[k]], f)
		num[k]++
	}
	for k, n := range num {
		if n != len(units) {
			return nil, fmt.Errorf("interface %s has %d floating addresses of %s, and another has %d: each float is one address of every interface "+
				"and family, so give them equally many", k.name, n, k.family, len(units))
		}
	}
	slices.SortStableFunc(units, func(a, b []floatSpec) int { return cmp.Compare(a[0].addr.Addr().String(), b[0].addr.Addr().String()) })
	return units, nil
}

// listenFloat decodes float:NAME:PORT: NG on the floating addresses of an interface, wherever they are.
func (d *decoder) listenFloat(c *Config, v setting) {
	name, port, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(v.value), "float:"), ":")
	if n, err := strconv.ParseUint(port, 10, 16); !ok || err != nil || n == 0 {
		d.faults.add("%s is %s; it must be float:NAME:PORT with the name of a --float, such as float:pub:2223", v.where, Quote(v.value))
		return
	}
	found := false
	for _, f := range c.Floats {
		for _, i := range f.Interfaces.All() {
			if i.Name == name {
				found = true
				c.ListenFloat = append(c.ListenFloat, net.JoinHostPort(i.Addr.String(), port))
			}
		}
	}
	if !found && len(d.faults.list) == 0 {
		d.faults.add("%s is %s, and no --float has the name %s", v.where, Quote(v.value), Quote(name))
	}
}
