package ng

import (
	"slices"
	"strings"
)

// Templates are flags strings, in the syntax of rtpp-flags, by the names under which requests ask for them
// (docs/ng.md, "Flags strings and templates"). The
// template "default" is part of every request, and the one named like a command ("offer", "start recording") of each of those.
type Templates map[string]string

// readTemplates reads the templates that a request has before it is read itself.
func (p *parser) readTemplates(d *Dict) {
	p.automatic("default")
	p.automatic(p.r.Command)
	for i, k := range d.Keys {
		var buf [maxWord]byte
		switch string(fold(buf[:], k)) {
		case "template":
			eachString(d.Values[i], p.template)
		case "rtpp-flags":
			if s, ok := Text(d.Values[i]); ok {
				p.namedIn(strings.Fields(s))
			}
		case "flags":
			p.namedIn(Strings(d.Values[i]))
		}
	}
}

func (p *parser) namedIn(words []string) {
	for _, w := range words {
		if names, ok := strings.CutPrefix(w, "template="); ok {
			p.template(strings.Trim(names, "[]"))
		}
	}
}

// automatic reads a template if there is one of that name.
func (p *parser) automatic(name string) {
	if _, ok := p.templates[name]; ok {
		p.template(name)
	}
}

// template reads a template, once in a request. One template may name others.
func (p *parser) template(name string) {
	words, ok := p.templates[name]
	switch {
	case name == "" || slices.Contains(p.expanded, name):
	case !ok:
		p.expanded = append(p.expanded, name) // said once
		p.unknown("template", name)
	default:
		p.expanded = append(p.expanded, name)
		p.readWords(words)
	}
}
