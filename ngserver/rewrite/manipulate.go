package rewrite

import (
	"bytes"
	"slices"
	"strings"

	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/sdp"
)

// manipulate applies sdp-attr to the lines written since start (ng-reference §4.9): it works on the text as generated,
// whatever made it.
func (r *renderer) manipulate(start int, scope string) {
	var cmds []*ng.SDPAttr
	for i := range r.Req.SDPAttr {
		if r.Req.SDPAttr[i].Scope == scope {
			cmds = append(cmds, &r.Req.SDPAttr[i])
		}
	}
	if len(cmds) == 0 {
		return
	}
	lines := bytes.SplitAfter(slices.Clone(r.out[start:]), []byte("\r\n"))
	r.out = r.out[:start]
	for _, line := range lines {
		attr, ok := bytes.CutPrefix(line, []byte("a="))
		if !ok {
			r.out = append(r.out, line...)
			continue
		}
		if text, keep := manipulated(strings.TrimSuffix(string(attr), "\r\n"), cmds); keep {
			r.out = sdp.AppendLine(r.out, 'a', text)
		}
	}
	for _, c := range cmds {
		for _, add := range c.Add {
			r.out = sdp.AppendLine(r.out, 'a', oneLine(add))
		}
	}
}

// manipulated returns the attribute after removals and substitutions; keep is false if it is removed.
func manipulated(attr string, cmds []*ng.SDPAttr) (text string, keep bool) {
	for _, c := range cmds {
		for _, name := range c.Remove {
			if attrMatches(attr, name) {
				return "", false
			}
		}
		for _, s := range c.Substitute {
			if attrMatches(attr, s[0]) {
				return oneLine(s[1]), true
			}
		}
	}
	return attr, true
}

// attrMatches compares the name, the name with its first token, and the whole line, in any case.
func attrMatches(attr, want string) bool {
	if strings.EqualFold(attr, want) {
		return true
	}
	if name, value, ok := strings.Cut(attr, ":"); ok {
		token, _, _ := strings.Cut(value, " ")
		return strings.EqualFold(name, want) || strings.EqualFold(name+":"+token, want)
	}
	return false
}

// oneLine keeps a text from the request from becoming several lines.
func oneLine(s string) string {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}
