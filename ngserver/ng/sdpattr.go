package ng

import "strings"

// readSDPAttr reads sdp-attr={scope: {add:[…], remove:[…], substitute:[[from,to]…]}} (docs/ng.md, "sdp-attr and its
// like"). Other than with all other keys a wrong structure fails the request: the client asked for an SDP that we
// cannot give.
func readSDPAttr(p *parser, v any) {
	scopes, ok := v.(*Dict)
	if !ok {
		p.fail(ReasonWrongType)
		return
	}
	for i, name := range scopes.Keys {
		scope := attrScope(name)
		if scope == "" {
			p.fail(ReasonUnsupportedSection)
			return
		}
		commands, ok := scopes.Values[i].(*Dict)
		if !ok {
			p.fail(ReasonWrongContent)
			return
		}
		for j, command := range commands.Keys {
			if !p.attrCommand(scope, command, commands.Values[j]) {
				return
			}
		}
	}
}

// attrScope returns the canonical scope, "" for one that does not exist.
func attrScope(name string) string {
	switch name {
	case "none", "global":
		return "none"
	case "audio", "video", "image", "message", "text", "application":
		return name
	}
	return ""
}

func (p *parser) attrCommand(scope, command string, v any) bool {
	a := p.attr(scope)
	switch command {
	case "add", "remove":
		if _, isDict := v.(*Dict); isDict {
			p.fail(ReasonWrongContent)
			return false
		}
		list := &a.Add
		if command == "remove" {
			list = &a.Remove
		}
		eachAttr(v, func(s string) { *list = append(*list, s) })
	case "substitute":
		if _, isDict := v.(*Dict); isDict {
			p.fail(ReasonWrongContent)
			return false
		}
		l, isList := v.(List)
		if !isList {
			l = List{v}
		}
		for _, e := range l {
			from, to, ok := substitution(e)
			if !ok {
				p.fail(ReasonWrongContent)
				return false
			}
			a.Substitute = append(a.Substitute, [2]string{from, to})
		}
	default:
		p.fail(ReasonUnknownManipulation)
		return false
	}
	return true
}

// attr returns the manipulations of one scope, a new entry if there are none.
func (p *parser) attr(scope string) *SDPAttr {
	for i := range p.r.SDPAttr {
		if p.r.SDPAttr[i].Scope == scope {
			return &p.r.SDPAttr[i]
		}
	}
	p.r.SDPAttr = append(p.r.SDPAttr, SDPAttr{Scope: scope})
	return &p.r.SDPAttr[len(p.r.SDPAttr)-1]
}

// eachAttr is eachString without the splitting at commas, which attributes contain.
func eachAttr(v any, f func(string)) {
	l, ok := v.(List)
	if !ok {
		l = List{v}
	}
	for _, e := range l {
		if s, ok := str(e); ok && s != "" {
			f(unescape(s))
		}
	}
}

// substitution reads [from, to], or from>to in one string, the form that fits into a flag.
func substitution(v any) (from, to string, ok bool) {
	if l, isList := v.(List); isList {
		if len(l) != 2 {
			return "", "", false
		}
		from, ok1 := str(l[0])
		to, ok2 := str(l[1])
		return unescape(from), unescape(to), ok1 && ok2 && from != ""
	}
	s, _ := str(v)
	from, to, ok = strings.Cut(s, ">")
	return unescape(from), unescape(to), ok && from != ""
}

// sdpAttrFlag reads the rest of sdp-attr-add-MEDIA-VALUE and its like.
func sdpAttrFlag(command string) func(*parser, string) {
	return func(p *parser, s string) {
		media, value, found := strings.Cut(s, "-")
		scope := attrScope(media)
		if !found || scope == "" || value == "" {
			p.unknown("sdp-attr-"+command, s)
			return
		}
		a := p.attr(scope)
		switch command {
		case "add":
			a.Add = append(a.Add, unescape(value))
		case "remove":
			a.Remove = append(a.Remove, unescape(value))
		default:
			from, to, ok := substitution(value)
			if !ok {
				p.unknown("sdp-attr-"+command, s)
				return
			}
			a.Substitute = append(a.Substitute, [2]string{from, to})
		}
	}
}

// readMediaRemove reads sdp-media-remove, a list of media types. Its structure errors are fatal as well.
func readMediaRemove(p *parser, v any) {
	if _, isDict := v.(*Dict); isDict {
		p.fail(ReasonWrongType)
		return
	}
	if _, isInt := v.(int64); isInt {
		p.fail(ReasonWrongType)
		return
	}
	eachString(v, func(s string) {
		switch s {
		case "audio", "video", "image", "message", "text", "application", "other":
			p.r.SDPMediaRemove = append(p.r.SDPMediaRemove, s)
		default:
			p.fail(ReasonUnsupportedSection)
		}
	})
}
