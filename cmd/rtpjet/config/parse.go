package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// setting is a value of an option, and where it was written.
type setting struct {
	value string
	where string // "--timeout", or "rtpengine.conf, line 12: timeout"
}

// settings are the values of options by their long names. A value of the command line replaces all of the file.
type settings map[string][]setting

// reader goes through the words of a command line.
type reader struct {
	table  *optionTable
	args   []string // what is left
	out    settings
	rest   []string // what is no option
	faults faultList
}

// parse reads options as GLib does: --name=value, --name value, -n value, -nvalue, several flags behind one dash,
// and -- before what is no option. A value may start with a dash. It returns what is no option, too.
func (t *optionTable) parse(args []string) (settings, []string, error) {
	r := reader{table: t, args: args, out: settings{}}
	for len(r.args) > 0 {
		arg := r.args[0]
		r.args = r.args[1:]
		switch {
		case arg == "--":
			r.rest, r.args = append(r.rest, r.args...), nil
		case strings.HasPrefix(arg, "--"):
			r.long(arg[2:])
		case len(arg) > 1 && arg[0] == '-':
			r.letters(arg)
		default:
			r.rest = append(r.rest, arg)
		}
	}
	return r.out, r.rest, r.faults.err()
}

// next takes the word behind an option for its value.
func (r *reader) next(name string) (value string, ok bool) {
	if len(r.args) == 0 {
		r.faults.add("%s has no value; write it behind the option", name)
		return "", false
	}
	value, r.args = r.args[0], r.args[1:]
	return value, true
}

// long reads NAME or NAME=VALUE.
func (r *reader) long(word string) {
	name, value, given := strings.Cut(word, "=")
	o := r.table.long[name]
	if o == nil && r.table.families {
		if o = r.table.ofFamily(name); o != nil && !given && (len(r.args) == 0 || strings.HasPrefix(r.args[0], "-")) {
			given = true // a flag, or none of whose value there is anything to know
		}
	}
	switch {
	case o == nil:
		r.faults.add("there is no option --%s%s", name, r.table.suggest(name))
		return
	case given:
	case o.isFlag():
		value = "true"
	default:
		if value, given = r.next("--" + name); !given {
			return
		}
	}
	r.out.add(o, setting{value, "--" + name})
}

// letters reads -n, -nVALUE, -n VALUE, and flags in one word.
func (r *reader) letters(arg string) {
	for i := 1; i < len(arg); i++ {
		o := r.table.short[arg[i]]
		name := "-" + arg[i:i+1]
		if o == nil {
			r.faults.add("there is no option %s, in %s; rtpjet help COMMAND lists the options", name, Quote(arg))
			return
		}
		if o.isFlag() {
			r.out.add(o, setting{"true", name})
			continue
		}
		if value := arg[i+1:]; value != "" {
			r.out.add(o, setting{strings.TrimPrefix(value, "="), name})
		} else if value, ok := r.next(name); ok {
			r.out.add(o, setting{value, name})
		}
		return
	}
}

// add sets an option once more: lists grow, everything else changes.
func (s settings) add(o *option, v setting) {
	if o.isList() {
		s[o.long] = append(s[o.long], v)
		return
	}
	s[o.long] = []setting{v}
}

// one returns the last value of an option.
func (s settings) one(name, def string) string {
	if v := s[name]; len(v) > 0 {
		return v[len(v)-1].value
	}
	return def
}

// on tells whether a flag was given.
func (s settings) on(name string) bool { return s.one(name, "") == "true" }

// fromGroup reads the settings of a section of the file. Names that nobody knows are warned of: rtpengine passes over
// them, and files with such names are in use.
func fromGroup(f *iniFile, g *iniGroup) (s settings, warnings []string) {
	s = settings{}
	for _, k := range g.keys {
		where := f.name + ", line " + strconv.Itoa(k.line) + ": " + k.name
		o := serveTable.long[k.name]
		if o == nil {
			o = serveTable.ofFamily(k.name)
		}
		switch {
		case o == nil:
			warnings = append(warnings, where+": there is no such option"+serveTable.suggest(k.name)+"; it is passed over")
		case o.isList():
			for _, v := range iniList(k.value) {
				s.add(o, setting{v, where})
			}
		default:
			s.add(o, setting{iniUnescape(k.value), where})
		}
	}
	return s, warnings
}

// override puts the settings of the command line over those of the file.
func (s settings) override(by settings) {
	for name, v := range by {
		s[name] = v
	}
}

// unused names the options in s that have no effect here, each once, sorted.
func (s settings) unused() []string {
	var out []string
	for name, v := range s {
		if o := serveTable.long[name]; o == nil || !o.used() {
			out = append(out, v[0].where+" has no effect in rtpjet")
		}
	}
	slices.Sort(out)
	return out
}

// suggest names up to three options that look like name, or points to the help.
func (t *optionTable) suggest(name string) string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for known := range t.long {
		d := editDistance(name, known)
		if len(name) >= 4 && strings.HasPrefix(known, name) {
			d = min(d, 2)
		}
		if d <= 2 && d < len(name) {
			found = append(found, candidate{known, d})
		}
	}
	if len(found) == 0 {
		return "; rtpjet help COMMAND lists the options"
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range found[:min(3, len(found))] {
		names = append(names, "--"+c.name)
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}

// editDistance counts the letters to insert, remove or replace to get from a to b. It gives up beyond 2.
func editDistance(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
