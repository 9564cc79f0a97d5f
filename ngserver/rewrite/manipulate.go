package rewrite

import (
	"bytes"
	"slices"
	"strings"

	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
)

// manipulate applies sdp-attr to the lines written since start (docs/ng.md, "sdp-attr and its like"): it works on the
// text as generated, whatever made it.
func (r *renderer) manipulate(start int, scope string) {
	i := slices.IndexFunc(r.Req.SDPAttr, func(a ng.SDPAttr) bool { return a.Scope == scope })
	if i < 0 {
		return
	}
	cmd := &r.Req.SDPAttr[i] // the only one of its scope
	m := newManipulation(cmd)
	lines := bytes.SplitAfter(slices.Clone(r.out[start:]), []byte("\r\n"))
	r.out = r.out[:start]
	for _, line := range lines {
		attr, ok := bytes.CutPrefix(line, []byte("a="))
		if !ok {
			r.out = append(r.out, line...)
			continue
		}
		if text, keep := m.apply(strings.TrimSuffix(string(attr), "\r\n")); keep {
			r.out = sdp.AppendLine(r.out, 'a', text)
		}
	}
	for _, add := range cmd.Add {
		r.out = sdp.AppendLine(r.out, 'a', oneLine(add))
	}
}

// manipulation finds attributes by the name, the name with its first token, or the whole line, in any case. It is a table,
// so that a request full of removals costs no more than its length.
type manipulation map[string]replacement

// replacement is what becomes of an attribute.
type replacement struct {
	remove bool
	text   string
}

func newManipulation(cmd *ng.SDPAttr) manipulation {
	m := make(manipulation, len(cmd.Remove)+len(cmd.Substitute))
	for _, s := range slices.Backward(cmd.Substitute) { // of several the first counts
		m[strings.ToLower(s[0])] = replacement{text: oneLine(s[1])}
	}
	for _, name := range cmd.Remove {
		m[strings.ToLower(name)] = replacement{remove: true}
	}
	return m
}

// apply returns the attribute after removals and substitutions; keep is false if it is removed.
func (m manipulation) apply(attr string) (text string, keep bool) {
	low := strings.ToLower(attr)
	if name, value, ok := strings.Cut(low, ":"); ok {
		token, _, _ := strings.Cut(value, " ")
		for _, key := range [...]string{name, name + ":" + token} {
			if r, found := m[key]; found {
				return r.text, !r.remove
			}
		}
	}
	if r, found := m[low]; found {
		return r.text, !r.remove
	}
	return attr, true
}

// oneLine keeps a text from the request from becoming several lines.
func oneLine(s string) string {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}
