package events_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"rtpjet/events"
	"rtpjet/events/eventstest"
)

// agree checks that the fast decoder gives up, or gives exactly what the slow one does; it returns whether it read the entry.
// Empty and missing lists count as different here.
func agree(t rapid.TB, data []byte) bool {
	t.Helper()
	was := bytes.Clone(data)
	fast, ok := events.FastDecode(data)
	if !bytes.Equal(data, was) {
		t.Fatalf("decoding changed %q", was)
	}
	if !ok {
		return false
	}
	slow, err := events.SlowDecode(data)
	if err != nil {
		t.Fatalf("fast reads what slow refuses: %q: %v", data, err)
	}
	if !reflect.DeepEqual(fast, slow) {
		t.Fatalf("%q\nfast %#v\nslow %#v", data, fast, slow)
	}
	return true
}

// The fast decoder reads whatever Encode writes, but for bytes that are no UTF-8. A new field that it does not know shows here.
func TestFastMatchesSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := events.Encode(eventstest.Envelope().Draw(t, "envelope"))
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := bytes.Cut(data, []byte("\n"))
		if !agree(t, data) && !bytes.Contains(head, []byte(`,"latin1":true,`)) {
			t.Fatalf("fast gives up on %s", head)
		}
	})
}

// snippets are what makes JSON difficult.
var snippets = []string{
	"null", "true", "{}", "[]", `""`, " ", "\n", "\t", ",", ":", "{", "}", "[", "]", `"`, `\`, `\u00e9`, `\ud800`, `\ud83d\ude00`, `\/`, `\u2028`,
	"-", "-0", "00", "0", "1e3", "1.5", "18446744073709551615", "18446744073709551616", "9223372036854775808", "-9223372036854775808",
	"-9223372036854775809", "99999999999999999999999999", "\xff", "\xc3\xa9", "\x00", "\x7f",
	`"192.0.2.1:80"`, `"192.0.2.01:80"`, `"192.0.2.1:080"`, `"192.0.2.1:99999"`, `"[::1]:80"`, `"[fe80::1%25e]:80"`, `"::ffff:1.2.3.4"`, `"1.2.3"`,
	`"latin1":true,`, `"v":1,`, `"event":{},`, `,"event":{}`, `"id":1,`, `"parties":[],`, `"Tag":"x",`, `"tag":"y",`, `"pt":5,`, `"x":1,`,
	`"rtp":"192.0.2.1:80",`, `"codecs":[{"pt":0}],`, `"caused":true,`, `"request":1,`, `"tos":null,`, strings.Repeat("[", 12000), strings.Repeat(`{"a":`, 12000),
}

// Whatever happens to an entry's bytes, the fast decoder reads nothing that the slow one refuses or reads otherwise.
func TestFastMatchesSlowMutated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := events.Encode(eventstest.Envelope().Draw(t, "envelope"))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(data)).Draw(t, "at")
			j := rapid.IntRange(i, min(len(data), i+40)).Draw(t, "to")
			var put []byte
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0: // take out
			case 1:
				put = []byte(rapid.SampledFrom(snippets).Draw(t, "snippet"))
			case 2: // once more
				put = bytes.Repeat(data[i:j], 2)
			case 3:
				put = rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(t, "bytes")
			}
			data = bytes.Join([][]byte{data[:i], put, data[j:]}, nil)
		}
		agree(t, data)
	})
}

// Each place in an entry of each kind gets each snippet, before what stands there and instead of it.
func TestFastMatchesSlowEverywhere(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	read := 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		if agree(t, data) == (name == "unknown" || name == "caused") { // caused is in Latin-1
			t.Errorf("%s: fast reads it or not, and should the other way round", f)
		}
		every := 1 // snippet; all of them in a long entry take too long
		if len(data) > 600 {
			every = 11
		}
		for i := range len(data) {
			for n, s := range snippets {
				if len(s) > 100 && i%97 != 0 || (i+n)%every != 0 {
					continue
				}
				for _, skip := range []int{0, 1, len(s)} {
					if agree(t, bytes.Join([][]byte{data[:i], []byte(s), data[min(i+skip, len(data)):]}, nil)) {
						read++
					}
				}
			}
		}
	}
	if read == 0 {
		t.Error("the fast decoder gave up on everything: the test shows nothing")
	}
}

// The strings of an event do not keep the entry, which is many times as large, and equal lists of one event are one.
func TestFastKeepsLittle(t *testing.T) {
	data, err := events.Encode(usual()["answered"])
	if err != nil {
		t.Fatal(err)
	}
	e, ok := events.FastDecode(data)
	if !ok {
		t.Fatal("gave up")
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	var look func(path string, v reflect.Value)
	look = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if at := uintptr(unsafe.Pointer(unsafe.StringData(v.String()))); at >= from && at < from+uintptr(len(data)) {
				t.Errorf("%s is a part of the entry", path)
			}
		case reflect.Slice:
			if v.Cap() != v.Len() {
				t.Errorf("%s has room for %d and holds %d", path, v.Cap(), v.Len())
			}
			for i := range v.Len() {
				look(path+"[]", v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				look(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	}
	look("event", reflect.ValueOf(e.Event))
	look("call", reflect.ValueOf(e.Call))
	look("node", reflect.ValueOf(e.Node))
	medias := [2]events.Media{}
	for i, p := range e.Event.(events.Answered).Parties {
		medias[i] = p.Medias[0]
	}
	if &medias[0].Codecs[0] != &medias[1].Offered[0] || &medias[0].Offered[0] != &medias[1].Codecs[0] {
		t.Error("equal lists have memory of their own")
	}
	if n := testing.AllocsPerRun(100, func() { events.FastDecode(data) }); n > 20 {
		t.Errorf("%.0f allocations", n)
	}
}
