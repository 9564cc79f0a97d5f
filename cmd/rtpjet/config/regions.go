package config

import (
	"slices"
	"strings"

	"rtpjet/embed"
)

// regions decodes what joins this region with others.
func (d *decoder) regions(c *Config) {
	c.RegionListen = d.s.one("region-listen", "")
	if c.RegionListen != "" && !fixedPort(c.RegionListen) {
		d.faults.add("--region-listen is %s; it must be ADDR:PORT, such as 192.0.2.1:7422", Quote(c.RegionListen))
	}
	for _, v := range d.s["region-peer"] {
		d.regionPeer(c, v)
	}
	if c.RegionListen == "" && len(c.RegionPeers) == 0 {
		return
	}
	if len(d.s["nats"]) > 0 {
		d.faults.add("--nats and --region-listen or --region-peer exclude each other: regions are joined by the embedded NATS; leave one out")
	}
	if len(d.s["region"]) == 0 {
		d.faults.add("--region-peer and --region-listen need --region: each region has a name of its own")
	}
	if len(d.s["cluster-key-file"]) == 0 {
		d.faults.add("regions need a secret that all of them share: give every node of every region the same --cluster-key-file")
	}
}

// regionPeer decodes NAME=ADDR:PORT,....
func (d *decoder) regionPeer(c *Config, v setting) {
	name, list, ok := strings.Cut(v.value, "=")
	name = strings.TrimSpace(name)
	switch {
	case !ok || !embed.ValidName(name):
		d.faults.add("%s is %s; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422", v.where, Quote(v.value))
		return
	case name == c.Region:
		d.faults.add("%s names %s, which is this region itself; leave it out, or correct --region", v.where, Quote(name))
		return
	case slices.ContainsFunc(c.RegionPeers, func(p embed.RegionPeer) bool { return p.Name == name }):
		d.faults.add("%s names %s once more; give all its addresses in one, with commas", v.where, Quote(name))
		return
	}
	p, wrong := embed.RegionPeer{Name: name}, false
	for u := range strings.SplitSeq(list, ",") {
		if u = strings.TrimSpace(u); u == "" {
			continue
		}
		if !reachable(u) {
			d.faults.add("%s is %s; it must be NAME=ADDR:PORT, such as us=198.51.100.1:7422", v.where, Quote(v.value))
			wrong = true
			continue
		}
		p.URLs = append(p.URLs, u)
	}
	if len(p.URLs) == 0 && !wrong {
		d.faults.add("%s names no server of region %s; write NAME=ADDR:PORT", v.where, Quote(name))
	}
	c.RegionPeers = append(c.RegionPeers, p)
}
