package sdp

import (
	"net/netip"
	"strings"
)

// Crypto is an a=crypto attribute (RFC 4568). The key is not decoded.
type Crypto struct {
	Tag       int
	Suite     string
	KeyParams string // "inline:…", several separated by semicolons
	Session   string // session parameters, separated by spaces
}

// ParseCrypto reads the value of an a=crypto attribute.
func ParseCrypto(value string) (c Crypto, ok bool) {
	tag, rest := nextField(value)
	if c.Tag, ok = parseUint(tag, 999999999); !ok {
		return c, false
	}
	c.Suite, rest = nextField(rest)
	c.KeyParams, rest = nextField(rest)
	c.Session = strings.Trim(rest, " ")
	return c, c.KeyParams != ""
}

// Fingerprint is an a=fingerprint attribute (RFC 8122).
type Fingerprint struct {
	Hash  string // sha-256, as written
	Value string // XX:XX…, as written
}

// ParseFingerprint reads the value of an a=fingerprint attribute. The digest must be of the length that its hash has.
func ParseFingerprint(value string) (f Fingerprint, ok bool) {
	hash, rest := nextField(value)
	f = Fingerprint{Hash: hash, Value: strings.Trim(rest, " ")}
	var size int
	switch {
	case equalFold(hash, "sha-1"):
		size = 20
	case equalFold(hash, "sha-224"):
		size = 28
	case equalFold(hash, "sha-256"):
		size = 32
	case equalFold(hash, "sha-384"):
		size = 48
	case equalFold(hash, "sha-512"):
		size = 64
	default:
		return f, false
	}
	if len(f.Value) != 3*size-1 {
		return f, false
	}
	for i := range len(f.Value) {
		if c := f.Value[i]; i%3 == 2 && c != ':' || i%3 != 2 && !isHex(c) {
			return f, false
		}
	}
	return f, true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// Candidate is an a=candidate attribute (RFC 8839).
type Candidate struct {
	Foundation string
	Component  int
	Transport  string // as written
	Priority   uint32
	Address    string
	Addr       netip.Addr // the zero Addr if Address is a name, as mDNS candidates have
	Port       uint16
	Type       string // host, srflx, prflx, relay
	RelAddress string // "" if there is none
	RelPort    uint16
	TCPType    string
	Extensions string // everything after the type, as written
}

// ParseCandidate reads the value of an a=candidate attribute.
func ParseCandidate(value string) (c Candidate, ok bool) {
	var f, rest string
	c.Foundation, rest = nextField(value)
	f, rest = nextField(rest)
	if c.Component, ok = parseUint(f, 256); !ok {
		return c, false
	}
	c.Transport, rest = nextField(rest)
	f, rest = nextField(rest)
	n, ok := parseUint(f, 1<<32-1)
	if !ok {
		return c, false
	}
	c.Priority = uint32(n)
	c.Address, rest = nextField(rest)
	if a, err := netip.ParseAddr(c.Address); err == nil && a.Zone() == "" {
		c.Addr = a.Unmap()
	}
	f, rest = nextField(rest)
	if n, ok = parseUint(f, 65535); !ok {
		return c, false
	}
	c.Port = uint16(n)
	f, rest = nextField(rest)
	if c.Type, rest = nextField(rest); f != "typ" || c.Type == "" {
		return c, false
	}
	c.Extensions = strings.Trim(rest, " ")
	for {
		var name, val string
		name, rest = nextField(rest)
		val, rest = nextField(rest)
		switch name {
		case "":
			return c, true
		case "raddr":
			c.RelAddress = val
		case "rport":
			n, _ = parseUint(val, 65535)
			c.RelPort = uint16(n)
		case "tcptype":
			c.TCPType = val
		}
	}
}

// Group is an a=group attribute (RFC 5888).
type Group struct {
	Semantics string // BUNDLE, LS, …
	Mids      []string
}

// ParseGroup reads the value of an a=group attribute.
func ParseGroup(value string) Group {
	f := strings.Fields(value)
	if len(f) == 0 {
		return Group{}
	}
	return Group{Semantics: f[0], Mids: f[1:]}
}

// Extmap is an a=extmap attribute (RFC 8285).
type Extmap struct {
	ID         int
	Direction  string // "" if not given
	URI        string
	Attributes string // extension attributes, as written
}

// ParseExtmap reads the value of an a=extmap attribute.
func ParseExtmap(value string) (e Extmap, ok bool) {
	f, rest := nextField(value)
	id, dir, _ := strings.Cut(f, "/")
	if e.ID, ok = parseUint(id, 4351); !ok {
		return e, false
	}
	e.Direction = dir
	e.URI, rest = nextField(rest)
	e.Attributes = strings.Trim(rest, " ")
	return e, e.URI != ""
}

// Extmaps returns the extension maps that hold for the section: its own, else its session's.
func (m *Media) Extmaps() []Extmap {
	attrs := m.All(KindExtmap)
	if !m.have.has(KindExtmap) {
		attrs = m.session.All(KindExtmap)
	}
	var out []Extmap
	for a := range attrs {
		if e, ok := ParseExtmap(a.Value); ok {
			out = append(out, e)
		}
	}
	return out
}

// Cryptos returns the section's crypto attributes, in order.
func (m *Media) Cryptos() []Crypto {
	var out []Crypto
	for a := range m.All(KindCrypto) {
		if c, ok := ParseCrypto(a.Value); ok {
			out = append(out, c)
		}
	}
	return out
}

// Groups returns the session's groups, in order.
func (s *Session) Groups() []Group {
	var out []Group
	for a := range s.All(KindGroup) {
		out = append(out, ParseGroup(a.Value))
	}
	return out
}
