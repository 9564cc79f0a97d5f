package oldlogs

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/projection"
)

// State is a call as the paths of its fields with their values: Parties[0].Medias[1].Local.RTP is "192.0.2.1:30000". Fields that are
// zero are left out, so that a new one changes nothing where it means nothing. Of a key there is a digest.
type State map[string]string

// StateOf makes the state of a call.
func StateOf(c *projection.Call) State {
	s := State{}
	s.add("", reflect.ValueOf(c))
	return s
}

var secretType = reflect.TypeFor[events.Secret]()

func (s State) add(path string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		switch {
		case v.IsNil():
		case v.Elem().Kind() == reflect.Struct:
			s.add(path, v.Elem())
		default: // what it points to may be zero and mean something
			s[path] = fmt.Sprintf("%#v", v.Elem().Interface())
		}
		return
	}
	if v.IsZero() {
		return
	}
	if v.Type() == secretType {
		s[path] = fmt.Sprintf("key %016x", events.Digest([]byte(v.String())))
		return
	}
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := text.MarshalText()
		if err != nil {
			panic(err) // an address is a text
		}
		s[path] = string(b)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := path + "." + f.Name
			if f.Anonymous {
				name = path
			}
			s.add(strings.TrimPrefix(name, "."), v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.Len() > 0 {
			s[path+"[]"] = fmt.Sprint(v.Len())
		}
		for i := range v.Len() {
			s.add(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Map:
		if v.Len() > 0 {
			s[path+"[]"] = fmt.Sprint(v.Len())
		}
		for _, k := range v.MapKeys() {
			s.add(fmt.Sprintf("%s[%v]", path, k.Interface()), v.MapIndex(k))
		}
	case reflect.String:
		s[path] = fmt.Sprintf("%q", v.String())
	default:
		s[path] = fmt.Sprint(v.Interface())
	}
}

// Fields are the fields that a call of this build has: its paths without their numbers.
func Fields() []string {
	var out []string
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		switch {
		case t.Kind() == reflect.Pointer:
			walk(path, t.Elem())
		case t == secretType || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
			out = append(out, path)
		case t.Kind() == reflect.Struct:
			for i := range t.NumField() {
				f := t.Field(i)
				name := path + "." + f.Name
				if f.Anonymous {
					name = path
				}
				walk(strings.TrimPrefix(name, "."), f.Type)
			}
		case t.Kind() == reflect.Slice, t.Kind() == reflect.Array, t.Kind() == reflect.Map:
			walk(path+"[]", t.Elem())
			out = append(out, path+"[]") // its length
		default:
			out = append(out, path)
		}
	}
	walk("", reflect.TypeFor[projection.Call]())
	slices.Sort(out)
	return slices.Compact(out)
}

var index = regexp.MustCompile(`\[[^\]]*\]`)

// Field is the field that a path is of.
func Field(path string) string { return index.ReplaceAllString(path, "[]") }

// Change is one line of a state file: what a field is from an event on; nothing if it is zero.
type Change struct{ Path, Value string }

// Changes are what makes one state of another, in the order of paths.
func Changes(from, to State) (out []Change) {
	for path, v := range to {
		if from[path] != v {
			out = append(out, Change{path, v})
		}
	}
	for path := range from {
		if _, still := to[path]; !still {
			out = append(out, Change{path, ""})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// Apply makes the changes.
func (s State) Apply(list []Change) {
	for _, c := range list {
		if c.Value == "" {
			delete(s, c.Path)
		} else {
			s[c.Path] = c.Value
		}
	}
}
