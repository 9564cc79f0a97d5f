package sdp

import (
	"net/netip"
	"strings"
)

// Parse reads a session description as far as its first blank line (docs/ng.md, "SDP that comes in"). Lines end in LF
// or CRLF, the last one may end without; the first must be v=0. Errors are *Error and wrap ErrSyntax. A body whose
// lines are fine but which lacks an address passes: see Session.Check. A body without any m= section passes too.
func Parse(body []byte) (*Session, error) { return parse(string(body), false) }

// ParseFragment reads a trickle ICE fragment (RFC 8840), which may start with any line. Its sections usually lack what
// Session.Check asks for.
func ParseFragment(body []byte) (*Session, error) { return parse(string(body), true) }

// parser holds the slabs that the result's slices are cut from. They are made in full size before the first line is read,
// so they never move and a body's cost in memory is known from its number of lines.
type parser struct {
	attrs   []Attribute
	formats []string
	media   []Media
	conns   []Connection
	bands   []Bandwidth

	first, cur *Session // the first and the current block
	open       *Media   // the section being read, nil in a session part
	attrStart  int      // where the open level's attributes start
	bandStart  int      // where its b= lines start
	mediaStart int      // where the current block's sections start
	dirty      bool     // the current block has lines besides its v=
	line       int
}

func parse(text string, fragment bool) (*Session, error) {
	p := parser{}
	p.reserve(text)
	if fragment {
		p.startSession()
	}
	for rest, more := text, true; more; {
		var line string
		line, rest, more = cutLine(rest)
		if line == "" {
			break
		}
		p.line++
		if problem := p.read(line); problem != "" && !p.absent(line) {
			e := &Error{Kind: ErrSyntax, Line: p.line, Problem: problem}
			if p.open != nil {
				e.Section = len(p.media)
			}
			return nil, e
		}
	}
	if p.first == nil {
		return nil, &Error{Kind: ErrSyntax, Problem: "does not start with v=0"}
	}
	p.endSession()
	for s, n := p.first, 0; s != nil; s = s.Next {
		own := len(s.Media)
		s.Media = p.media[n:len(p.media):len(p.media)]
		n += own
	}
	return p.first, nil
}

// cutLine returns the first line without its end. more is false after the last line; an empty line means the end too.
func cutLine(text string) (line, rest string, more bool) {
	line, rest, more = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest, more
}

// reserve counts what the slabs must hold.
func (p *parser) reserve(text string) {
	var attrs, formats, media, conns, bands int
	for rest, more := text, true; more; {
		var line string
		line, rest, more = cutLine(rest)
		if line == "" {
			break
		}
		switch line[0] {
		case 'a':
			attrs++
		case 'b':
			bands++
		case 'c':
			conns++
		case 'm':
			media++
			// Type, port and transport stand before the formats, so this is two too many at least.
			formats += strings.Count(line, " ")
		}
	}
	p.attrs = make([]Attribute, 0, attrs)
	p.formats = make([]string, 0, formats)
	p.media = make([]Media, 0, media)
	p.conns = make([]Connection, 0, conns)
	p.bands = make([]Bandwidth, 0, bands)
}

// absent tells whether a line belongs to a section with port 0, which is not there (RFC 3264 §6, §8.2): whatever is wrong
// with it harms nobody, and the line is left out. A line that begins another section or block does not belong to it.
func (p *parser) absent(line string) bool {
	return p.open != nil && p.open.Port == 0 && !strings.HasPrefix(line, "m=") && !strings.HasPrefix(line, "v=")
}

// read takes one line and returns what is wrong with it, "" if nothing is.
func (p *parser) read(line string) (problem string) {
	if len(line) < 2 || line[1] != '=' {
		return "no letter followed by ="
	}
	letter, text := line[0], line[2:]
	if letter == 'v' {
		if text != "0" {
			return "version is not 0"
		}
		// A second v=0 at once opens no second block: the lines after it belong to both.
		if p.cur == nil || p.dirty {
			p.endSession()
			p.startSession()
		}
		return ""
	}
	if p.cur == nil {
		return "does not start with v=0"
	}
	p.dirty = true
	switch letter {
	case 'a':
		a := NewAttribute(text)
		p.attrs = append(p.attrs, a)
		if a.Kind == KindUnknown {
			return ""
		}
		switch m := p.open; {
		case m != nil:
			m.have.add(a.Kind)
		case !p.cur.have.has(a.Kind):
			p.cur.have.add(a.Kind)
			if p.cur.first == nil {
				p.cur.first = new([numKinds]int32)
			}
			p.cur.first[a.Kind] = int32(len(p.attrs) - 1 - p.attrStart)
		}
	case 'm':
		p.endLevel()
		m := Media{session: p.cur}
		if problem = p.readMedia(&m, text); problem != "" {
			return problem
		}
		p.media = append(p.media, m)
		p.open = &p.media[len(p.media)-1]
	case 'c':
		c, ok := parseConnection(text)
		if !ok {
			return "c= is no address"
		}
		at := &p.cur.Connection
		if p.open != nil {
			at = &p.open.Connection
		}
		if *at != nil {
			return "second c= line"
		}
		p.conns = append(p.conns, c)
		*at = &p.conns[len(p.conns)-1]
	case 'b':
		b := Bandwidth{Line: text}
		b.Type, b.Value, _ = strings.Cut(text, ":")
		p.bands = append(p.bands, b)
	case 'i':
		if p.open != nil {
			p.open.Info = append(p.open.Info, text)
		} else {
			p.cur.Info = append(p.cur.Info, text)
		}
	case 'k', 'r', 'z':
		// Dropped wherever they stand: keys in clear, and repetition nobody uses in SIP.
	case 'o', 's', 't', 'u', 'e', 'p':
		if p.open != nil {
			return string(rune(letter)) + "= inside a media section"
		}
		return p.readSessionLine(letter, text)
	default:
		return "unknown line letter"
	}
	return ""
}

func (p *parser) readSessionLine(letter byte, text string) (problem string) {
	s := p.cur
	switch letter {
	case 'o':
		if s.Origin != nil {
			return "second o= line"
		}
		o, ok := parseOrigin(text)
		if !ok {
			return "o= has fewer than six fields"
		}
		s.Origin = &o
	case 's':
		if !s.HasName {
			s.Name, s.HasName = text, true
		}
	case 't':
		s.Timing = append(s.Timing, text)
	case 'u':
		s.URI = append(s.URI, text)
	case 'e':
		s.Email = append(s.Email, text)
	case 'p':
		s.Phone = append(s.Phone, text)
	}
	return ""
}

func (p *parser) startSession() {
	s := &Session{}
	if p.first == nil {
		p.first = s
	} else {
		p.cur.Next = s
	}
	p.cur = s
	p.dirty = false
	p.mediaStart = len(p.media)
}

func (p *parser) endSession() {
	if p.cur == nil {
		return
	}
	p.endLevel()
	p.open = nil
	p.cur.Media = p.media[p.mediaStart:]
}

// endLevel gives the attributes and b= lines read since the last level began to their section or session.
func (p *parser) endLevel() {
	if n := len(p.attrs); n > p.attrStart {
		own := p.attrs[p.attrStart:n:n]
		p.attrStart = n
		if p.open != nil {
			p.open.Attributes = own
		} else {
			p.cur.Attributes = own
		}
	}
	if n := len(p.bands); n > p.bandStart {
		own := p.bands[p.bandStart:n:n]
		p.bandStart = n
		if p.open != nil {
			p.open.Bandwidth = own
		} else {
			p.cur.Bandwidth = own
		}
	}
}

func (p *parser) readMedia(m *Media, text string) (problem string) {
	m.Line = text
	typ, rest := nextField(text)
	port, rest := nextField(rest)
	m.Type, m.Ports = typ, 1
	port, count, many := strings.Cut(port, "/")
	n, ok := parseUint(port, 65535)
	if !ok {
		return "m= port is no number from 0 to 65535"
	}
	m.Port = uint16(n)
	if m.Port == 0 && transportMissing(rest) {
		p.readFormats(m, rest)
		return ""
	}
	proto, rest := nextField(rest)
	if proto == "" {
		return "m= has fewer than three fields"
	}
	m.Protocol, m.Proto = proto, LookupProto(proto)
	if many {
		switch n, ok = parseUint(count, MaxPorts); {
		case ok && n > 0:
			m.Ports = n
		case m.Port != 0:
			return "m= port count is no number from 1 to 10"
		}
	}

	p.readFormats(m, rest)
	return ""
}

// transportMissing tells whether what follows the port of an m= line begins with a format, as in "m=application 0 *", or is
// nothing at all.
func transportMissing(rest string) bool {
	first, rest := nextField(rest)
	if next, _ := nextField(rest); next != "" {
		return false
	}
	_, number := parseUint(first, 255)
	return first == "" || first == "*" || number
}

func (p *parser) readFormats(m *Media, rest string) {
	start := len(p.formats)
	for {
		var f string
		if f, rest = nextField(rest); f == "" {
			break
		}
		p.formats = append(p.formats, f)
	}
	if end := len(p.formats); end > start {
		m.Formats = p.formats[start:end:end]
	}
}

// parseOrigin counts from the right, because user names with spaces occur and the five fields after it have none.
func parseOrigin(text string) (o Origin, ok bool) {
	o.Line = text
	rest := text
	for _, f := range [...]*string{&o.Address, &o.AddrType, &o.NetType, &o.Version, &o.SessionID} {
		if *f, rest = lastField(rest); *f == "" {
			return o, false
		}
	}
	o.Username = strings.Trim(rest, " ")
	// An empty rest means that the line started with the session id. A blank before it is an empty user name.
	return o, rest != ""
}

// parseConnection takes what can be sent to: no host names, no multicast scope after a slash, no zone.
func parseConnection(text string) (c Connection, ok bool) {
	c.Line = text
	var rest string
	c.NetType, rest = nextField(text)
	c.AddrType, rest = nextField(rest)
	c.Address, _ = nextField(rest)
	if !equalFold(c.NetType, "IN") {
		return c, false
	}
	c.Addr, ok = parseAddr(c.AddrType, c.Address)
	return c, ok
}

// parseAddr reads an address that must be of the family IP4 or IP6, in any case.
func parseAddr(family, text string) (netip.Addr, bool) {
	v6 := equalFold(family, "IP6")
	if !v6 && !equalFold(family, "IP4") {
		return netip.Addr{}, false
	}
	if v6 && len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
		text = text[1 : len(text)-1]
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Is4() == v6 || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// nextField cuts the first word off; words are separated by one or more spaces, spaces around them do not count.
func nextField(s string) (field, rest string) {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	i := strings.IndexByte(s, ' ')
	if i < 0 {
		return s, ""
	}
	field, rest = s[:i], s[i+1:]
	return field, rest
}

// lastField cuts the last word off. The space before it stays in rest.
func lastField(s string) (field, rest string) {
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	i := strings.LastIndexByte(s, ' ')
	return s[i+1:], s[:i+1]
}

// parseUint reads a decimal number from 0 to limit, digits only. Zeros may lead.
func parseUint(s string, limit int) (int, bool) {
	n, rest, ok := cutUint(s, limit)
	return n, ok && rest == ""
}

// cutUint reads the digits at the start of s.
func cutUint(s string, limit int) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		if n = n*10 + int(s[i]-'0'); n > limit {
			return 0, s, false
		}
		i++
	}
	return n, s[i:], i > 0
}
