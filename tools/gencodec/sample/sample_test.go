package sample

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"rtpjet/tools/gencodec/gen"
)

func TestNotStale(t *testing.T) {
	if err := gen.Stale("."); err != nil {
		t.Error(err)
	}
}

// A file that is not what the types say is noticed.
func TestStale(t *testing.T) {
	dir := t.TempDir()
	for _, name := range append([]string{"sample.go"}, gen.Files...) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "sample.go" { // one line more
			data = bytes.Replace(data, []byte("type Pair struct {\n"), []byte("type Pair struct {\n\tC int `json:\"c\"`\n"), 1)
		}
		if err := os.WriteFile(dir+"/"+name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := gen.Stale(dir); err == nil {
		t.Error("a new field was not noticed")
	}
	files, err := gen.Generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := gen.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	if err := gen.Stale(dir); err != nil {
		t.Error(err)
	}
}

var facts = []Fact{Scalars{}, Nested{}, Alone{}, Many{}, Range{}}

// slow reads by encoding/json.
func slow(data []byte) (Fact, error) {
	var head struct {
		Name Name            `json:"name"`
		Fact json.RawMessage `json:"fact"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	return unmarshalFact(head.Name, head.Fact)
}

// agree checks that Decode gives up, or reads what encoding/json reads.
func agree(t rapid.TB, data []byte) bool {
	t.Helper()
	was := bytes.Clone(data)
	fast, ok := Decode(data)
	if !bytes.Equal(data, was) {
		t.Fatalf("decoding changed %q", was)
	}
	if !ok {
		return false
	}
	want, err := slow(data)
	if err != nil {
		t.Fatalf("encoding/json refuses %q: %v", data, err)
	}
	if !reflect.DeepEqual(fast, want) {
		t.Fatalf("%q\n got %#v\nwant %#v", data, fast, want)
	}
	return true
}

func encode(t rapid.TB, f Fact) []byte {
	t.Helper()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(struct {
		Name Name `json:"name"`
		Fact Fact `json:"fact"`
	}{f.name(), f}); err != nil {
		t.Fatal(err)
	}
	got := Encode(f)
	if got == nil {
		t.Fatalf("%#v is not UTF-8", f)
	}
	if line := append(bytes.Clone(got), '\n'); !bytes.Equal(line, want.Bytes()) {
		t.Fatalf("%T\n got %s\nwant %s", f, line, want.Bytes())
	}
	return got
}

// What is written is what encoding/json writes, and what is read is what was written, if no list is empty that is left out then.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := reflect.New(reflect.TypeOf(rapid.SampledFrom(facts).Draw(t, "fact"))).Elem()
		fill(t, v)
		data := encode(t, v.Interface().(Fact))
		if !agree(t, data) && !emptyLists(v) {
			t.Fatalf("gives up on %s", data)
		}
	})
}

// The zero values and the largest ones, which chance may not give.
func TestBounds(t *testing.T) {
	for _, f := range facts {
		agree(t, encode(t, f))
	}
	for _, f := range []Fact{
		Scalars{
			Int: math.MaxInt, Int8: math.MaxInt8, Int16: math.MaxInt16, Int32: math.MaxInt32, Int64: math.MaxInt64,
			Uint: math.MaxUint, Uint8: math.MaxUint8, Uint16: math.MaxUint16, Uint32: math.MaxUint32, Uint64: math.MaxUint64,
		},
		Scalars{Int: math.MinInt, Int8: math.MinInt8, Int16: math.MinInt16, Int32: math.MinInt32, Int64: math.MinInt64},
		Nested{Strings: []string{}, Pairs: []Pair{}, ZeroSizes: []Size{}, Int: new(int), NullInt: new(int), PairAt: &Pair{}},
	} {
		if data := encode(t, f); !agree(t, data) {
			t.Errorf("gives up on %s", data)
		}
	}
	for _, over := range []string{`"int8":128`, `"int8":-129`, `"uint8":256`, `"uint16":65536`, `"size":65536`, `"uint32":4294967296`, `"depth":200`, `"int64":9223372036854775808`} {
		if _, ok := Decode([]byte(`{"name":"scalars","fact":{` + over + `}}`)); ok {
			t.Errorf("%s was read", over)
		}
	}
}

// What Encode would not have written is left to encoding/json.
func TestGivesUp(t *testing.T) {
	for _, s := range []string{
		``, `{}`, `{"name":"scalars"}`, `{"name":"else","fact":{}}`, `{"name":"alone","fact":{"b":"x"}} `, `{"name":"alone","fact":{"b":"x"}}}`,
		`{"name":"alone","fact":{"b":"x","b":"y"}}`, `{"name":"alone","fact":{"b":"x","c":1}}`, `{"name":"alone","fact":{"B":"x"}}`,
		`{"name":"alone","fact":{"b":null}}`, `{"name":"alone","fact":null}`, `{"name":"alone","fact":{ "b":"x"}}`, `{"name":"alone","fact":{"b":"x",}}`,
		`{"name":"alone","fact":{"a":01}}`, `{"name":"alone","fact":{"a":-0}}`, `{"name":"alone","fact":{"a":1.0}}`, `{"name":"alone","fact":{"a":1e1}}`,
		`{"name":"alone","fact":{"b":"` + "\xff" + `"}}`, `{"name":"alone","fact":{"b":"\ud800"}}`,
		`{"name":"nested","fact":{"flags":[true,false]}}`, `{"name":"nested","fact":{"flags":[true,false,true,true]}}`, `{"name":"nested","fact":{"flags":[true]false,true]}}`, `{"name":"nested","fact":{"flags":[true,false]true]}}`,
		`{"name":"nested","fact":{"pairs":[,]}}`,
		`{"name":"many","fact":{"f1":1,"f65":1,"f65":1}}`,
	} {
		if agree(t, []byte(s)) {
			t.Errorf("%s was read", s)
		}
	}
	for _, s := range []string{`{"name":"many","fact":{"f1":1,"f65":1}}`, `{"name":"alone","fact":{"b":"x","a":1}}`, `{"name":"alone","fact":{}}`} {
		if !agree(t, []byte(s)) {
			t.Errorf("%s was not read", s)
		}
	}
	if Encode(Alone{Pair{B: "\xff"}}) != nil {
		t.Error("what is not UTF-8 was written")
	}
}

func FuzzDecode(f *testing.F) {
	for _, fact := range facts {
		f.Add(Encode(fact))
	}
	f.Add(Encode(Nested{
		Strings: []string{"a", ""}, OptStrings: []string{"\u2028"}, Ints: []int{1, -2}, AllInts: []int{}, Sizes: []Size{3}, Addrs: []netip.Addr{netip.MustParseAddr("::1%e")},
		Pairs: []Pair{{1, "b"}, {}}, Larges: []Large{{}, {Names: []string{"n"}}}, Codes: []Code{{3}}, Int: new(4), Bool: new(false), PairAt: &Pair{A: 2},
		PairsAt: &[]Pair{{}}, NamesAt: &[]string{"x"}, IntsAt: &[]int{5}, CodeAt: &Code{1},
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if agree(t, data) {
			f, _ := Decode(data)
			encode(t, f)
		}
	})
}

// emptyLists tells whether a value has a list that is empty, but not nil, behind a pointer: no form is made for it.
func emptyLists(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && (v.Elem().Kind() == reflect.Slice && v.Elem().Len() == 0 || emptyLists(v.Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			if emptyLists(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if emptyLists(v.Index(i)) {
				return true
			}
		}
	}
	return false
}

var (
	strs  = []string{"", "a", `"\`, "\r\n\t\b\f\x01\x7f", "<html>&", "grüße \u2028\u2029 世界", "\ufffd"}
	addrs = []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1%e\"0"), netip.MustParseAddr("::ffff:192.0.2.7")}
)

// fill sets a value and all that it holds to something random.
func fill(t *rapid.T, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = rapid.SampledFrom(addrs).Draw(t, "addr")
		return
	case *netip.AddrPort:
		if a := rapid.SampledFrom(addrs).Draw(t, "addr"); a.IsValid() {
			*p = netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port"))
		}
		return
	case *Code:
		p.n = rapid.Uint8Max(9).Draw(t, "code")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.SampledFrom(strs).Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int") >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> (64 - v.Type().Bits()))
	case reflect.Slice:
		n := rapid.IntRange(-1, 3).Draw(t, "length")
		if n < 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fill(t, v.Field(i))
			}
		}
	default:
		t.Fatalf("no random %s", v.Type())
	}
}
