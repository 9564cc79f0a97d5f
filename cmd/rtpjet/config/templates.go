package config

import (
	"rtpjet/ngserver/ng"
)

// templates reads the section of the configuration file that --templates names: NAME = FLAGS, in the syntax of rtpp-flags.
func (d *decoder) templates(file *iniFile) ng.Templates {
	section := d.s.one("templates", "")
	if section == "" {
		return nil
	}
	var g *iniGroup
	if file != nil {
		g = file.group(section)
	}
	if g == nil {
		d.faults.add("--templates is %s, and the configuration file has no section [%s]; write one, with a line NAME = FLAGS for each template",
			Quote(section), section)
		return nil
	}
	t := ng.Templates{}
	for _, k := range g.keys {
		t[k.name] = iniUnescape(k.value)
	}
	return t
}
