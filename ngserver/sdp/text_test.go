package sdp

import "strings"

// What only the tests do with a body: to write it as text, and to look an attribute up that the program passes on.

// inherited is value with the session's attribute as fallback.
func (m *Media) inherited(k Kind) string {
	if a := m.Lookup(k); a != nil {
		return strings.Trim(a.Value, " ")
	}
	return ""
}

// AppendTo writes the session and its sections, and the blocks after it, line by line as they came, in the order of
// RFC 8866. Parsing the result gives the same session again.
func (s *Session) AppendTo(dst []byte) []byte {
	for ; s != nil; s = s.Next {
		dst = AppendLine(dst, 'v', "0")
		if s.Origin != nil {
			dst = AppendLine(dst, 'o', s.Origin.Line)
		}
		if s.HasName {
			dst = AppendLine(dst, 's', s.Name)
		}
		dst = appendLines(dst, 'i', s.Info)
		dst = appendLines(dst, 'u', s.URI)
		dst = appendLines(dst, 'e', s.Email)
		dst = appendLines(dst, 'p', s.Phone)
		dst = appendLevel(dst, s.Connection, s.Bandwidth)
		dst = appendLines(dst, 't', s.Timing)
		dst = appendAttributes(dst, s.Attributes)
		own := s.own()
		for i := range own {
			m := &own[i]
			dst = AppendLine(dst, 'm', m.Line)
			dst = appendLines(dst, 'i', m.Info)
			dst = appendLevel(dst, m.Connection, m.Bandwidth)
			dst = appendAttributes(dst, m.Attributes)
		}
	}
	return dst
}

// own returns the sections of this block only.
func (s *Session) own() []Media {
	if s.Next == nil {
		return s.Media
	}
	return s.Media[:len(s.Media)-len(s.Next.Media)]
}

func appendLines(dst []byte, letter byte, texts []string) []byte {
	for _, t := range texts {
		dst = AppendLine(dst, letter, t)
	}
	return dst
}

func appendLevel(dst []byte, c *Connection, b []Bandwidth) []byte {
	if c != nil {
		dst = AppendLine(dst, 'c', c.Line)
	}
	for i := range b {
		dst = AppendLine(dst, 'b', b[i].Line)
	}
	return dst
}

func appendAttributes(dst []byte, attrs []Attribute) []byte {
	for i := range attrs {
		dst = AppendLine(dst, 'a', attrs[i].Line)
	}
	return dst
}
