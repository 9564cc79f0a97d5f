package app

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

// parseOptions reads options as GLib does: --name=value, --name value, -n value, -nvalue, several flags behind one dash,
// and -- before what is no option. A value may start with a dash. It returns what is no option, too.
func parseOptions(args []string, table map[string]*option, short map[byte]*option) (settings, []string, error) {
	out := settings{}
	var rest []string
	var faults faultList
	for i := 0; i < len(args); i++ {
		arg := args[i]
		next := func(name string) (string, bool) {
			if i+1 >= len(args) {
				faults.add("%s has no value; write it behind the option", name)
				return "", false
			}
			i++
			return args[i], true
		}
		switch {
		case arg == "--":
			return out, append(rest, args[i+1:]...), faults.err()
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			o := table[name]
			if o == nil && len(optionByName) == len(table) {
				if o = ofFamily(name); o != nil && !given && (i+1 >= len(args) || strings.HasPrefix(args[i+1], "-")) {
					given = true // a flag, or none of whose value there is anything to know
				}
			}
			if o == nil {
				faults.add("there is no option --%s%s", name, suggest(name, table))
				continue
			}
			if o.isFlag() && !given {
				value = "true"
			} else if !given {
				var ok bool
				if value, ok = next("--" + name); !ok {
					continue
				}
			}
			out.add(o, setting{value, "--" + name})
		case len(arg) > 1 && arg[0] == '-':
			for j := 1; j < len(arg); j++ {
				o := short[arg[j]]
				name := "-" + arg[j:j+1]
				if o == nil {
					faults.add("there is no option %s, in %s; rtpjet help COMMAND lists the options", name, quote(arg))
					break
				}
				if o.isFlag() {
					out.add(o, setting{"true", name})
					continue
				}
				if value := arg[j+1:]; value != "" {
					out.add(o, setting{strings.TrimPrefix(value, "="), name})
				} else if value, ok := next(name); ok {
					out.add(o, setting{value, name})
				}
				break
			}
		default:
			rest = append(rest, arg)
		}
	}
	return out, rest, faults.err()
}

// add sets an option once more: lists grow, everything else changes.
func (s settings) add(o *option, v setting) {
	if o.isList() {
		s[o.long] = append(s[o.long], v)
		return
	}
	s[o.long] = []setting{v}
}

// fromGroup reads the settings of a section of the file. Names that nobody knows are warned of: rtpengine passes over
// them, and files with such names are in use.
func fromGroup(f *iniFile, g *iniGroup) (s settings, warnings []string) {
	s = settings{}
	for _, k := range g.keys {
		where := f.name + ", line " + strconv.Itoa(k.line) + ": " + k.name
		o := optionByName[k.name]
		if o == nil {
			o = ofFamily(k.name)
		}
		switch {
		case o == nil:
			warnings = append(warnings, where+": there is no such option"+suggest(k.name, optionByName)+"; it is passed over")
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
		if o := optionByName[name]; o == nil || !o.used() {
			out = append(out, v[0].where+" has no effect in rtpjet")
		}
	}
	slices.Sort(out)
	return out
}

// suggest names up to three options that look like name, or points to the help.
func suggest(name string, table map[string]*option) string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for known := range table {
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
