package events

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Secrets in the log are sealed with the cluster key (docs/decisions/11-sealed-secrets.md): the keys of SRTP in the
// facts, and those in the kept request and reply, where as many letters x stand in their place. Whoever has the log and
// not the key can read all but them.
//
// A sealed secret is mark, 4 bytes that name the key, 12 bytes of nonce, and AES-256-GCM. The nonce is made from the secret
// itself, so that sealing needs no randomness and a repeated append has the same bytes; equal secrets of one call look equal.

// sealMark begins a sealed secret. No master key begins like that but by a chance of 2^-64.
const sealMark = "\x00rtpjet\x01"

const (
	sealID    = 4
	sealNonce = 12
	sealTag   = 16
)

// ErrSealed says that a secret was sealed with a key that is not at hand.
var ErrSealed = errors.New("sealed with another cluster key")

// Sealer seals and opens secrets. The nil Sealer leaves them as they are and opens none. It is safe for concurrent use.
type Sealer struct{ keys []sealKey }

type sealKey struct {
	id    string
	nonce []byte // key of the HMAC that makes nonces
	aead  cipher.AEAD
}

// NewSealer returns a Sealer for cluster keys: it seals with the first, and opens with any, so that a key can be changed while
// the log has secrets of the one before. Without a key it returns nil.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // the nil Sealer is of use
	}
	s := &Sealer{}
	for _, k := range keys {
		block, err := aes.NewCipher(purpose(k, "rtpjet seal v1"))
		if err != nil {
			return nil, fmt.Errorf("cluster key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("cluster key: %w", err)
		}
		s.keys = append(s.keys, sealKey{
			id: string(purpose(k, "rtpjet seal id v1")[:sealID]), nonce: purpose(k, "rtpjet seal nonce v1"), aead: aead,
		})
	}
	return s, nil
}

func purpose(key []byte, what string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(what))
	return h.Sum(nil)
}

// seal seals one secret of a call.
func (s *Sealer) seal(call string, plain Secret) Secret {
	if plain == "" || strings.HasPrefix(string(plain), sealMark) {
		return plain
	}
	k := &s.keys[0]
	h := hmac.New(sha256.New, k.nonce)
	h.Write([]byte(call + "\x00" + string(plain)))
	nonce := h.Sum(nil)[:sealNonce]
	out := append([]byte(sealMark+k.id), nonce...)
	return Secret(k.aead.Seal(out, nonce, []byte(plain), []byte(call)))
}

// Sealed tells whether a secret is sealed, and how many bytes it has without that.
func (s Secret) Sealed() (plain int, ok bool) {
	text, ok := strings.CutPrefix(string(s), sealMark)
	if !ok {
		return len(s), false
	}
	return max(0, len(text)-sealID-sealNonce-sealTag), true
}

func (s *Sealer) open(call string, sealed Secret) (Secret, error) {
	text, ok := strings.CutPrefix(string(sealed), sealMark)
	if !ok {
		return sealed, nil
	}
	if s != nil && len(text) > sealID+sealNonce {
		for i := range s.keys {
			k := &s.keys[i]
			if text[:sealID] != k.id {
				continue
			}
			plain, err := k.aead.Open(nil, []byte(text[sealID:sealID+sealNonce]), []byte(text[sealID+sealNonce:]), []byte(call))
			if err == nil {
				return Secret(plain), nil
			}
		}
	}
	return sealed, ErrSealed
}

// Seal returns the envelope as it goes into the log. It shares with e what holds no secret.
func (s *Sealer) Seal(e Envelope) Envelope {
	if s == nil {
		return e
	}
	e.Event, _ = mapSecrets(e.Event, func(k Secret) (Secret, error) { return s.seal(e.Call, k), nil })
	if c := e.Cause; c != nil && (bytes.Contains(c.Request, inlineWord) || bytes.Contains(c.Reply, inlineWord)) {
		masked := *c
		var all [][]byte
		masked.Request = maskInline(c.Request, &all)
		masked.Reply = maskInline(c.Reply, &all)
		masked.Secrets = s.seal(e.Call, Secret(bytes.Join(all, []byte("\n"))))
		e.Cause = &masked
	}
	return e
}

// Open undoes Seal. The error matches ErrSealed if a key is missing; the envelope is then as complete as it can be.
func (s *Sealer) Open(e Envelope) (Envelope, error) {
	var err error
	e.Event, err = mapSecrets(e.Event, func(k Secret) (Secret, error) { return s.open(e.Call, k) })
	if c := e.Cause; c != nil && c.Secrets != "" {
		all, oerr := s.open(e.Call, c.Secrets)
		if oerr != nil {
			return e, oerr
		}
		plain := *c
		list := bytes.Split([]byte(all), []byte("\n"))
		plain.Request, list = fillInline(c.Request, list)
		plain.Reply, _ = fillInline(c.Reply, list)
		plain.Secrets = ""
		e.Cause = &plain
	}
	return e, err
}

// MapSecrets returns a copy of the event with f applied to its keys.
func MapSecrets(ev Event, f func(Secret) Secret) Event {
	ev, _ = mapSecrets(ev, func(k Secret) (Secret, error) { return f(k), nil })
	return ev
}

// Exposed tells whether an envelope has a secret that is not sealed.
func Exposed(e Envelope) bool {
	found := false
	see := func(plain bool) { found = found || plain }
	MapSecrets(e.Event, func(k Secret) Secret {
		_, sealed := k.Sealed()
		see(k != "" && !sealed)
		return k
	})
	if c := e.Cause; c != nil && c.Secrets == "" {
		for _, text := range [][]byte{c.Request, c.Reply} {
			eachInline(text, func(_, key []byte) { see(len(key) > 0) })
		}
	}
	return found
}

// mapSecrets returns the event with f applied to its keys. Parties that have none are shared.
func mapSecrets(ev Event, f func(Secret) (Secret, error)) (Event, error) {
	switch e := ev.(type) {
	case Offered:
		var err error
		e.Parties, err = mapPartySecrets(e.Parties, f)
		return e, err
	case Answered:
		var err error
		e.Parties, err = mapPartySecrets(e.Parties, f)
		return e, err
	case TakenOver:
		var err, other error
		e.Parties, err = mapPartySecrets(e.Parties, f)
		e.Proposals, other = mapProposalSecrets(e.Proposals, f)
		return e, errors.Join(err, other)
	default:
		return ev, nil
	}
}

func mapPartySecrets(list []Party, f func(Secret) (Secret, error)) ([]Party, error) {
	var failed error
	cloned := false
	for i := range list {
		p := list[i].MapKeys(func(k Secret) Secret {
			out, err := f(k)
			if err != nil {
				failed = err
			}
			return out
		})
		if p == &list[i] {
			continue
		}
		if !cloned {
			list, cloned = slices.Clone(list), true
		}
		list[i] = *p
	}
	return list, failed
}

func mapProposalSecrets(list []Proposal, f func(Secret) (Secret, error)) ([]Proposal, error) {
	out := slices.Clone(list)
	for i := range out {
		both, err := mapPartySecrets([]Party{{Medias: out[i].FromMedias}, {Medias: out[i].ToMedias}}, f)
		if err != nil {
			return list, err
		}
		out[i].FromMedias, out[i].ToMedias = both[0].Medias, both[1].Medias
	}
	return out, nil
}

// inlineWord comes before a key in an SDP (RFC 4568 §6.1).
var inlineWord = []byte("inline:")

// inlineKey is the length of the key that text begins with: base64, in which JSON may have escaped the slashes. Any other
// escape ends it: a line end.
func inlineKey(text []byte) int {
	for i, c := range text {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/', c == '=':
		case c == '\\' && i+1 < len(text) && (text[i+1] == '/' || text[i+1] == 'u'):
		default:
			return i
		}
	}
	return len(text)
}

// eachInline calls f with each key in text and with what stands before it, from the end of the key before. It returns what is
// left behind the last one.
func eachInline(text []byte, f func(before, key []byte)) (rest []byte) {
	for {
		i := bytes.Index(text, inlineWord)
		if i < 0 {
			return text
		}
		i += len(inlineWord)
		n := inlineKey(text[i:])
		f(text[:i], text[i:i+n])
		text = text[i+n:]
	}
}

// MapInline returns a copy of text with what f makes of each key of an SDP in it. before is what stands before the key, from the
// end of the one before it.
func MapInline(text []byte, f func(before, key []byte) []byte) []byte {
	out := make([]byte, 0, len(text))
	rest := eachInline(text, func(before, key []byte) {
		out = append(append(out, before...), f(before, key)...)
	})
	return append(out, rest...)
}

// HideKeys returns text with word in place of each key of an SDP in it.
func HideKeys(text, word string) string {
	var out []byte
	rest := eachInline([]byte(text), func(before, key []byte) {
		out = append(out, before...)
		if len(key) > 0 {
			out = append(out, word...)
		}
	})
	return string(append(out, rest...))
}

// maskInline returns a copy of text with its keys x-ed out, and adds them to all.
func maskInline(text []byte, all *[][]byte) []byte {
	out := bytes.Clone(text)
	eachInline(out, func(_, key []byte) {
		*all = append(*all, bytes.Clone(key))
		for i := range key {
			key[i] = 'x'
		}
	})
	return out
}

// fillInline puts keys back, and returns those that are left.
func fillInline(text []byte, keys [][]byte) (out []byte, left [][]byte) {
	out = bytes.Clone(text)
	eachInline(out, func(_, key []byte) {
		if len(keys) > 0 {
			if len(keys[0]) == len(key) {
				copy(key, keys[0])
			}
			keys = keys[1:]
		}
	})
	return out, keys
}
