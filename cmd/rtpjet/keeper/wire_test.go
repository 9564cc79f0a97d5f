package keeper

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// filler puts something into every field of a value: no two alike, and none of them zero.
type filler struct {
	t testing.TB
	n int
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{192, 0, 2, byte(f.n)})
		return
	case *netip.AddrPort:
		*p = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(f.n)}), uint16(f.n))
		return
	case *netip.Prefix:
		*p = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(f.n)}), 24)
		return
	case *json.RawMessage:
		*p = json.RawMessage(`{"n":` + strconv.Itoa(f.n) + `}`)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("s" + strconv.Itoa(f.n))
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		v.SetInt(int64(f.n))
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(v.Index(0))
		f.fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Field(i).CanSet() {
				f.t.Fatalf("%s.%s would not be written", v.Type(), v.Type().Field(i).Name)
			}
			f.fill(v.Field(i))
		}
	default:
		f.t.Fatalf("nothing is known to put into a %s", v.Type())
	}
}

func filled[T any](t testing.TB) *T {
	v := new(T)
	(&filler{t: t}).fill(reflect.ValueOf(v).Elem())
	return v
}

// TestWireLosesNothing: each field of a message, of those to come also, arrives as it was sent.
func TestWireLosesNothing(t *testing.T) {
	check := func(sent, got any) {
		data, err := encode(sent)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(data, got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sent, got) {
			t.Errorf("sent %+v\n got %+v\nas %s", sent, got, data)
		}
	}
	check(filled[order](t), new(order))
	check(filled[report](t), new(report))
}

// TestWireAlive: what a node says twenty times a second is as short as a message can be, and means nothing else.
func TestWireAlive(t *testing.T) {
	data, err := encode(order{})
	if err != nil || string(data) != "{}" {
		t.Errorf("a sign of life is %s, %v", data, err)
	}
	off := false
	if data, err = encode(order{Drain: &off}); err != nil || string(data) == "{}" {
		t.Errorf("the end of draining is taken for a sign of life: %s, %v", data, err)
	}
}

// TestWireBounds: a message goes as one packet, into a buffer of maxMessage.
func TestWireBounds(t *testing.T) {
	empty, err := encode(report{Fatal: "x"})
	if err != nil {
		t.Fatal(err)
	}
	room := maxMessage - len(empty) + 1
	data, err := encode(report{Fatal: strings.Repeat("x", room)})
	if err != nil || len(data) != maxMessage {
		t.Errorf("%d bytes, and they may be %d: %v", len(data), maxMessage, err)
	}
	_, err = encode(report{Fatal: strings.Repeat("x", room+1)})
	if want := "write a message between node and keeper: it is 131073 bytes long"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := encode(order{Pulse: json.RawMessage(`{`)}); err == nil || !strings.HasPrefix(err.Error(), "write a message between node and keeper: ") {
		t.Errorf("a pulse that is no JSON is sent: %v", err)
	}
}

// TestWireRefuses reads what is no message, or not all of one.
func TestWireRefuses(t *testing.T) {
	whole, err := encode(filled[order](t))
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"", "x", "[]", `"config"`, "{}{}", `{"run":-1}`, `{"run":"1"}`, `{"nodes":{"peers":{"n2":"192.0.2.1"}}}`, `{"warm":[]}`, "\x00\x01"}
	for n := range len(whole) {
		bad = append(bad, string(whole[:n]))
	}
	for _, text := range bad {
		var o order
		if err := decode([]byte(text), &o); err == nil || !strings.HasPrefix(err.Error(), "read a message between node and keeper: ") {
			t.Errorf("%.60q is read as %+v: %v", text, o, err)
		}
	}
	var o order // of a node with more to say: what is not known is left alone
	if err := decode([]byte(`{"ready":true,"louder":{"by":3}}`), &o); err != nil || !o.Ready {
		t.Errorf("%+v, %v", o, err)
	}
}

func FuzzWire(f *testing.F) {
	for _, v := range []any{order{}, *filled[order](f), report{}, *filled[report](f)} {
		data, err := encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again(t, data, new(order), new(order))
		again(t, data, new(report), new(report))
	})
}

// again reads data into a. What can be read can be written and read once more, and is the same then.
func again(t *testing.T, data []byte, a, b any) {
	if decode(data, a) != nil {
		return
	}
	first, err := encode(a)
	if err != nil {
		return // it grows: HTML is escaped
	}
	if err := decode(first, b); err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	second, err := encode(b)
	if err != nil || string(first) != string(second) {
		t.Errorf("%s\n%s: %v", first, second, err)
	}
}
