package gen

import (
	"go/ast"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

type kind int

const (
	text kind = iota + 1
	boolean
	signed
	unsigned
	addr
	addrPort
	object
	list
	array
	pointer
	opaque // of no kind known here; its codec is written by hand
)

// typ is a type as the codec sees it.
type typ struct {
	kind   kind
	spelt  string // as in Go, within the package
	method string // of the encoder and decoder; empty for what compactjson reads and writes
	bits   int    // of a number; 0: an int
	length int    // of an array
	elem   *typ   // of a list, an array and a pointer
	fields []field
	alone  *typ // the one embedded struct that a struct consists of
	words  int  // of memory, roughly
	equal  bool // == works

	isZero                  bool // it has a method IsZero
	isRoot                  bool // one that the codec begins with, or all that such a one consists of
	isRead                  bool // the decoder needs its method
	byHandWrite, byHandRead bool // the encoder or decoder has the method already
}

type field struct {
	path      string // in Go, from the struct: "Signalling.Pending"
	key       string
	omitEmpty bool
	omitZero  bool
	read      string // the decoder's method that reads it, if it is not that of the type
	typ       *typ
	at        ast.Node
}

// variant is an implementation of a root that is an interface.
type variant struct {
	constant string
	typ      *typ
}

type union struct {
	name, method string
	kindType     string // what its method returns
	variants     []variant
}

// model is all that there is a codec for.
type model struct {
	*pkg
	named  map[string]*typ // by name
	order  []*typ          // those that need methods, in the order in which they were met
	unions []union
}

func (p *pkg) model() (*model, error) {
	m := &model{pkg: p, named: map[string]*typ{}}
	for _, name := range p.roots {
		spec := p.types[name]
		iface, ok := spec.Type.(*ast.InterfaceType)
		if !ok {
			t, err := m.resolve(spec.Name)
			if err != nil {
				return nil, err
			}
			t.markRoot()
			continue
		}
		if err := m.addUnion(spec, iface); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// addUnion finds the implementations of an interface.
func (m *model) addUnion(spec *ast.TypeSpec, iface *ast.InterfaceType) error {
	if len(iface.Methods.List) != 1 || len(iface.Methods.List[0].Names) != 1 {
		return m.fault(spec, "%s needs one method, which tells its types apart", spec.Name)
	}
	by := iface.Methods.List[0]
	result, ok := by.Type.(*ast.FuncType).Results.List[0].Type.(*ast.Ident)
	if !ok {
		return m.fault(by, "%s must return a type of the package", by.Names[0])
	}
	u := union{name: spec.Name.Name, method: lower(spec.Name.Name), kindType: result.Name}
	for _, meth := range m.methods {
		if meth.name != by.Names[0].Name {
			continue
		}
		constant, ok := returned(meth.decl)
		if !ok {
			continue // by hand
		}
		t, err := m.resolve(ast.NewIdent(meth.of))
		if err != nil {
			return err
		}
		t.markRoot()
		u.variants = append(u.variants, variant{constant, t})
	}
	if len(u.variants) == 0 {
		return m.fault(spec, "%s has no types", spec.Name)
	}
	m.unions = append(m.unions, u)
	return nil
}

// returned is the constant that is all that a method returns.
func returned(f *ast.FuncDecl) (string, bool) {
	if f.Body == nil || len(f.Body.List) != 1 {
		return "", false
	}
	ret, ok := f.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return "", false
	}
	id, ok := ret.Results[0].(*ast.Ident)
	if !ok {
		return "", false
	}
	return id.Name, true
}

// basic are the types that need no method.
var basic = map[string]typ{
	"string": {kind: text, words: 2}, "bool": {kind: boolean, words: 1},
	"int": {kind: signed, words: 1}, "int8": {kind: signed, bits: 8, words: 1}, "int16": {kind: signed, bits: 16, words: 1},
	"int32": {kind: signed, bits: 32, words: 1}, "int64": {kind: signed, bits: 64, words: 1},
	"uint": {kind: unsigned, words: 1}, "uint8": {kind: unsigned, bits: 8, words: 1}, "byte": {kind: unsigned, bits: 8, words: 1}, "uint16": {kind: unsigned, bits: 16, words: 1},
	"uint32": {kind: unsigned, bits: 32, words: 1}, "uint64": {kind: unsigned, bits: 64, words: 1},
	"netip.Addr": {kind: addr, words: 3}, "netip.AddrPort": {kind: addrPort, words: 4},
}

func basicType(name string) (*typ, bool) {
	t, ok := basic[name]
	t.spelt, t.equal = name, true
	return &t, ok
}

// resolve finds out what a type is.
func (m *model) resolve(e ast.Expr) (*typ, error) {
	switch e := e.(type) {
	case *ast.Ident:
		if t, ok := m.named[e.Name]; ok {
			if t == nil {
				return nil, m.fault(e, "%s holds itself", e.Name)
			}
			return t, nil
		}
		if spec, ok := m.types[e.Name]; ok {
			return m.resolveNamed(spec)
		}
		if t, ok := basicType(e.Name); ok {
			return t, nil
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if t, ok := basicType(x.Name + "." + e.Sel.Name); ok {
				return t, nil
			}
		}
	case *ast.StarExpr:
		elem, err := m.resolve(e.X)
		if err != nil {
			return nil, err
		}
		if elem.kind == pointer {
			return nil, m.fault(e, "a pointer to a pointer has no form here")
		}
		return &typ{kind: pointer, spelt: "*" + elem.spelt, elem: elem, words: 1}, nil
	case *ast.ArrayType:
		return m.resolveList(e)
	}
	return nil, m.fault(e, "no codec for this type: write both methods by hand, and name it")
}

func (m *model) resolveList(e *ast.ArrayType) (*typ, error) {
	elem, err := m.resolve(e.Elt)
	if err != nil {
		return nil, err
	}
	switch {
	case elem.kind == unsigned && elem.bits == 8:
		return nil, m.fault(e, "encoding/json writes bytes as base64: write both methods by hand, and name the type")
	case elem.kind == list, elem.kind == array, elem.kind == pointer:
		return nil, m.fault(e, "no codec for lists of lists or pointers: name the type of the element, and write its methods by hand")
	}
	name := elem.method
	if name == "" {
		name = lower(strings.ReplaceAll(elem.spelt, "netip.", ""))
	}
	t := &typ{kind: list, spelt: "[]" + elem.spelt, elem: elem, words: 3, method: name + "List"}
	if e.Len != nil {
		lit, ok := e.Len.(*ast.BasicLit)
		if !ok {
			return nil, m.fault(e, "the length of an array must be a number")
		}
		n, err := strconv.Atoi(lit.Value)
		if err != nil || n == 0 {
			return nil, m.fault(e, "no codec for an array of length %s", lit.Value)
		}
		t = &typ{kind: array, spelt: "[" + lit.Value + "]" + elem.spelt, elem: elem, length: n, words: n * elem.words, equal: elem.equal, method: name + "Array" + lit.Value}
	}
	t.byHandWrite, t.byHandRead = m.has("encoder", t.method), m.has("decoder", t.method)
	if old, ok := m.named[t.spelt]; ok {
		return old, nil
	}
	m.named[t.spelt] = t
	m.order = append(m.order, t)
	return t, nil
}

func (m *model) resolveNamed(spec *ast.TypeSpec) (*typ, error) {
	name := spec.Name.Name
	m.named[name] = nil
	t := &typ{spelt: name, method: lower(name)}
	t.byHandWrite, t.byHandRead = m.has("encoder", t.method), m.has("decoder", t.method)
	t.isZero = m.has(name, "IsZero")
	byHand := t.byHandWrite && t.byHandRead
	for _, own := range []string{"MarshalJSON", "MarshalText", "UnmarshalJSON", "UnmarshalText"} {
		if m.has(name, own) && !byHand {
			return nil, m.fault(spec, "%s has %s: encoder.%s and decoder.%[3]s must be written by hand", name, own, t.method)
		}
	}
	if s, ok := spec.Type.(*ast.StructType); ok && !byHand {
		t.kind, t.equal = object, true
		if err := m.structFields(t, s, ""); err != nil {
			return nil, err
		}
	} else if under, err := m.resolve(spec.Type); err == nil {
		t.kind, t.bits, t.elem, t.length, t.words, t.equal = under.kind, under.bits, under.elem, under.length, under.words, under.equal
		if (t.kind == list || t.kind == array || t.kind == pointer) && !byHand {
			return nil, m.fault(spec, "%s is a named list, array or pointer: write both methods by hand", name)
		}
	} else if byHand {
		t.kind, t.words = opaque, 8
	} else {
		return nil, err
	}
	m.named[name] = t
	if t.kind == object {
		m.order = append(m.order, t)
	}
	return t, nil
}

// structFields adds the fields of a struct, and of those that it embeds.
func (m *model) structFields(t *typ, s *ast.StructType, path string) error {
	for _, f := range s.Fields.List {
		if len(f.Names) == 0 {
			if err := m.embedded(t, s, f, path); err != nil {
				return err
			}
			continue
		}
		for _, id := range f.Names {
			if !id.IsExported() {
				return m.fault(f, "%s is not exported, so that encoding/json does not see it", id.Name)
			}
			one, err := m.field(f, path+id.Name)
			if err != nil {
				return err
			}
			if one.key == "-" {
				continue
			}
			for _, other := range t.fields {
				if other.key == one.key {
					return m.fault(f, "%s has the field %s twice", t.spelt, one.key)
				}
			}
			t.fields = append(t.fields, one)
			t.words += one.typ.words
			t.equal = t.equal && one.typ.equal
		}
	}
	return nil
}

// embedded adds the fields of an embedded struct, or has its codec do for the whole if there is nothing else.
func (m *model) embedded(t *typ, s *ast.StructType, f *ast.Field, path string) error {
	id, ok := f.Type.(*ast.Ident)
	if !ok || f.Tag != nil || m.types[id.Name] == nil {
		return m.fault(f, "only structs of the package can be embedded, and without a tag")
	}
	inner, ok := m.types[id.Name].Type.(*ast.StructType)
	if !ok {
		return m.fault(f, "only structs of the package can be embedded, and without a tag")
	}
	if len(s.Fields.List) == 1 && path == "" {
		whole, err := m.resolve(id)
		if err != nil {
			return err
		}
		whole.mark()
		t.alone, t.words, t.equal = whole, whole.words, whole.equal
		return nil
	}
	return m.structFields(t, inner, path+id.Name+".")
}

func (m *model) field(f *ast.Field, path string) (field, error) {
	out := field{path: path, at: f}
	tag := reflect.StructTag("")
	if f.Tag != nil {
		raw, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return out, m.fault(f, "tag: %v", err)
		}
		tag = reflect.StructTag(raw)
	}
	key, options, _ := strings.Cut(tag.Get("json"), ",")
	if out.key = key; key == "-" && options == "" {
		return out, nil
	}
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || key == "" {
		return out, m.fault(f, "%s needs a json tag with a name of small letters", path)
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "omitempty":
			out.omitEmpty = true
		case "omitzero":
			out.omitZero = true
		default:
			return out, m.fault(f, "%s: no codec with the option %s", path, option)
		}
	}
	if out.read = tag.Get("read"); out.read != "" && !m.has("decoder", out.read) {
		return out, m.fault(f, "%s: the decoder has no method %s", path, out.read)
	}
	var err error
	if out.typ, err = m.resolve(f.Type); err != nil {
		return out, err
	}
	if out.read == "" {
		out.typ.mark()
	}
	switch k := out.typ.kind; {
	case out.omitEmpty && (k == object || k == array || k == addr || k == addrPort || k == opaque):
		return out, m.fault(f, "%s is never empty to encoding/json: use omitzero", path)
	case out.omitZero && k == pointer && out.typ.elem.isZero:
		return out, m.fault(f, "%s: use omitempty", path)
	case out.omitZero && k == opaque && !out.typ.isZero:
		return out, m.fault(f, "%s: nothing tells when it is zero: give its type a method IsZero", path)
	case out.omitZero && !out.typ.equal && !out.typ.isZero && k != list && k != pointer:
		return out, m.fault(f, "%s cannot be compared: give its type a method IsZero", path)
	}
	return out, nil
}

// mark notes that a type is read by the method of its own.
func (t *typ) mark() {
	if t.isRead = t.reader() == t.method; t.elem != nil {
		t.elem.mark()
	}
}

func (t *typ) markRoot() {
	t.isRoot = true
	t.mark()
	if t.alone != nil {
		t.alone.isRoot = true
	}
}

// lower is the name of the method for a type: Party gives party, SRTP gives srtp, SRTPKeys gives srtpKeys.
func lower(name string) string {
	runes := []rune(name)
	for i := range runes {
		if !unicode.IsUpper(runes[i]) || i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	if s := string(runes); token.IsKeyword(s) {
		return s + "Value"
	}
	return string(runes)
}
