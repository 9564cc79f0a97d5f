package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"rtpjet/relay/plan"
)

// interfaceSpec is one interface as the operator wrote it: its address may still be a name.
type interfaceSpec struct {
	where      string // for messages
	name       string
	host       string // an address, a network card, a host name, or any
	advertised netip.Addr
	ports      plan.PortRange
	exclude    []plan.PortRange
	zone       string
}

const defaultInterface = "default"

// parseInterface reads [NAME/]ADDR[!ADVERTISED], or ALIAS=NAME: then alias is set, and spec.name is what it stands for.
func parseInterface(s string) (spec interfaceSpec, alias string, err error) {
	s = strings.TrimSpace(s)
	if left, right, ok := strings.Cut(s, "="); ok {
		left, right = strings.TrimSpace(left), strings.TrimSpace(right)
		if !validName(left) || !validName(right) {
			return spec, "", fmt.Errorf("%s is no ALIAS=NAME", Quote(s))
		}
		return interfaceSpec{name: right}, left, nil
	}
	spec.name = defaultInterface
	rest := s
	if name, r, ok := strings.Cut(s, "/"); ok {
		if spec.name, rest = strings.TrimSpace(name), r; !validName(spec.name) {
			return spec, "", fmt.Errorf("%s has no name before the slash", Quote(s))
		}
	}
	host, adv, given := strings.Cut(rest, "!")
	if spec.host = strings.TrimSpace(host); spec.host == "" {
		return spec, "", fmt.Errorf("%s has no address", Quote(s))
	}
	if inner, ok := strings.CutPrefix(spec.host, "["); ok {
		spec.host, _ = strings.CutSuffix(inner, "]")
	}
	if !validName(spec.host) {
		return spec, "", fmt.Errorf("%s is no address, network card or host name", Quote(spec.host))
	}
	if given {
		if spec.advertised, err = netip.ParseAddr(strings.Trim(strings.TrimSpace(adv), "[]")); err != nil {
			return spec, "", fmt.Errorf("%s behind the exclamation mark is no IP address", Quote(adv))
		}
		spec.advertised = spec.advertised.Unmap()
	}
	return spec, "", nil
}

// validName reports whether s can be the name of an interface, a network card or a host.
func validName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune("/!=,;[]", r)
	}) < 0
}

// interfaces reads --interface and the sections of --interfaces-config.
func (d *decoder) interfaces(file *iniFile) (specs []interfaceSpec, alias map[string]string) {
	alias = map[string]string{}
	ports := d.ports
	if ports.Max <= ports.Min {
		d.faults.add("--port-max is %d and --port-min is %d; the last port must be above the first", ports.Max, ports.Min)
		return nil, alias
	}
	for _, v := range d.s["interface"] {
		spec, other, err := parseInterface(v.value)
		switch {
		case err != nil:
			d.faults.add("%s: %v; write [NAME/]ADDR[!ADVERTISED], such as pub/10.0.0.1!192.0.2.1", v.where, err)
		case other != "":
			alias[other] = spec.name
		default:
			spec.where, spec.ports = v.where, ports
			specs = append(specs, spec)
		}
	}
	if prefix := d.s.one("interfaces-config", ""); prefix != "" {
		specs = append(specs, d.interfaceSections(file, prefix, ports, alias)...)
	}
	return specs, alias
}

func (d *decoder) interfaceSections(file *iniFile, prefix string, ports plan.PortRange, alias map[string]string) []interfaceSpec {
	var specs []interfaceSpec
	found := false
	if file != nil {
		for _, g := range file.groups {
			if name, ok := strings.CutPrefix(g.name, prefix+"-"); ok && name != "" {
				found = true
				specs = append(specs, d.interfaceSection(file, g, name, ports, alias)...)
			}
		}
	}
	if !found {
		d.faults.add("--interfaces-config is %s, and no section of the configuration file begins with [%s-; write one for each interface",
			Quote(prefix), prefix)
	}
	return specs
}

// interfaceSection reads one section: one interface with one or more addresses, or an alias of another.
func (d *decoder) interfaceSection(file *iniFile, g *iniGroup, name string, ports plan.PortRange, alias map[string]string) []interfaceSpec {
	sub := &decoder{s: settings{}}
	var hosts, advertised, target, zone string
	var exclude []plan.PortRange
	where := fmt.Sprintf("%s, section [%s]", file.name, g.name)
	for _, k := range g.keys {
		switch k.name {
		case "address":
			hosts = joinList(hosts, k.value)
		case "advertised":
			advertised = joinList(advertised, k.value)
		case "name":
			name = iniUnescape(k.value)
		case "alias":
			target = iniUnescape(k.value)
		case "zone":
			zone = d.zone(k.value, where+": zone")
		case "port-min", "port-max":
			sub.s[k.name] = []setting{{k.value, where + ": " + k.name}}
		case "exclude-ports":
			for part := range strings.FieldsFuncSeq(k.value, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
				r, err := parsePorts(part)
				if err != nil {
					d.faults.add("%s: exclude-ports: %v", where, err)
					continue
				}
				exclude = append(exclude, r)
			}
		default:
			d.faults.add("%s, line %d: there is no %s for an interface; there are address, advertised, name, alias, port-min, port-max, exclude-ports and zone",
				file.name, k.line, Quote(k.name))
		}
	}
	ports.Min = uint16(sub.numberOr("port-min", int(ports.Min)))
	ports.Max = uint16(sub.numberOr("port-max", int(ports.Max)))
	d.faults.addErr(sub.faults.err())
	switch {
	case !validName(name):
		d.faults.add("%s: %s cannot be the name of an interface", where, Quote(name))
	case target != "" && hosts != "":
		d.faults.add("%s has an address and an alias; an alias is another name for an interface that has one", where)
	case target != "":
		alias[name] = target
	case hosts == "":
		d.faults.add("%s has no address; write address = ADDR", where)
	case ports.Max <= ports.Min:
		d.faults.add("%s: port-max is %d and port-min is %d; the last port must be above the first", where, ports.Max, ports.Min)
	default:
		specs := d.sectionSpecs(where, name, iniList(hosts), iniList(advertised), ports, exclude)
		for i := range specs {
			specs[i].zone = zone
		}
		return specs
	}
	return nil
}

func (d *decoder) sectionSpecs(where, name string, hosts, advertised []string, ports plan.PortRange, exclude []plan.PortRange) []interfaceSpec {
	if len(advertised) > 0 && len(advertised) != len(hosts) {
		d.faults.add("%s has %d addresses and advertises %d; give one for each, or none", where, len(hosts), len(advertised))
		return nil
	}
	var specs []interfaceSpec
	for i, host := range hosts {
		text := name + "/" + host
		if len(advertised) > 0 && !strings.Contains(host, "!") {
			text += "!" + advertised[i]
		}
		spec, other, err := parseInterface(text)
		if err != nil || other != "" {
			d.faults.add("%s: the address %s cannot be used; write an IP address, a network card or a host name", where, Quote(host))
			continue
		}
		spec.where, spec.ports, spec.exclude = where, ports, exclude
		specs = append(specs, spec)
	}
	return specs
}

func joinList(a, b string) string {
	if a == "" {
		return b
	}
	return a + ";" + b
}

// parsePorts reads PORT or PORT-PORT.
func parsePorts(s string) (plan.PortRange, error) {
	low, high, two := strings.Cut(s, "-")
	if !two {
		high = low
	}
	a, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	b, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	if err1 != nil || err2 != nil || b < a {
		return plan.PortRange{}, fmt.Errorf("%s is no PORT or PORT-PORT", Quote(s))
	}
	return plan.PortRange{Min: uint16(a), Max: uint16(b)}, nil
}

// resolve turns the names in the specs into addresses and makes the table.
func (d *decoder) resolve(ctx context.Context, c *Config, specs []interfaceSpec, alias map[string]string, env Env) {
	var list []plan.Interface
	failed := len(d.faults.list) > 0
	for _, s := range specs {
		addrs, err := s.addrs(ctx, env)
		if err != nil {
			failed = true
			d.faults.add("%s: cannot find the media address %s: %v; "+
				"write an IP address of this machine, the name of a network card (ip addr lists them), or a host name", s.where, Quote(s.host), err)
			continue
		}
		for _, a := range addrs {
			i := plan.Interface{Name: s.name, Addr: a, Ports: s.ports, Exclude: s.exclude, Zone: s.zone}
			if s.advertised.IsValid() && (len(addrs) == 1 || s.advertised.Is4() == a.Is4()) {
				i.Advertised = s.advertised
			}
			list = append(list, i)
		}
	}
	switch {
	case failed:
		return // what is missing may be among what could not be read
	case len(list) == 0:
		d.faults.add("there is no --interface: name the address for media, such as --interface 192.0.2.1, a network card, or any")
		return
	}
	table, err := plan.NewInterfaces(list, alias)
	if err != nil {
		d.faults.add("--interface: %v", err)
		return
	}
	c.Interfaces = table
}

func (s *interfaceSpec) addrs(ctx context.Context, env Env) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(s.host); err == nil {
		if a = a.Unmap(); a.IsUnspecified() || a.IsMulticast() {
			return nil, errors.New("media needs an address that others can send to")
		}
		return []netip.Addr{a}, nil
	}
	card := s.host
	if card == "any" {
		card = ""
	}
	addrs, err := env.CardAddrs(card)
	if err == nil && len(addrs) == 0 {
		return nil, errors.New("it has no address")
	}
	if err == nil || card == "" {
		return addrs, err
	}
	if addrs, err = env.LookupHost(ctx, s.host); err != nil {
		return nil, errors.New("there is no network card and no host of that name")
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// cardAddrs returns the addresses of a network card, or of all cards that are up but loopback. Link-local addresses of
// IPv6 are left out: an SDP cannot name them.
func cardAddrs(name string) ([]netip.Addr, error) {
	var cards []net.Interface
	if name != "" {
		card, err := net.InterfaceByName(name)
		if err != nil {
			return nil, err
		}
		cards = append(cards, *card)
	} else {
		var err error
		if cards, err = net.Interfaces(); err != nil {
			return nil, err
		}
	}
	var out []netip.Addr
	for _, card := range cards {
		if name == "" && (card.Flags&net.FlagLoopback != 0 || card.Flags&net.FlagUp == 0) {
			continue
		}
		addrs, err := card.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLinkLocalUnicast() {
					out = append(out, ip.Unmap())
				}
			}
		}
	}
	return out, nil
}

// mainAddr asks the kernel which address it would use towards others. No packet is sent: connecting a UDP socket only
// looks up the route.
func mainAddr() netip.Addr {
	for _, target := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		conn, err := net.Dial("udp", target)
		if err != nil {
			continue
		}
		local, err := netip.ParseAddrPort(conn.LocalAddr().String())
		_ = conn.Close()
		if err == nil && !local.Addr().IsUnspecified() {
			return local.Addr().Unmap()
		}
	}
	return netip.Addr{}
}

// devInterface is the one interface of dev: the address by which others reach this machine, or loopback without a network.
func devInterface(ports plan.PortRange, env Env) interfaceSpec {
	a := env.MainAddr()
	if !a.IsValid() {
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return interfaceSpec{where: "--interface", name: defaultInterface, host: a.String(), ports: ports}
}
