// Package eventstest makes random events for tests.
package eventstest

import (
	"net/netip"
	"reflect"

	"pgregory.net/rapid"

	"rtpjet/events"
)

// Texts are strings that have broken encoders before: escapes that are none, bytes that are no UTF-8, runes that JSON
// libraries like to escape.
var Texts = []string{
	"", "a", "tag=1;x", "\xff\xfe", "caf\xe9", "café", "\ufffd", `\ufffd`, `\\ufffd`, "\x00", "\r\n", "\u2028<&>", `"`, "\xf0\x9f",
	"\xed\xa0\x80", "日本", "é\xe9", "\u00ff", "\u0100\xff",
}

// Text is any string, mostly a nasty one.
func Text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(Texts),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	)
}

// Event is any event of a known kind.
func Event() *rapid.Generator[events.Event] {
	return rapid.Custom(func(t *rapid.T) events.Event {
		kinds := []events.Event{
			events.Offered{}, events.Answered{}, events.EndpointLearned{}, events.MediaBlocked{}, events.DeletionScheduled{},
			events.PartiesRemoved{}, events.TakenOver{}, events.RolledOver{}, events.LegSilent{},
			events.Ended{},
		}
		v := reflect.New(reflect.TypeOf(rapid.SampledFrom(kinds).Draw(t, "kind"))).Elem()
		fill(t, v)
		return v.Interface().(events.Event)
	})
}

// Envelope is any entry with an event of a known kind.
func Envelope() *rapid.Generator[events.Envelope] {
	return rapid.Custom(func(t *rapid.T) events.Envelope {
		e := events.Envelope{
			Call: Text().Draw(t, "call"), Gen: rapid.Uint64().Draw(t, "gen"), Node: Text().Draw(t, "node"),
			At: rapid.Int64().Draw(t, "at"), Event: Event().Draw(t, "event"),
		}
		if rapid.Bool().Draw(t, "caused") {
			c := &events.Cause{Cookie: Text().Draw(t, "cookie"), Via: Text().Draw(t, "via")}
			fill(t, reflect.ValueOf(&c.From).Elem())
			c.Request = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "request")
			c.Reply = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "reply")
			e.Cause = c
		}
		return e
	})
}

var addrs = []netip.Addr{
	{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("2001:db8::1"),
	netip.MustParseAddr("::"), netip.MustParseAddr("::ffff:192.0.2.7"), netip.MustParseAddr("fe80::1%eth0"),
}

// fill sets a value and all that it holds. Slices are nil or have elements, as decoding makes them.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(rapid.SampledFrom(addrs).Draw(t, "addr")))
		return
	case reflect.TypeFor[netip.AddrPort]():
		if a := rapid.SampledFrom(addrs).Draw(t, "addr"); a.IsValid() {
			v.Set(reflect.ValueOf(netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port"))))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int:
		v.SetInt(int64(rapid.IntRange(-2, 6).Draw(t, "int")))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int64"))
	case reflect.Uint32:
		v.SetUint(uint64(rapid.Uint32().Draw(t, "uint32")))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Uint8().Draw(t, "uint8")))
	case reflect.Uint16:
		v.SetUint(uint64(rapid.Uint16().Draw(t, "uint16")))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint64"))
	case reflect.String:
		v.SetString(Text().Draw(t, "text"))
	case reflect.Slice:
		n := rapid.IntRange(0, 2).Draw(t, "len")
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
			if e := v.Elem(); e.Kind() == reflect.Slice && e.IsNil() {
				v.SetZero()
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("eventstest: no random %s", v.Type())
	}
}
