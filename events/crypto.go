package events

import (
	"encoding/base64"
	"fmt"
	"log/slog"
)

// Secret is key material: raw bytes, base64 in JSON. It prints as a remark that there is one, whatever the verb, so that no
// log line can hold it by mistake.
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

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText writes base64. This is the form of the log: what is shown to people goes through [Party.WithoutKeys] first.
func (s Secret) MarshalText() ([]byte, error) { return s.appendText(nil), nil }

func (s Secret) appendText(b []byte) []byte { return base64.StdEncoding.AppendEncode(b, []byte(s)) }

// UnmarshalText reads what MarshalText writes.
func (s *Secret) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	*s = Secret(raw)
	return nil
}

// Crypto is one usable a=crypto line of SDES (RFC 4568): a suite and a key that one side said it encrypts with. The zero value
// is none.
type Crypto struct {
	Tag      int    `json:"tag,omitempty"`
	Suite    string `json:"suite"`
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

// LogValue is String, for slog.
func (c Crypto) LogValue() slog.Value { return slog.StringValue(c.String()) }

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

// SameKey tells whether what one side encrypts, the other can decrypt: all but the tag and the lifetime.
func (c Crypto) SameKey(d Crypto) bool {
	c.Tag, c.Lifetime, d.Tag, d.Lifetime = 0, "", 0, ""
	return c == d
}

// WithoutKeys returns a copy of the party that holds no key, for people.
func (p *Party) WithoutKeys() *Party {
	q := *p
	q.Medias = append([]Media(nil), p.Medias...)
	for i := range q.Medias {
		m := &q.Medias[i]
		m.Crypto, m.CryptoSent = withoutKeys(m.Crypto), withoutKeys(m.CryptoSent)
		m.CryptoIn.Key, m.CryptoOut.Key = "", ""
	}
	return &q
}

func withoutKeys(list []Crypto) []Crypto {
	out := append([]Crypto(nil), list...)
	for i := range out {
		out[i].Key = ""
	}
	return out
}
