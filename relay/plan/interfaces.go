package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// PortRange is a range of ports, both ends included.
type PortRange struct{ Min, Max uint16 }

// Interface is one local address of a named ("logical") interface.
type Interface struct {
	// Name is what commands call the interface. Several addresses may have one name.
	Name string
	// Addr is where sockets are bound.
	Addr netip.Addr
	// Advertised is what SDPs say; Addr, unless there is a NAT between.
	Advertised netip.Addr
	// Ports is the range that ports are taken from, without those in Exclude.
	Ports   PortRange
	Exclude []PortRange
	// Zone is where the address is, for the choice of a node; all addresses of a name have the same one.
	Zone string
}

// Interfaces is the table of a node's media addresses. Nothing changes it, so it is safe for concurrent use.
type Interfaces struct {
	list    []Interface            // in the order given
	names   map[string][]Interface // a name's addresses
	alias   map[string]string
	members map[string][]string // BASE: its BASE:SUFFIX names, in order
	// primary are, for each interface and group, the first address of the interface or of each member, IPv4 and IPv6. Each
	// offer looks here several times.
	primary map[string][2][]*Interface
}

// NewInterfaces makes a table from addresses in the operator's order, and from other names for those. The first name is
// the default; names of the form BASE:SUFFIX make a group BASE, which stands for its members in turn.
func NewInterfaces(list []Interface, alias map[string]string) (*Interfaces, error) {
	t := &Interfaces{list: slices.Clone(list), names: map[string][]Interface{}, alias: map[string]string{}, members: map[string][]string{}}
	if len(list) == 0 {
		return nil, errors.New("there is no media address")
	}
	for i := range t.list {
		a := &t.list[i]
		if !a.Advertised.IsValid() {
			a.Advertised = a.Addr
		}
		if err := a.check(); err != nil {
			return nil, err
		}
		if t.names[a.Name] == nil {
			if base, _, ok := strings.Cut(a.Name, ":"); ok {
				t.members[base] = append(t.members[base], a.Name)
			}
		}
		for _, b := range t.names[a.Name] {
			if b.Addr == a.Addr && b.Advertised == a.Advertised {
				return nil, fmt.Errorf("interface %s has the address %v twice", a.Name, a.Addr)
			}
		}
		t.names[a.Name] = append(t.names[a.Name], *a)
	}
	for name, target := range alias {
		if t.known(name) {
			return nil, fmt.Errorf("%s cannot stand for interface %s: it is an interface itself", name, target)
		}
		if !t.known(target) {
			return nil, fmt.Errorf("%s cannot stand for %s: there is no such interface", name, target)
		}
		t.alias[name] = target
	}
	t.primary = make(map[string][2][]*Interface, len(t.names)+len(t.members))
	for name := range t.names {
		t.primary[name] = t.first(name)
	}
	for base, members := range t.members {
		if t.names[base] == nil {
			t.primary[base] = t.first(members...)
		}
	}
	return t, nil
}

func (a *Interface) check() error {
	switch {
	case a.Name == "":
		return errors.New("an interface has no name")
	case !a.Addr.IsValid() || a.Addr.IsUnspecified() || a.Addr.IsMulticast():
		return fmt.Errorf("interface %s has no usable address: %v", a.Name, a.Addr)
	case a.Advertised.IsUnspecified() || a.Advertised.IsMulticast():
		return fmt.Errorf("interface %s cannot advertise %v", a.Name, a.Advertised)
	case a.Ports.Min < 1 || a.Ports.Max <= a.Ports.Min:
		return fmt.Errorf("interface %s has an empty range of ports, %d to %d", a.Name, a.Ports.Min, a.Ports.Max)
	}
	return nil
}

func (t *Interfaces) known(name string) bool { return t.names[name] != nil || t.members[name] != nil }

// All returns the addresses in the operator's order.
func (t *Interfaces) All() []Interface { return slices.Clone(t.list) }

// Aliases returns the other names of interfaces.
func (t *Interfaces) Aliases() map[string]string { return maps.Clone(t.alias) }

// Default is the name that stands for "".
func (t *Interfaces) Default() string {
	first := t.list[0].Name
	if base, _, ok := strings.Cut(first, ":"); ok {
		return base // its members take turns
	}
	return first
}

// resolve follows an alias and turns "" into the default.
func (t *Interfaces) resolve(name string) string {
	if name == "" {
		return t.Default()
	}
	if target, ok := t.alias[name]; ok {
		return target
	}
	return name
}

// Known reports whether there is an interface, a group or an alias of that name. The name "" is known.
func (t *Interfaces) Known(name string) bool { return t.known(t.resolve(name)) }

// Has reports whether the address that carries the name member is one that name stands for: the same interface, one of
// the group, or either by an alias. A media that has a port on a member keeps it when a command names the group.
func (t *Interfaces) Has(name, member string) bool {
	name = t.resolve(name)
	return name == member || t.names[name] == nil && slices.Contains(t.members[name], member)
}

// Lookup returns the first address of an interface in a family, "IP4" or "IP6". The members of a group that have the
// family take turns: turn 0 is the first's. If nothing has the family, one of the other family is returned. exact is
// false if name is unknown; then the default interface serves.
func (t *Interfaces) Lookup(name, family string, turn uint64) (a Interface, exact bool) {
	name = t.resolve(name)
	if exact = t.known(name); !exact {
		name = t.resolve("")
	}
	primary := t.primary[name]
	candidates := primary[0]
	if family == "IP6" {
		candidates = primary[1]
	}
	if len(candidates) == 0 {
		candidates = primary[0]
		if family != "IP6" {
			candidates = primary[1]
		}
	}
	return *candidates[turn%uint64(len(candidates))], exact
}

// Zone returns where an interface is. An unknown name is that of the default interface, and the members of a group take turns.
func (t *Interfaces) Zone(name string, turn uint64) string {
	a, _ := t.Lookup(name, "", turn)
	return a.Zone
}

// Zoned tells whether any interface has a zone.
func (t *Interfaces) Zoned() bool {
	return slices.ContainsFunc(t.list, func(a Interface) bool { return a.Zone != "" })
}

// Local is Lookup for turn 0. It cannot fail: an unknown name is served by the default interface.
func (t *Interfaces) Local(name, family string) (Interface, bool) {
	a, _ := t.Lookup(name, family, 0)
	return a, true
}

// Own tells whether an address is one of the table, with a port of its range.
func (t *Interfaces) Own(a netip.AddrPort) bool {
	in := func(r PortRange) bool { return r.Min <= a.Port() && a.Port() <= r.Max }
	return slices.ContainsFunc(t.list, func(i Interface) bool {
		return (i.Addr == a.Addr() || i.Advertised == a.Addr()) && in(i.Ports) && !slices.ContainsFunc(i.Exclude, in)
	})
}

// Addrs returns all addresses of an interface, the first of each family before the others; ICE offers them all. For a
// group, the name of the member that was chosen has to be given.
func (t *Interfaces) Addrs(name string) []Interface { return slices.Clone(t.names[t.resolve(name)]) }

// first returns the first address in each family of the interfaces named.
func (t *Interfaces) first(names ...string) (found [2][]*Interface) {
	for _, n := range names {
		var have [2]bool
		for i := range t.names[n] {
			a := &t.names[n][i]
			f := 0
			if Family(a.Addr) == "IP6" {
				f = 1
			}
			if !have[f] {
				have[f] = true
				found[f] = append(found[f], a)
			}
		}
	}
	return found
}

// Family is "IP4" or "IP6", as SDP writes it.
func Family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IP4"
	}
	return "IP6"
}

// PortPool is what a node may bind on one address: a range, and what is not to be used of it.
type PortPool struct {
	Addr    netip.Addr
	Ports   PortRange
	Exclude []PortRange
}

// Pools returns one pool for each address. Ranges that several interfaces have on one address become one, and what lies
// between them is excluded.
func (t *Interfaces) Pools() []PortPool {
	var pools []PortPool
	for _, a := range t.list {
		if slices.ContainsFunc(pools, func(p PortPool) bool { return p.Addr == a.Addr }) {
			continue
		}
		var free []PortRange
		for _, b := range t.list {
			if b.Addr == a.Addr {
				free = append(free, without(b.Ports, b.Exclude)...)
			}
		}
		if pool, ok := poolOf(a.Addr, free); ok {
			pools = append(pools, pool)
		}
	}
	return pools
}

// without cuts ranges out of a range.
func without(r PortRange, cut []PortRange) []PortRange {
	free := []PortRange{r}
	for _, c := range cut {
		var next []PortRange
		for _, f := range free {
			if c.Max < f.Min || c.Min > f.Max {
				next = append(next, f)
				continue
			}
			if c.Min > f.Min {
				next = append(next, PortRange{f.Min, c.Min - 1})
			}
			if c.Max < f.Max {
				next = append(next, PortRange{c.Max + 1, f.Max})
			}
		}
		free = next
	}
	return free
}

func poolOf(addr netip.Addr, free []PortRange) (PortPool, bool) {
	if len(free) == 0 {
		return PortPool{}, false
	}
	slices.SortFunc(free, func(a, b PortRange) int { return cmp.Compare(a.Min, b.Min) })
	p := PortPool{Addr: addr, Ports: free[0]}
	for _, f := range free[1:] {
		if int(f.Min) > int(p.Ports.Max)+1 {
			p.Exclude = append(p.Exclude, PortRange{p.Ports.Max + 1, f.Min - 1})
		}
		p.Ports.Max = max(p.Ports.Max, f.Max)
	}
	return p, true
}
