package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/ngserver/rewrite"
	"rtpjet/projection"
	"rtpjet/projection/history"
)

// Redact returns the entries with a placeholder in place of each secret: the same one wherever the same secret stood, in the
// facts as in requests and replies, and of the same length. Digests of what had secrets in it are made anew. So a history
// decides without its secrets as it did with them, and a placeholder says nothing about its secret but which others are equal.
//
// It works on secrets that are sealed as well: equal ones of a call are sealed to equal bytes, and which of them stood where in
// a request, its crypto lines say.
func Redact(entries []history.Entry) []history.Entry {
	r := redactor{secrets: map[events.Secret]events.Secret{}, sdps: map[uint64]uint64{}, keys: map[uint64]uint64{}}
	out := make([]history.Entry, len(entries))
	for i, e := range entries {
		if e.Err == nil {
			e.Envelope = r.envelope(e.Envelope)
		}
		out[i] = e
	}
	return out
}

type redactor struct {
	secrets map[events.Secret]events.Secret
	sdps    map[uint64]uint64 // digests of SDPs: events.Out.Digest
	keys    map[uint64]uint64 // digests of keys: events.RolledOver.Key
}

func (r *redactor) envelope(e events.Envelope) events.Envelope {
	before := e.Event
	e.Event = events.MapSecrets(e.Event, r.secret)
	if u, ok := e.Event.(events.Unknown); ok {
		u.Body = []byte("{}") // there may be secrets in it that this build does not know as such
		e.Event = u
	}
	var reply []byte
	if e.Cause != nil {
		c := *e.Cause
		raw, sealed := c.Request, c.Secrets != ""
		from, to := parties(before)
		c.Request = r.text(c.Request, r.lines(from, func(k events.SRTP) []events.Crypto { return k.Received }))
		c.Reply = r.text(c.Reply, r.lines(to, func(k events.SRTP) []events.Crypto { return k.Sent }))
		c.Secrets = ""
		e.Cause, reply = &c, c.Reply
		if sealed || !bytes.Equal(raw, c.Request) {
			e.Event = newRequest(e.Event, c.Request)
		}
	}
	e.Event = r.digests(e.Event, reply)
	if ev, ok := e.Event.(events.RolledOver); ok {
		if d, ok := r.keys[ev.Key]; ok {
			ev.Key = d
			e.Event = ev
		}
	}
	return e
}

// secret returns the placeholder of a secret.
func (r *redactor) secret(s events.Secret) events.Secret {
	if s == "" {
		return s
	}
	if p, ok := r.secrets[s]; ok {
		return p
	}
	n, sealed := s.Sealed()
	p := r.fresh(n)
	r.secrets[s] = p
	if !sealed {
		r.keys[events.Crypto{Key: s}.Digest()] = events.Crypto{Key: p}.Digest()
	}
	return p
}

// fresh makes the next placeholder. Its bytes come from a count, and from nothing that is secret.
func (r *redactor) fresh(n int) events.Secret {
	var out []byte
	name := "rtpjet placeholder " + strconv.Itoa(len(r.secrets))
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256([]byte(name + " " + strconv.Itoa(i)))
		out = append(out, sum[:]...)
	}
	return events.Secret(out[:n])
}

// parties are the sender and the receiver of what an event signals.
func parties(ev events.Event) (from, to *events.Party) {
	var s *events.Signalling
	switch e := ev.(type) {
	case events.Offered:
		s = &e.Signalling
	case events.Answered:
		s = &e.Signalling
	default:
		return nil, nil
	}
	return s.Party(s.From), s.Party(s.To)
}

// line names a crypto line; there may be one of it in each section.
type line struct{ tag, suite string }

// lines are the secrets of a party's sections, in order.
func (r *redactor) lines(p *events.Party, of func(events.SRTP) []events.Crypto) map[line][]events.Secret {
	out := map[line][]events.Secret{}
	if p == nil {
		return out
	}
	for i := range p.Medias {
		for _, c := range of(p.Medias[i].Keys()) {
			at := line{strconv.Itoa(c.Tag), strings.ToUpper(c.Suite)}
			out[at] = append(out[at], c.Key)
		}
	}
	return out
}

// cryptoLine is what stands before a key.
var cryptoLine = regexp.MustCompile(`(?i)crypto:\s*([0-9]+)\s+([A-Za-z0-9_-]+)\s+inline:$`)

// text puts placeholders into a request or a reply. secrets are those of its crypto lines, sealed or not.
func (r *redactor) text(text []byte, secrets map[line][]events.Secret) []byte {
	if !bytes.Contains(text, []byte("inline:")) {
		return text
	}
	return events.MapInline(text, func(before, key []byte) []byte {
		if len(key) == 0 {
			return key
		}
		masked := len(bytes.Trim(key, "x")) == 0
		if !masked {
			if raw, pad, ok := decodeKey(key); ok {
				return fit(r.secret(events.Secret(raw)), pad, key)
			}
			return opaque(r.secret(events.Secret(key)), key)
		}
		tail := before[max(0, len(before)-128):]
		m := cryptoLine.FindSubmatch(tail)
		if m == nil {
			return key
		}
		at := line{string(m[1]), strings.ToUpper(string(m[2]))}
		if list := secrets[at]; len(list) > 0 {
			secrets[at] = list[1:]
			return fit(r.secret(list[0]), false, key)
		}
		suite, ok := projection.LookupSuite(at.suite)
		if !ok {
			return key
		}
		p := r.fresh(suite.Key + suite.Salt)
		r.secrets["\x00nameless "+p] = p // each such line is another key
		return fit(p, false, key)
	})
}

// decodeKey reads base64, in which JSON may have escaped the slashes.
func decodeKey(key []byte) (raw []byte, pad, ok bool) {
	text := strings.ReplaceAll(string(key), `\`, "")
	bare := strings.TrimRight(text, "=")
	raw, err := base64.RawStdEncoding.DecodeString(bare)
	return raw, bare != text, err == nil
}

// fit writes a placeholder so that it is as long as what stood there: the lengths in a dictionary stay right.
func fit(p events.Secret, pad bool, was []byte) []byte {
	bare := base64.RawStdEncoding.EncodeToString([]byte(p))
	padded := base64.StdEncoding.EncodeToString([]byte(p))
	switch {
	case pad && len(padded) == len(was), len(bare) != len(was) && len(padded) == len(was):
		return []byte(padded)
	case len(bare) == len(was):
		return []byte(bare)
	case bytes.Contains(was, []byte(`\`)): // JSON counts no bytes
		if pad {
			return []byte(padded)
		}
		return []byte(bare)
	}
	return opaque(p, was)
}

// opaque fills a place with letters.
func opaque(p events.Secret, was []byte) []byte {
	text := base64.RawURLEncoding.EncodeToString([]byte(p)) + strings.Repeat("A", len(was))
	text = strings.NewReplacer("-", "A", "_", "A").Replace(text)
	return []byte(text[:len(was)])
}

// newRequest notes the digest of a request that has changed, if the event has one.
func newRequest(ev events.Event, raw []byte) events.Event {
	switch e := ev.(type) {
	case events.Offered:
		if e.Request != 0 {
			e.Request = events.Digest(raw)
		}
		return e
	case events.Answered:
		if e.Request != 0 {
			e.Request = events.Digest(raw)
		}
		return e
	}
	return ev
}

// digests puts right what parties remember of the SDPs that they got.
func (r *redactor) digests(ev events.Event, reply []byte) events.Event {
	_, to := parties(ev)
	if to != nil && reply != nil && to.Out.Digest != 0 {
		if d := rewrite.Digest(replySDP(reply)); d != 0 {
			r.sdps[to.Out.Digest] = d
		}
	}
	fix := func(list []events.Party) []events.Party {
		out := make([]events.Party, len(list))
		copy(out, list)
		for i := range out {
			if d, ok := r.sdps[out[i].Out.Digest]; ok {
				out[i].Out.Digest = d
			}
		}
		return out
	}
	switch e := ev.(type) {
	case events.Offered:
		e.Parties = fix(e.Parties)
		return e
	case events.Answered:
		e.Parties = fix(e.Parties)
		return e
	case events.TakenOver:
		e.Parties = fix(e.Parties)
		return e
	}
	return ev
}

// replySDP is the SDP in a reply; nil if there is none.
func replySDP(reply []byte) []byte {
	d, _, err := ng.DecodeDict(reply)
	if err != nil {
		return nil
	}
	v, _ := d.Get("sdp")
	s, _ := ng.Text(v)
	return []byte(s)
}
