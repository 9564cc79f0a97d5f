package rewrite

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/sdp"
	"rtpjet/projection"
)

// maxMKI is the longest master key identifier, in bytes (RFC 4568 §6.1).
const maxMKI = 128

// cryptos returns the section's usable crypto lines. What is not usable is passed over: the next line may be.
func cryptos(m *sdp.Media) []events.Crypto {
	var out []events.Crypto
	for _, line := range m.Cryptos() {
		c, ok := crypto(line)
		if ok && !slices.ContainsFunc(out, func(o events.Crypto) bool { return o.Tag == c.Tag }) {
			out = append(out, c)
		}
	}
	return out
}

// passedOver counts the lines that cryptos leaves out where it looks at all.
func passedOver(m *sdp.Media) (n int) {
	if m.First(sdp.KindCrypto) == nil || !m.IsRTP() || m.Port == 0 {
		return 0
	}
	for range m.All(sdp.KindCrypto) {
		n++
	}
	return n - len(cryptos(m))
}

func crypto(line sdp.Crypto) (c events.Crypto, ok bool) {
	suite, ok := projection.LookupSuite(line.Suite)
	if !ok {
		return c, false
	}
	c = events.Crypto{Tag: line.Tag, Suite: suite.Name}
	first, _, _ := strings.Cut(line.KeyParams, ";") // several keys take turns by their MKIs, which nobody does
	method, info, ok := strings.Cut(first, ":")
	if !ok || !strings.EqualFold(method, "inline") {
		return c, false
	}
	parts := strings.Split(info, "|")
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil || len(key) != suite.Key+suite.Salt || len(parts) > 3 {
		return c, false
	}
	c.Key = events.Secret(key)
	for i, part := range parts[1:] {
		number, length, mki := strings.Cut(part, ":")
		switch {
		case mki && c.MKI == "":
			n, err := strconv.Atoi(length)
			if err != nil || n < 1 || n > maxMKI {
				return c, false
			}
			if _, ok := projection.MKIBytes(number, n); !ok {
				return c, false
			}
			c.MKI, c.MKILen = number, n
		case !mki && i == 0 && lifetime(part):
			c.Lifetime = part
		default:
			return c, false
		}
	}
	return c, parameters(&c, line.Session)
}

// lifetime tells whether a key of that lifetime is good for at least one packet, and for no more than there can be (RFC 3711
// §9.2). Nobody counts the packets: 2^48 are 600 years of speech.
func lifetime(s string) bool {
	if exp, ok := strings.CutPrefix(s, "2^"); ok {
		n, err := strconv.Atoi(exp)
		return err == nil && n >= 0 && n <= 48
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && n > 0 && n <= 1<<48
}

// parameters reads session parameters (RFC 4568 §6.3). Of those that are unknown most say how to protect against loss, or how
// long a replay list is, and do not matter to us; a rate of key derivation does.
func parameters(c *events.Crypto, session string) bool {
	for word := range strings.FieldsSeq(session) {
		switch {
		case strings.EqualFold(word, "UNENCRYPTED_SRTP"):
			c.UnencryptedSRTP = true
		case strings.EqualFold(word, "UNENCRYPTED_SRTCP"):
			c.UnencryptedSRTCP = true
		case strings.EqualFold(word, "UNAUTHENTICATED_SRTP"):
			c.UnauthenticatedSRTP = true
		case strings.HasPrefix(word, "KDR=") && word != "KDR=0":
			return false
		}
	}
	return true
}

// security writes the lines that say how the section is secured: as they came where that is a matter of the parties,
// else ours.
func (r *renderer) security(m *sdp.Media, o *events.Media) {
	if o.EndToEnd {
		for a := range m.All(sdp.KindCrypto) {
			r.out = sdp.AppendLine(r.out, 'a', a.Line)
		}
		r.inherited(m, sdp.KindSetup)
		r.inherited(m, sdp.KindFingerprint)
		r.inherited(m, sdp.KindTLSID)
		return
	}
	pad, life := slices.Contains(r.Req.SDES, "pad"), slices.Contains(r.Req.SDES, "lifetime")
	for _, c := range o.Keys().Sent {
		r.crypto(&c, pad, life)
	}
}

func (r *renderer) crypto(c *events.Crypto, pad, life bool) {
	enc := base64.RawStdEncoding
	if pad {
		enc = base64.StdEncoding
	}
	b := append(r.out, "a=crypto:"...)
	b = strconv.AppendInt(b, int64(c.Tag), 10)
	b = append(b, ' ')
	b = append(b, c.Suite...)
	b = append(b, " inline:"...)
	b = enc.AppendEncode(b, []byte(c.Key))
	if life {
		b = append(b, "|2^31"...)
	}
	if c.MKI != "" {
		b = append(b, '|')
		b = append(b, c.MKI...)
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(c.MKILen), 10)
	}
	for _, p := range [...]struct {
		on   bool
		name string
	}{
		{c.UnencryptedSRTP, " UNENCRYPTED_SRTP"}, {c.UnencryptedSRTCP, " UNENCRYPTED_SRTCP"},
		{c.UnauthenticatedSRTP, " UNAUTHENTICATED_SRTP"},
	} {
		if p.on {
			b = append(b, p.name...)
		}
	}
	r.out = append(b, "\r\n"...)
}
