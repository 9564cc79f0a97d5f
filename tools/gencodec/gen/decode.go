package gen

import (
	"fmt"
	"strings"
)

// fewWords is the size up to which the elements of a list are collected on the stack, and then copied to a list of the right
// length. Larger ones mostly come alone, and are read where they stay.
const fewWords = 16

// decoder writes the decoder's methods for the roots, or for the other types.
func (m *model) decoder(s *source, roots bool) {
	for _, u := range m.unions {
		if roots {
			s.readUnion(u)
		}
	}
	for _, t := range m.order {
		if t.isRoot != roots || t.byHandRead || !t.isRead {
			continue
		}
		switch {
		case t.alone != nil:
			s.line("func (d *decoder) %s(v *%s) { d.%s(&v.%s) }\n", t.method, t.spelt, t.alone.method, t.alone.spelt)
		case t.kind == object:
			s.readStruct(t)
		case t.kind == array:
			s.readArray(t)
		default:
			s.readList(t)
		}
	}
}

func (s *source) readUnion(u union) {
	s.line("// %s reads the type that %s names; nil if there is none, or it cannot be read.", u.method, u.kindType)
	s.line("func (d *decoder) %s(kind []byte) %s {\nswitch %s(kind) {", u.method, u.name, u.kindType)
	for _, one := range u.variants {
		s.line("case %s:\nvar v %s\nd.%s(&v)\nif !d.Bad() {\nreturn v\n}", one.constant, one.typ.spelt, one.typ.method)
	}
	s.line("}\nreturn nil\n}\n")
	s.line("// unmarshal%s reads the same by encoding/json; nil if no type has that name.", u.name)
	s.line("func unmarshal%s(kind %s, body json.RawMessage) (%[1]s, error) {\nswitch kind {", u.name, u.kindType)
	for _, one := range u.variants {
		s.line("case %s:\nreturn unmarshal[%s](body)", one.constant, one.typ.spelt)
	}
	s.line("}\nreturn nil, nil //nolint:nilnil // neither is an answer\n}\n")
}

func (s *source) readStruct(t *typ) {
	s.line("func (d *decoder) %s(v *%s) {", t.method, t.spelt)
	many := len(t.fields) > 64
	if many {
		s.line("var seen [%d]uint64", (len(t.fields)+63)/64)
	} else {
		s.line("var seen uint64")
	}
	s.line("for k, ok := d.Key(false); ok; k, ok = d.Key(true) {\nvar bit uint64")
	if many {
		s.line("word := 0")
	}
	s.line("switch string(k) {")
	for i, f := range t.fields {
		s.line("case %q:", f.key)
		if i >= 64 {
			s.line("word = %d", i/64)
		}
		read := f.readField()
		if place, value, ok := strings.Cut(read, " = "); ok && !strings.Contains(read, "\n") {
			s.line("bit, %s = 1<<%d, %s", place, i%64, value)
			continue
		}
		s.line("bit = 1 << %d\n%s", i%64, read)
	}
	if many {
		s.line("}\nd.Once(&seen[word], bit)\n}\n}\n")
	} else {
		s.line("}\nd.Once(&seen, bit)\n}\n}\n")
	}
}

func (f field) readField() string {
	v := "v." + f.path
	read := f.typ.read(v)
	if f.read != "" {
		read = "d." + f.read + "(&" + v + ")"
	}
	switch {
	case f.omitEmpty:
		return read // neither null nor an empty list is written
	case f.typ.kind == pointer && f.omitZero:
		return read
	case f.typ.kind == pointer:
		return fmt.Sprintf("if !d.Literal(\"null\") {\n%s\n}", read)
	case f.typ.kind == list && f.omitZero:
		return fmt.Sprintf("if d.Literal(\"[]\") {\n%s = %s{}\n} else {\n%s\n}", v, f.typ.spelt, read)
	case f.typ.kind == list:
		return fmt.Sprintf("switch {\ncase d.Literal(\"null\"):\ncase d.Literal(\"[]\"):\n%s = %s{}\ndefault:\n%s\n}", v, f.typ.spelt, read)
	}
	return read
}

// read is the statement that reads a value into a place.
func (t *typ) read(v string) string {
	if t.byHandRead || t.kind == object || t.kind == opaque || t.kind == array {
		return "d." + t.method + "(&" + v + ")"
	}
	switch t.kind {
	case list:
		return "d." + t.reader() + "(&" + v + ")"
	case pointer:
		return v + " = new(" + t.elem.spelt + ")\n" + t.elem.readInto(v)
	}
	return v + " = " + t.value()
}

// readInto is the statement that reads what a pointer points to.
func (t *typ) readInto(p string) string {
	switch {
	case t.byHandRead, t.kind == object, t.kind == opaque, t.kind == array:
		return "d." + t.method + "(" + p + ")"
	case t.kind == list:
		return "d." + t.reader() + "(" + p + ")"
	}
	return "*" + p + " = " + t.value()
}

// reader is the method that reads a list.
func (t *typ) reader() string {
	if t.spelt == "[]int" && !t.byHandRead {
		return "Ints"
	}
	return t.method
}

// value is the expression that reads what compactjson knows.
func (t *typ) value() string {
	plain, of := "", ""
	switch t.kind {
	case text:
		return t.spelt + "(d.Text())"
	case boolean:
		plain, of = "bool", "d.Bool()"
	case addr:
		plain, of = "netip.Addr", "d.Addr()"
	case addrPort:
		plain, of = "netip.AddrPort", "d.AddrPort()"
	case signed:
		plain, of = signedValue(t.bits)
	case unsigned:
		plain, of = unsignedValue(t.bits)
	}
	if plain == t.spelt {
		return of
	}
	return t.spelt + "(" + of + ")"
}

func signedValue(bits int) (plain, of string) {
	switch bits {
	case 0:
		return "int", "d.Int()"
	case 64:
		return "int64", "d.Int64()"
	}
	return "", fmt.Sprintf("d.Between(math.MinInt%d, math.MaxInt%[1]d)", bits)
}

func unsignedValue(bits int) (plain, of string) {
	switch bits {
	case 0:
		return "", "d.UpTo(math.MaxUint)"
	case 64:
		return "uint64", "d.Uint64()"
	}
	return "", fmt.Sprintf("d.UpTo(math.MaxUint%d)", bits)
}

func (s *source) readArray(t *typ) {
	s.line("func (d *decoder) %s(list *%s) {\nlead := byte('[')\nfor i := range list {", t.method, t.spelt)
	s.line("d.Want(lead)\n%s\nlead = ','\n}\nd.Want(']')\n}\n", t.elem.read("list[i]"))
}

func (s *source) readList(t *typ) {
	s.line("func (d *decoder) %s(list *%s) {", t.method, t.spelt)
	if t.elem.words <= fewWords {
		s.line("var few [8]%s\nread := few[:0]", t.elem.spelt)
	} else {
		s.line("read := make(%s, 0, 1)", t.spelt)
	}
	s.line("for begun := false; d.Element(begun); begun = true {")
	if t.elem.byHandRead || t.elem.kind == object || t.elem.kind == opaque {
		s.line("var one %s\nread = append(read, one)\n%s", t.elem.spelt, t.elem.read("read[len(read)-1]"))
	} else {
		s.line("read = append(read, %s)", t.elem.value())
	}
	s.line("}")
	if t.elem.words <= fewWords {
		s.line("*list = append(make(%s, 0, len(read)), read...)\n}\n", t.spelt)
	} else {
		s.line("if cap(read) > len(read) {\nread = append(make(%s, 0, len(read)), read...)\n}\n*list = read\n}\n", t.spelt)
	}
}
