package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"unicode/utf8"

	"rtpjet/events/compactjson"
)

// Version is the format version that Encode writes. Decode reads it and every earlier one.
const Version = 1

// Errors of Decode. ErrNewer says that the entry was written by a later release; it must be left alone.
var (
	ErrMalformed = errors.New("malformed event")
	ErrNewer     = errors.New("event of a newer version")
)

// header is the first line of an entry. The line is JSON, so that any NATS client can read the facts; the NG request and
// reply follow it as raw bytes, because they are binary and by far the larger part.
type header struct {
	V       int             `json:"v"`
	Kind    Kind            `json:"kind"`
	Call    string          `json:"call"`
	Gen     uint64          `json:"gen"`
	Node    string          `json:"node"`
	At      int64           `json:"at"`
	Cookie  string          `json:"cookie,omitempty"`
	From    netip.AddrPort  `json:"from,omitzero"`
	Request int             `json:"request,omitempty"` // bytes
	Reply   int             `json:"reply,omitempty"`   // bytes
	Caused  bool            `json:"caused,omitempty"`
	Took    int64           `json:"took,omitempty"`    // µs
	Via     string          `json:"via,omitempty"`     // region/node
	Secrets Secret          `json:"secrets,omitempty"` // of the request and the reply, sealed
	Latin1  bool            `json:"latin1,omitempty"`  // strings are bytes, each written as the rune of its value
	Event   json.RawMessage `json:"event"`
}

// Encode returns the entry's bytes: one line of JSON, then the request and the reply of its cause.
func Encode(e Envelope) ([]byte, error) {
	size := 2048
	if e.Cause != nil {
		size += len(e.Cause.Request) + len(e.Cause.Reply)
	}
	enc := encoder{compactjson.NewWriter(make([]byte, 0, size))}
	if err := enc.header(e, false); err != nil {
		return nil, fmt.Errorf("encode %s event: %w", KindOf(e.Event), err)
	}
	// SIP allows bytes that are not UTF-8, and some phones send them. Such a rare entry is written with its strings mapped
	// byte by byte.
	if u, ok := e.Event.(Unknown); enc.Invalid() || ok && u.Latin1 {
		e.Call, e.Node, e.Event = toLatin1(e.Call), toLatin1(e.Node), mapStrings(e.Event, toLatin1)
		if e.Cause != nil {
			c := *e.Cause
			c.Cookie, c.Via = toLatin1(c.Cookie), toLatin1(c.Via)
			e.Cause = &c
		}
		enc = encoder{compactjson.NewWriter(enc.Bytes()[:0])}
		if err := enc.header(e, true); err != nil {
			return nil, fmt.Errorf("encode %s event: %w", KindOf(e.Event), err)
		}
	}
	data := enc.Bytes()
	if e.Cause != nil {
		data = append(data, e.Cause.Request...)
		data = append(data, e.Cause.Reply...)
	}
	return data, nil
}

// endedPrefix is how Encode begins an entry with an Ended.
var endedPrefix = []byte(`{"v":1,"kind":"ended",`)

// IsEnd tells of an entry's bytes whether they are an Ended, without reading them. It may say no of one that this release
// did not write.
func IsEnd(data []byte) bool { return bytes.HasPrefix(data, endedPrefix) }

// Decode reads an entry. The request and the reply in the result share data. Errors: ErrMalformed, ErrNewer.
func Decode(data []byte) (Envelope, error) {
	if e, ok := fastDecode(data); ok {
		return e, nil
	}
	return slowDecode(data)
}

// slowDecode reads any entry of this format, whoever wrote it.
func slowDecode(data []byte) (Envelope, error) {
	nl := bytes.IndexByte(data, '\n')
	if nl < 0 {
		return Envelope{}, fmt.Errorf("%w: no header line", ErrMalformed)
	}
	if !utf8.Valid(data[:nl]) { // JSON is, and encoding/json would pass over it in silence
		return Envelope{}, fmt.Errorf("%w: header line is not UTF-8", ErrMalformed)
	}
	h, ok := splitHeader(data[:nl])
	if !ok {
		if err := json.Unmarshal(data[:nl], &h); err != nil {
			return Envelope{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	if h.V > Version {
		return Envelope{}, fmt.Errorf("%w: %d, this build knows %d", ErrNewer, h.V, Version)
	}
	rest := data[nl+1:]
	if h.V < 1 || h.Request < 0 || h.Reply < 0 || h.Request > len(rest) || h.Reply != len(rest)-h.Request {
		return Envelope{}, fmt.Errorf("%w: lengths do not match", ErrMalformed)
	}
	ev, err := decodeEvent(h)
	if err != nil {
		return Envelope{}, fmt.Errorf("%w: %s: %w", ErrMalformed, h.Kind, err)
	}
	if h.Latin1 {
		h.Call, h.Node, h.Cookie, h.Via = fromLatin1(h.Call), fromLatin1(h.Node), fromLatin1(h.Cookie), fromLatin1(h.Via)
		ev = mapStrings(ev, fromLatin1)
	}
	e := Envelope{Call: h.Call, Gen: h.Gen, Node: h.Node, At: h.At, Event: ev}
	if h.Caused {
		e.Cause = &Cause{Cookie: h.Cookie, From: h.From, Request: rest[:h.Request:h.Request], Reply: rest[h.Request:], Took: h.Took, Via: h.Via, Secrets: h.Secrets}
	} else if len(rest) > 0 {
		return Envelope{}, fmt.Errorf("%w: lengths do not match", ErrMalformed)
	}
	return e, nil
}

// eventKey comes before the event in what Encode writes, and is the last of the header's keys. It cannot stand within a
// string: quotes are escaped there.
var eventKey = []byte(`,"event":`)

// splitHeader reads a line as Encode writes it without looking at the event, which encoding/json would scan twice. ok is
// false if the line is otherwise.
func splitHeader(line []byte) (h header, ok bool) {
	i := bytes.Index(line, eventKey)
	if i < 0 || line[len(line)-1] != '}' {
		return header{}, false
	}
	head := append(append(make([]byte, 0, i+1), line[:i]...), '}')
	body := line[i+len(eventKey) : len(line)-1]
	if json.Unmarshal(head, &h) != nil {
		return header{}, false
	}
	h.Event = body
	return h, true
}

func decodeEvent(h header) (Event, error) {
	if h.Kind == "" {
		return nil, errors.New("no kind")
	}
	body := h.Event
	if ev, err := unmarshalEvent(h.Kind, body); ev != nil || err != nil {
		return ev, err
	}
	if len(body) == 0 {
		body = json.RawMessage("null")
	}
	body, err := compact(body)
	return Unknown{Name: h.Kind, Body: body, Latin1: h.Latin1}, err
}

// compact checks JSON and puts it on one line, a copy.
func compact(body []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, body)
	return b.Bytes(), err
}

func unmarshal[E Event](body json.RawMessage) (Event, error) {
	var e E
	if len(body) == 0 {
		return nil, errors.New("no body")
	}
	err := json.Unmarshal(body, &e)
	return e, err
}

func toLatin1(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = rune(s[i])
	}
	return string(out)
}

func fromLatin1(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff { // not written by toLatin1: keep it as it is
			out = utf8.AppendRune(out, r)
			continue
		}
		out = append(out, byte(r))
	}
	return string(out)
}

// mapStrings returns a copy of the event with f applied to every string in it.
func mapStrings(e Event, f func(string) string) Event {
	if _, ok := e.(Unknown); ok {
		return e
	}
	v := reflect.New(reflect.TypeOf(e)).Elem()
	v.Set(mapped(reflect.ValueOf(e), f))
	return v.Interface().(Event)
}

func mapped(v reflect.Value, f func(string) string) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[Secret]() { // base64 in JSON, whatever its bytes
			return v
		}
		out := reflect.New(v.Type()).Elem()
		out.SetString(f(v.String()))
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(mapped(v.Elem(), f))
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(mapped(v.Index(i), f))
		}
		return out
	case reflect.Struct:
		if v.Type().PkgPath() == "net/netip" { // opaque, and holds no text of ours
			return v
		}
		out := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			out.Field(i).Set(mapped(v.Field(i), f))
		}
		return out
	}
	return v
}
