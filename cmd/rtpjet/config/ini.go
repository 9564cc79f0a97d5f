package config

import (
	"bytes"
	"fmt"
	"strings"
)

// iniFile is a key file as GLib reads it, which is what rtpengine's configuration is: groups in brackets, key = value
// lines, comment lines. A key that is repeated has several values. It accepts comments with ; beside those with #.
type iniFile struct {
	name   string
	groups []*iniGroup
}

type iniGroup struct {
	name string
	line int
	keys []iniKey
}

type iniKey struct {
	name, value string
	line        int
}

// group returns a group by name; groups of the same name are one.
func (f *iniFile) group(name string) *iniGroup {
	for _, g := range f.groups {
		if g.name == name {
			return g
		}
	}
	return nil
}

// parseINI reads a key file. Its error names all lines that are none of a group, a key or a comment.
func parseINI(name string, text []byte) (*iniFile, error) {
	f := &iniFile{name: name}
	var g *iniGroup
	var faults faultList
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			title, ok := strings.CutSuffix(line[1:], "]")
			if title = strings.TrimSpace(title); !ok || title == "" || strings.ContainsAny(title, "[]") {
				faults.add("%s, line %d: %s is no [section]; write its name in brackets on a line of its own", name, n+1, Quote(line))
				continue
			}
			if g = f.group(title); g == nil {
				g = &iniGroup{name: title, line: n + 1}
				f.groups = append(f.groups, g)
			}
		default:
			key, value, ok := strings.Cut(line, "=")
			key = strings.TrimSpace(key)
			switch {
			case !ok || key == "":
				faults.add("%s, line %d: %s is no option; write NAME = VALUE", name, n+1, Quote(line))
			case g == nil:
				faults.add("%s, line %d: %s is in no section; write [rtpengine] above it", name, n+1, Quote(key))
			default:
				g.keys = append(g.keys, iniKey{name: key, value: strings.TrimSpace(value), line: n + 1})
			}
		}
	}
	return f, faults.err()
}

// iniList splits a value at its semicolons. \; is a semicolon in a value; an empty value at the end does not count.
func iniList(value string) []string {
	var out []string
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value) && value[i+1] == ';':
			b.WriteByte(';')
			i++
		case value[i] == '\\' && i+1 < len(value):
			b.WriteString(value[i : i+2]) // another escape, for iniUnescape; its second character separates nothing
			i++
		case value[i] == ';':
			out = append(out, iniUnescape(strings.TrimSpace(b.String())))
			b.Reset()
		default:
			b.WriteByte(value[i])
		}
	}
	if rest := strings.TrimSpace(b.String()); rest != "" {
		out = append(out, iniUnescape(rest))
	}
	return out
}

var iniEscapes = strings.NewReplacer(`\\`, `\`, `\s`, " ", `\t`, "\t", `\n`, "\n", `\r`, "\r")

func iniUnescape(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	return iniEscapes.Replace(value)
}

// Quote prints something that an operator wrote, at a length that fits into a sentence.
func Quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
