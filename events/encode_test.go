package events

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
)

// TestAppendMatchesJSON holds the encoder against encoding/json for random values of each event.
func TestAppendMatchesJSON(t *testing.T) {
	for _, zero := range []Event{Offered{}, Answered{}, EndpointLearned{}, MediaBlocked{}, DeletionScheduled{}, PartiesRemoved{}, TakenOver{}, RolledOver{}, LegSilent{}, Ended{}} {
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 1))
			v := reflect.New(reflect.TypeOf(zero)).Elem()
			fill(r, v, 0)
			e := v.Interface().(Event)
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(e); err != nil {
				t.Fatal(err)
			}
			var w encoder
			if err := w.body(e); err != nil {
				t.Fatal(err)
			}
			if got := append(w.Bytes(), '\n'); !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("%T, seed %d:\n got %s\nwant %s", e, seed, got, want.Bytes())
			}
		}
	}
}

// fill sets a value to something random; about half of all fields stay empty.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	if depth > 1 && r.IntN(2) == 0 {
		return
	}
	switch v.Interface().(type) {
	case Secret: // encoding/json is not to show it; TestFastMatchesSlow has its form
		return
	case netip.Addr:
		v.Set(reflect.ValueOf(randomAddr(r)))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.AddrPortFrom(randomAddr(r), uint16(r.Uint32()))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		texts := []string{"", "audio", "a\"b\\c\n\r\t\b\f\x01\x7f", "<html>&", "grüße \u2028\u2029 世界", "\ufffd"}
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(r.IntN(7)) - 3)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), 0)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i), depth+1)
		}
	}
}

func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0xd, 0xb8, 15: byte(r.Uint32())})
}
