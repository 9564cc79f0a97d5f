package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtpjet/embed"
	"rtpjet/relay/plan"
)

// load decodes the options of serve, or of dev with its own defaults. Its error joins all faults.
func load(ctx context.Context, line settings, dev bool, env Env) (*Config, error) {
	env.fill()
	file, err := readConfigFile(line, dev, env)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	all := settings{}
	if file != nil {
		section := line.one("config-section", defaultConfigSection)
		g := file.group(section)
		if g == nil {
			return nil, usageError(fmt.Sprintf("%s has no section [%s]; write one, or name another with --config-section", file.name, section))
		}
		all, c.Warnings = fromGroup(file, g)
	}
	all.override(line)
	c.Warnings = append(c.Warnings, all.unused()...)

	d := &decoder{s: all}
	d.scalars(c)
	d.identity(c, dev, env)
	specs, alias := d.interfaces(file)
	if dev && len(specs) == 0 && len(all["interface"]) == 0 && len(all["interfaces-config"]) == 0 {
		specs = append(specs, devInterface(d.ports, env))
	}
	d.zones(c, specs)
	d.resolve(ctx, c, specs, alias, env)
	d.floats(c, specs, alias)
	d.listen(ctx, c, dev, env)
	c.Templates = d.templates(file)
	return c, d.faults.err()
}

// readConfigFile reads the file that the command line names, or the usual one if there is one; nil if there is none.
func readConfigFile(line settings, dev bool, env Env) (*iniFile, error) {
	name, given := line.one("config-file", ""), len(line["config-file"]) > 0
	if name == "none" || dev && !given {
		return nil, nil
	}
	if !given {
		name = defaultConfigFile
	}
	b, err := env.ReadFile(name)
	switch {
	case err == nil:
		return parseINI(name, b)
	case !given && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	}
	return nil, usageError(fmt.Sprintf("cannot read the configuration file %s: %v; name another with --config-file, or none", name, PathReason(err)))
}

// decoder turns settings into a Config and gathers what is wrong with them.
type decoder struct {
	s      settings
	faults faultList
	ports  plan.PortRange // of --port-min and --port-max
}

// number reads an option whose row of the table has its limits and its default.
func (d *decoder) number(name string) int {
	def, err := strconv.Atoi(serveTable.long[name].def)
	if err != nil {
		panic("no default for --" + name) // a mistake in the table, which any test finds
	}
	return d.numberOr(name, def)
}

// numberOr is number with another default.
func (d *decoder) numberOr(name string, def int) int {
	v := d.s[name]
	if len(v) == 0 {
		return def
	}
	o, last := serveTable.long[name], v[len(v)-1]
	n, err := strconv.Atoi(strings.TrimSpace(last.value))
	if err != nil || n < o.low || n > o.high {
		between := fmt.Sprintf("a whole number from %d to %d", o.low, o.high)
		if o.high == noLimit {
			between = fmt.Sprintf("a whole number of at least %d", o.low)
		}
		d.faults.add("%s is %s; it must be %s", last.where, Quote(last.value), between)
		return def
	}
	return n
}

func (d *decoder) seconds(name string) time.Duration {
	return time.Duration(d.number(name)) * time.Second
}

// text reads an option, which has the default of the table.
func (d *decoder) text(name string) string { return d.s.one(name, serveTable.long[name].def) }

// choice reads an option that is one of some words. more are words that are understood as well, and not told of.
func (d *decoder) choice(name, value string, more ...string) string {
	words := serveTable.long[name].words
	if !slices.Contains(words, value) && !slices.Contains(more, value) {
		last := len(words) - 1
		d.faults.add("--%s is %s; it must be %s or %s", name, Quote(value), strings.Join(words[:last], ", "), words[last])
	}
	return value
}

// lower reads an option in any case, and with space around it.
func (d *decoder) lower(name string) string { return strings.ToLower(strings.TrimSpace(d.text(name))) }

func (d *decoder) flag(name string) bool {
	v := d.s[name]
	if len(v) == 0 {
		return false
	}
	last := v[len(v)-1]
	switch strings.ToLower(strings.TrimSpace(last.value)) {
	case "true", "1", "yes":
		return true
	case "false", "0", "no":
		return false
	}
	d.faults.add("%s is %s; it must be true or false", last.where, Quote(last.value))
	return false
}

// name checks the value of an option that becomes a part of NATS names.
func (d *decoder) name(option, s string) string {
	if !embed.ValidName(s) {
		d.faults.add("--%s is %s; it must consist of letters, digits, - and _", option, Quote(s))
	}
	return s
}
