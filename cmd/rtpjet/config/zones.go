package config

import (
	"cmp"
	"slices"
	"strings"

	"rtpjet/projection/members"
)

// zones decodes where the node and its interfaces are. An interface is where --interface-zone says, or its section of the file,
// or else where the node is.
func (d *decoder) zones(c *Config, specs []interfaceSpec) {
	c.Zone = d.zone(d.s.one("zone", ""), "--zone")
	option := make(map[string]string)
	for _, v := range d.s["interface-zone"] {
		name, zone, ok := strings.Cut(v.value, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.TrimSpace(zone) == "" {
			d.faults.add("%s is %s; it must be NAME=ZONE, with the name of an --interface, such as pub=eu/fra/a", v.where, Quote(v.value))
			continue
		}
		if zone = d.zone(zone, v.where); option[name] != "" && option[name] != zone {
			d.faults.add("%s: interface %s is in two zones, %s and %s; leave one out", v.where, name, option[name], zone)
		}
		option[name] = zone
		if len(d.faults.list) == 0 && !slices.ContainsFunc(specs, func(s interfaceSpec) bool { return s.is(name) }) {
			d.faults.add("%s is %s, and there is no interface %s; write one of %s, or give an --interface that name",
				v.where, Quote(v.value), Quote(name), strings.Join(specNames(specs), ", "))
		}
	}
	seen := make(map[string]string)
	for i := range specs {
		s := &specs[i]
		base, _, _ := strings.Cut(s.name, ":")
		s.zone = cmp.Or(option[s.name], option[base], s.zone, c.Zone)
		if before, ok := seen[s.name]; ok && before != s.zone {
			d.faults.add("%s: interface %s is in two zones, %s and %s; give all its addresses the same zone, or two names", s.where, s.name,
				cmp.Or(before, "none"), cmp.Or(s.zone, "none"))
		}
		seen[s.name] = s.zone
	}
}

// zone reads the name of a zone.
func (d *decoder) zone(value, where string) string {
	value = strings.TrimSpace(value)
	if !members.ValidZone(value) {
		d.faults.add("%s is %s; it must be names of letters, digits, ., - and _ with slashes between, such as eu/fra/a", where, Quote(value))
		return ""
	}
	return value
}

// is tells whether name stands for the interface, or for the group that it belongs to.
func (s *interfaceSpec) is(name string) bool {
	base, _, _ := strings.Cut(s.name, ":")
	return s.name == name || base == name
}

func specNames(specs []interfaceSpec) []string {
	var names []string
	for i := range specs {
		if !slices.Contains(names, specs[i].name) {
			names = append(names, specs[i].name)
		}
	}
	return names
}
