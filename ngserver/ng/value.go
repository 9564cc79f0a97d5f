package ng

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"rtpjet/ngserver/bencode"
)

// Value is a value of a reply: a string, an integer, a list or an Object. The zero Value is the empty string. Values are
// made by Str, Int64, ListOf, StrList and Object.Value, and must not be changed once they are part of a reply.
type Value struct {
	kind kind
	num  int64
	str  string
	obj  *Object // the entries of a list have no keys
}

type kind uint8

const (
	kindStr kind = iota
	kindInt
	kindList
	kindObject
)

// Str is a string value. It may hold any bytes; in JSON broken UTF-8 becomes U+FFFD.
func Str(s string) Value { return Value{str: s} }

// Int64 is an integer value.
func Int64(n int64) Value { return Value{kind: kindInt, num: n} }

// ListOf is a list value.
func ListOf(values ...Value) Value {
	o := &Object{fields: make([]field, len(values))}
	for i := range values {
		o.fields[i].val = values[i]
	}
	return Value{kind: kindList, obj: o}
}

// StrList is a list of strings.
func StrList(s []string) Value {
	o := &Object{fields: make([]field, len(s))}
	for i := range s {
		o.fields[i].val = Str(s[i])
	}
	return Value{kind: kindList, obj: o}
}

// Object is a dictionary of a reply; its entries keep the order in which they were added. The zero Object is empty and
// ready. Its methods return the Object, so that calls chain:
//
//	o := ng.NewObject().Int("packets", 3).Str("tag", "a")
//	o.Obj("totals").Obj("RTP").Int("bytes", 512)
//
// An Object is not safe for concurrent use.
type Object struct{ fields []field }

type field struct {
	key string
	val Value
}

// NewObject returns an empty Object.
func NewObject() *Object { return new(Object) }

// Value returns o as a value, for lists.
func (o *Object) Value() Value { return Value{kind: kindObject, obj: o} }

// Grow makes room for n entries, so that adding them need not. It returns o.
func (o *Object) Grow(n int) *Object {
	o.fields = slices.Grow(o.fields, n)
	return o
}

// Len is the number of entries.
func (o *Object) Len() int { return len(o.fields) }

// Set appends an entry. A key that is there already keeps its place and gets the new value.
func (o *Object) Set(key string, v Value) *Object {
	// Dictionaries with keys that were not written here in the source (tags, SSRCs) can be long; looking for a double key
	// in them would be quadratic. Their keys are unique where they come from, so only short ones are checked.
	if len(o.fields) <= 32 {
		for i := range o.fields {
			if o.fields[i].key == key {
				o.fields[i].val = v
				return o
			}
		}
	}
	if o.fields == nil {
		o.fields = make([]field, 0, 4)
	}
	o.fields = append(o.fields, field{key, v})
	return o
}

// Str appends a string.
func (o *Object) Str(key, s string) *Object { return o.Set(key, Str(s)) }

// Bytes appends a byte string, such as an SDP.
func (o *Object) Bytes(key string, b []byte) *Object { return o.Set(key, Str(string(b))) }

// Int appends an integer.
func (o *Object) Int(key string, n int64) *Object { return o.Set(key, Int64(n)) }

// Bool appends 1 or 0, NG's form of a truth value.
func (o *Object) Bool(key string, b bool) *Object {
	if b {
		return o.Int(key, 1)
	}
	return o.Int(key, 0)
}

// Float appends a string with six decimals, the form of fractional statistics in rtpengine.
func (o *Object) Float(key string, f float64) *Object {
	return o.Str(key, strconv.FormatFloat(f, 'f', 6, 64))
}

// Strs appends a list of strings.
func (o *Object) Strs(key string, s ...string) *Object { return o.Set(key, StrList(s)) }

// List appends a list.
func (o *Object) List(key string, values ...Value) *Object { return o.Set(key, ListOf(values...)) }

// Objs appends a list of Objects.
func (o *Object) Objs(key string, objs ...*Object) *Object {
	l := &Object{fields: make([]field, len(objs))}
	for i := range objs {
		l.fields[i].val = objs[i].Value()
	}
	return o.Set(key, Value{kind: kindList, obj: l})
}

// Obj appends an empty Object and returns that one, not o.
func (o *Object) Obj(key string) *Object {
	in := new(Object)
	o.Set(key, in.Value())
	return in
}

// AppendBencode appends the bencode form of v to dst.
func (v Value) AppendBencode(dst []byte) []byte {
	switch v.kind {
	case kindInt:
		return bencode.AppendInt(dst, v.num)
	case kindList:
		dst = append(dst, 'l')
		for i := range v.obj.fields {
			dst = v.obj.fields[i].val.AppendBencode(dst)
		}
		return append(dst, 'e')
	case kindObject:
		dst = append(dst, 'd')
		dst = v.obj.appendBencode(dst)
		return append(dst, 'e')
	}
	return bencode.AppendString(dst, v.str)
}

func (o *Object) appendBencode(dst []byte) []byte {
	for i := range o.fields {
		dst = bencode.AppendString(dst, o.fields[i].key)
		dst = o.fields[i].val.AppendBencode(dst)
	}
	return dst
}

// AppendJSON appends the JSON form of v to dst.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case kindInt:
		return strconv.AppendInt(dst, v.num, 10)
	case kindList:
		dst = append(dst, '[')
		for i := range v.obj.fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.obj.fields[i].val.AppendJSON(dst)
		}
		return append(dst, ']')
	case kindObject:
		dst = append(dst, '{')
		dst = v.obj.appendJSON(dst)
		return append(dst, '}')
	}
	return appendJSONString(dst, v.str)
}

// appendJSON appends the entries without the braces.
func (o *Object) appendJSON(dst []byte) []byte {
	for i := range o.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, o.fields[i].key)
		dst = append(dst, ':')
		dst = o.fields[i].val.AppendJSON(dst)
	}
	return dst
}

// MarshalJSON makes a Value usable with encoding/json, for CLI and admin surfaces that share these trees.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(json.RawMessage(v.AppendJSON(nil))) }

const hexDigits = "0123456789abcdef"

// appendJSONString appends s in quotes. Only what JSON demands is escaped.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
