package events_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"rtpjet/events"
	"rtpjet/events/eventstest"
)

// same compares entries; an empty list or request is the same as none.
func same(a, b events.Envelope) bool { return diff(a, b) == "" }

func diff(got, want events.Envelope) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}))
}

func roundTrip(t rapid.TB, e events.Envelope) []byte {
	t.Helper()
	data, err := events.Encode(e)
	if err != nil {
		t.Fatalf("encode %#v: %v", e, err)
	}
	got, err := events.Decode(data)
	if err != nil {
		t.Fatalf("decode %q: %v", data, err)
	}
	if !same(got, e) {
		t.Fatalf("round trip of %q: %s", data, diff(got, e))
	}
	return data
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { roundTrip(t, eventstest.Envelope().Draw(t, "envelope")) })
}

// Strings are bytes: each nasty text must survive in the call-id, in a tag, and in both at once.
func TestRoundTripTexts(t *testing.T) {
	for _, a := range eventstest.Texts {
		for _, b := range eventstest.Texts {
			roundTrip(t, events.Envelope{
				Call: a, Gen: 1, Node: "n", At: 1,
				Event: events.Offered{Signalling: events.Signalling{Parties: []events.Party{{Tag: b, Aliases: []string{a, b}}}}},
				Cause: &events.Cause{Cookie: a, Request: []byte(b), Reply: []byte(a)},
			})
		}
	}
}

// The head of an entry is one line of JSON whatever the event says, so that any NATS client can read it.
func TestHeaderIsOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := eventstest.Envelope().Draw(t, "envelope")
		data := roundTrip(t, e)
		tail := 0
		if e.Cause != nil {
			tail = len(e.Cause.Request) + len(e.Cause.Reply)
		}
		head := data[:len(data)-tail]
		if head[0] != '{' || bytes.IndexByte(head, '\n') != len(head)-1 {
			t.Fatalf("head %q", head)
		}
	})
}

func TestDecodeSharesData(t *testing.T) {
	data, err := events.Encode(events.Envelope{Event: events.Ended{}, Cause: &events.Cause{Request: []byte("req"), Reply: []byte("rep")}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := events.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	// Appending to the request must not write into the reply behind it.
	_ = append(e.Cause.Request, "XXX"...)
	if string(e.Cause.Reply) != "rep" {
		t.Errorf("the reply became %q", e.Cause.Reply)
	}
}

// A node of an older release passes on what a newer one wrote.
func TestUnknownKind(t *testing.T) {
	for _, in := range []string{
		`{"v":1,"kind":"party_teleported","call":"c","gen":3,"node":"n","at":5,"event":{"to":"mars","é":[1,2.50,null]}}` + "\n",
		`{"v":1,"kind":"party_teleported","call":"c","gen":3,"node":"n","at":5,"event":null}` + "\n",
		`{"v":1,"kind":"party_teleported","call":"c","gen":3,"node":"n","at":5,"event":{"text":"\ufffd é"}}` + "\n",
		`{"v":1,"kind":"party_teleported","call":"ÿ","gen":3,"node":"n","at":5,"latin1":true,"event":{"tag":"Ã©"}}` + "\n",
		`{"v":1,"kind":"x","call":"c","gen":3,"node":"n","at":5,"cookie":"k","from":"192.0.2.1:5","request":3,"reply":2,"caused":true,"event":[]}` + "\nreqre",
	} {
		e, err := events.Decode([]byte(in))
		if err != nil {
			t.Errorf("decode %s: %v", in, err)
			continue
		}
		u, ok := e.Event.(events.Unknown)
		if !ok {
			t.Errorf("%s became a %T", in, e.Event)
			continue
		}
		if events.KindOf(u) != u.Name {
			t.Errorf("kind %q of %q", events.KindOf(u), u.Name)
		}
		out, err := events.Encode(e)
		if err != nil {
			t.Errorf("encode %s: %v", in, err)
			continue
		}
		if string(out) != in {
			t.Errorf("round trip\n got %s\nwant %s", out, in)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	head := func(s string) string { return strings.ReplaceAll(s, "'", `"`) }
	ok := head(`{'v':1,'kind':'ended','call':'c','gen':1,'node':'n','at':5,'request':2,'reply':1,'caused':true,'event':{'reason':'deleted'}}` + "\nabc")
	if _, err := events.Decode([]byte(ok)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"empty":             {"", events.ErrMalformed},
		"no line end":       {strings.Split(ok, "\n")[0], events.ErrMalformed},
		"no JSON":           {"hello\n", events.ErrMalformed},
		"array":             {"[]\n", events.ErrMalformed},
		"no version":        {head("{'kind':'ended','event':{}}\n"), events.ErrMalformed},
		"negative version":  {head("{'v':-1,'kind':'ended','event':{}}\n"), events.ErrMalformed},
		"newer":             {head("{'v':2,'kind':'ended','event':{}}\n"), events.ErrNewer},
		"newer and strange": {head("{'v':2,'kind':'ended','event':7}\nxxxx"), events.ErrNewer},
		"no kind":           {head("{'v':1,'event':{}}\n"), events.ErrMalformed},
		"no body":           {head("{'v':1,'kind':'ended'}\n"), events.ErrMalformed},
		"body of a type":    {head("{'v':1,'kind':'ended','event':[]}\n"), events.ErrMalformed},
		"field of a type":   {head("{'v':1,'kind':'ended','event':{'reason':7}}\n"), events.ErrMalformed},
		"bad address":       {head("{'v':1,'kind':'endpoint_learned','event':{'remote':'1.2.3:4'}}\n"), events.ErrMalformed},
		"negative length":   {head("{'v':1,'kind':'ended','request':-1,'reply':1,'caused':true,'event':{}}\n"), events.ErrMalformed},
		"huge length":       {head("{'v':1,'kind':'ended','request':9223372036854775807,'reply':9223372036854775807,'caused':true,'event':{}}\n"), events.ErrMalformed},
		"tail of nothing":   {head("{'v':1,'kind':'ended','event':{}}\nabc"), events.ErrMalformed},
		"length of nothing": {head("{'v':1,'kind':'ended','request':3,'event':{}}\nabc"), events.ErrMalformed},
	} {
		if _, err := events.Decode([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for n := range len(ok) { // a torn write is noticed wherever it was torn
		if _, err := events.Decode([]byte(ok[:n])); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
}

func TestEncodeBadUnknown(t *testing.T) {
	if _, err := events.Encode(events.Envelope{Event: events.Unknown{Name: "x", Body: []byte("{")}}); err == nil {
		t.Error("a body that is no JSON was encoded")
	}
}

func TestKey(t *testing.T) {
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		id := eventstest.Text().Draw(t, "id")
		k := events.Key(id)
		if len(k) != 32 || strings.Trim(k, "0123456789abcdef") != "" {
			t.Fatalf("key %q of %q is no subject token of 32 hex digits", k, id)
		}
		if k != events.Key(id) {
			t.Fatalf("key of %q changes", id)
		}
		if other, ok := seen[k]; ok && other != id {
			t.Fatalf("%q and %q share a key", id, other)
		}
		seen[k] = id
	})
	// The key names subjects in streams that outlive a release.
	if got, want := events.Key("call-1"), "5d7963c4f471e142f5a72214a9666fb1"; got != want {
		t.Errorf("key of call-1 is %s, was %s", got, want)
	}
}

func TestDigest(t *testing.T) {
	if events.Digest(nil) == 0 || events.Digest([]byte("a")) == events.Digest([]byte("b")) {
		t.Error("digest is zero or constant")
	}
}

func TestDirection(t *testing.T) {
	for d, want := range map[events.Direction][2]bool{
		"": {true, true}, events.SendRecv: {true, true}, events.SendOnly: {true, false}, events.RecvOnly: {false, true},
		events.Inactive: {}, "nonsense": {},
	} {
		if got := [2]bool{d.Sends(), d.Receives()}; got != want {
			t.Errorf("%q: sends, receives %v, want %v", d, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range eventstest.Texts {
		data, err := events.Encode(events.Envelope{
			Call: s, Gen: 1, Node: s,
			Event: events.Answered{Signalling: events.Signalling{Owner: s, Parties: []events.Party{{
				Tag: s, Medias: []events.Media{{Type: s, Remote: events.Ports{RTP: netip.MustParseAddrPort("192.0.2.1:4000")}}},
			}}}},
			Cause: &events.Cause{Cookie: s, Request: []byte(s), Reply: []byte(s)},
		})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"v":1,"kind":"x","latin1":true,"event":{"a":"\ufffd"}}` + "\n"))
	for _, e := range samples() {
		data, err := events.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		agree(t, data)
		e, err := events.Decode(data)
		if err != nil {
			if !errors.Is(err, events.ErrMalformed) && !errors.Is(err, events.ErrNewer) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, err := events.Encode(e)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		if len(again) > 1024+16*len(data) {
			t.Fatalf("%d bytes became %d", len(data), len(again))
		}
		got, err := events.Decode(again)
		if err != nil {
			t.Fatalf("decode %q: %v", again, err)
		}
		if !same(got, e) {
			t.Fatal(diff(got, e))
		}
	})
}
