package events

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
)

// Secret is key material: raw bytes, base64 in the log of events. Everywhere else it prints as a remark that there is one,
// whatever the verb and the logger, so that nothing can show it by mistake.
type Secret string

const hidden = "[hidden]"

// String says that there is a secret, not which.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// Format is String for all verbs, %d among them.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalJSON is String: JSON that is made by reflection is for people. [Encode] writes the key.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// UnmarshalJSON reads what [Encode] writes.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil || text == nil {
		return err
	}
	return s.read([]byte(*text))
}

func (s Secret) appendText(b []byte) []byte { return base64.StdEncoding.AppendEncode(b, []byte(s)) }

func (s *Secret) read(text []byte) error {
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	*s = Secret(raw[:n])
	return nil
}

// Crypto is one usable a=crypto line of SDES (RFC 4568): a suite and a key that one side said it encrypts with. The zero value
// is none.
type Crypto struct {
	Tag      int    `json:"tag,omitempty"`
	Suite    string `json:"suite" read:"suite"`
	Key      Secret `json:"key,omitempty"`      // master key and salt
	MKI      string `json:"mki,omitempty"`      // a decimal number; empty: none
	MKILen   int    `json:"mki_len,omitempty"`  // bytes
	Lifetime string `json:"lifetime,omitempty"` // as received: "2^31"

	UnencryptedSRTP     bool `json:"unencrypted_srtp,omitempty"`
	UnencryptedSRTCP    bool `json:"unencrypted_srtcp,omitempty"`
	UnauthenticatedSRTP bool `json:"unauthenticated_srtp,omitempty"`
}

// String is the line without its key.
func (c Crypto) String() string {
	if c == (Crypto{}) {
		return "none"
	}
	s := fmt.Sprintf("%d %s inline:%s", c.Tag, c.Suite, c.Key)
	if c.MKI != "" {
		s += fmt.Sprintf("|%s:%d", c.MKI, c.MKILen)
	}
	for _, p := range c.params() {
		if p.on {
			s += " " + p.name
		}
	}
	return s
}

// GoString is String, for %#v.
func (c Crypto) GoString() string { return c.String() }

type cryptoParam struct {
	name string
	on   bool
}

func (c *Crypto) params() [3]cryptoParam {
	return [3]cryptoParam{
		{"UNENCRYPTED_SRTP", c.UnencryptedSRTP}, {"UNENCRYPTED_SRTCP", c.UnencryptedSRTCP},
		{"UNAUTHENTICATED_SRTP", c.UnauthenticatedSRTP},
	}
}

// Digest is a number by which a key can be told from others, and not be found out; 0 for none.
func (c Crypto) Digest() uint64 {
	if c.Key == "" {
		return 0
	}
	return Digest([]byte("rtpjet key " + string(c.Key)))
}

// SameKey tells whether what one side encrypts, the other can decrypt: all but the tag and the lifetime.
func (c Crypto) SameKey(d Crypto) bool {
	c.Tag, c.Lifetime, d.Tag, d.Lifetime = 0, "", 0, ""
	return c == d
}

// SRTP are the keys of one side of a section (RFC 4568).
type SRTP struct {
	// Received are the usable lines of the party's last offer, or the one of its answer; Sent are those that we sent to it
	// last, of which its answer leaves the one that it chose.
	Received []Crypto `json:"received,omitempty"`
	Sent     []Crypto `json:"sent,omitempty"`
	// In is what the party encrypts with and Out what we encrypt with towards it, as the last answer has settled; zero: nothing.
	In  Crypto `json:"in,omitzero"`
	Out Crypto `json:"out,omitzero"`
	// OSRTP says that the lines stand, or stood, under a plain profile (RFC 8643).
	OSRTP bool `json:"osrtp,omitempty"`
	// OffererPref says that the offer named a suite to be answered with, whatever the other side takes (offerer_pref).
	OffererPref bool `json:"offerer_pref,omitempty"`
}

// Format prints the lines without their keys. fmt looks no method up behind a pointer whose verb it finds odd, so it has one.
func (k SRTP) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{received %v, sent %v, in %v, out %v}", k.Received, k.Sent, k.In, k.Out)
}

// Keys are the keys of this side of the section.
func (m *Media) Keys() SRTP {
	if m.SRTP == nil {
		return SRTP{}
	}
	return *m.SRTP
}

// SetKeys changes the keys of this side. Whoever has read them before keeps what was there.
func (m *Media) SetKeys(k SRTP) {
	m.SRTP = nil
	if len(k.Received) > 0 || len(k.Sent) > 0 || k.In != (Crypto{}) || k.Out != (Crypto{}) || k.OSRTP || k.OffererPref {
		m.SRTP = &k
	}
}

// MapKeys returns a copy of the party with f applied to each key, and the party itself if it has none.
func (p *Party) MapKeys(f func(Secret) Secret) *Party {
	if !slices.ContainsFunc(p.Medias, func(m Media) bool { return m.SRTP != nil }) {
		return p
	}
	q := *p
	q.Medias = slices.Clone(p.Medias)
	for i := range q.Medias {
		if q.Medias[i].SRTP == nil {
			continue
		}
		k := q.Medias[i].Keys()
		k.Received, k.Sent = slices.Clone(k.Received), slices.Clone(k.Sent)
		for _, list := range [][]Crypto{k.Received, k.Sent} {
			for j := range list {
				list[j].Key = f(list[j].Key)
			}
		}
		k.In.Key, k.Out.Key = f(k.In.Key), f(k.Out.Key)
		q.Medias[i].SRTP = &k
	}
	return &q
}

// WithoutKeys returns a copy of the party that holds no key, for people, and the party itself if it has none.
func (p *Party) WithoutKeys() *Party { return p.MapKeys(func(Secret) Secret { return "" }) }
