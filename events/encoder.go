package events

import (
	"net/netip"

	"rtpjet/events/compactjson"
)

// encoder writes the first line of an entry. It gives what encoding/json would give for the same values, field for field
// (TestAppendMatchesJSON): each offer and answer passes through here before its reply can leave, and reflection costs ten
// times as much. The methods that follow from the types alone are generated.
type encoder struct{ compactjson.Writer }

// header writes the line.
func (e *encoder) header(env Envelope, latin1 bool) error {
	e.Open('{')
	e.IntField(`"v":`, Version)
	e.StringField(`"kind":`, string(KindOf(env.Event)))
	e.StringField(`"call":`, env.Call)
	e.UintField(`"gen":`, env.Gen)
	e.StringField(`"node":`, env.Node)
	e.IntField(`"at":`, env.At)
	if c := env.Cause; c != nil {
		e.OptString(`"cookie":`, c.Cookie)
		if c.From != (netip.AddrPort{}) {
			e.Key(`"from":`)
			e.AddrPort(c.From)
		}
		e.OptInt(`"request":`, int64(len(c.Request)))
		e.OptInt(`"reply":`, int64(len(c.Reply)))
		e.OptBool(`"caused":`, true)
		e.OptInt(`"took":`, c.Took)
		e.OptString(`"via":`, c.Via)
		if c.Secrets != "" {
			e.Key(`"secrets":`)
			e.secret(&c.Secrets)
		}
	}
	e.OptBool(`"latin1":`, latin1)
	e.Key(`"event":`)
	if err := e.body(env.Event); err != nil {
		return err
	}
	e.Close('}')
	e.Raw([]byte{'\n'})
	return nil
}

// body writes an event.
func (e *encoder) body(ev Event) error {
	if u, ok := ev.(Unknown); ok {
		body, err := compact(u.Body)
		e.Raw(body)
		return err
	}
	e.event(ev)
	return nil
}

// secret writes a key for [Decode] to read; encoding/json is told only that there is one.
func (e *encoder) secret(s *Secret) { e.Plain(s.appendText) }
