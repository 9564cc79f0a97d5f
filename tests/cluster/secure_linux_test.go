package cluster

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/pion/srtp/v3"
)

// suites are those that phones of the tests have, with the length of their keys and salts.
var suites = map[string]struct {
	profile   srtp.ProtectionProfile
	key, salt int
}{
	"AES_CM_128_HMAC_SHA1_80": {srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14},
	"AES_256_CM_HMAC_SHA1_80": {srtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14},
	"AEAD_AES_128_GCM":        {srtp.ProtectionProfileAeadAes128Gcm, 16, 12},
}

// keyFor makes a key of a suite, all of one byte.
func keyFor(suite string, fill byte) []byte {
	return bytes.Repeat([]byte{fill}, suites[suite].key+suites[suite].salt)
}

func newSRTP(suite string, key []byte) (*srtp.Context, error) {
	s := suites[suite]
	if len(key) != s.key+s.salt {
		return nil, fmt.Errorf("a key of %d bytes for %s", len(key), suite)
	}
	return srtp.CreateContext(key[:s.key], key[s.key:], s.profile)
}

// savp makes a body encrypted.
func savp(sdp, suite string, key []byte) string {
	return strings.Replace(sdp, "RTP/AVP", "RTP/SAVP", 1) + "a=crypto:1 " + suite + " inline:" + base64.RawStdEncoding.EncodeToString(key) + "\r\n"
}

var cryptoLine = regexp.MustCompile(`a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/]+)`)

// keyOf finds the key of a suite, and its tag, in the SDP of a reply.
func keyOf(r reply, suite string) (tag string, key []byte, err error) {
	sdp, _ := r.dict["sdp"].(string)
	for _, m := range cryptoLine.FindAllStringSubmatch(sdp, -1) {
		if m[2] == suite {
			key, err = base64.RawStdEncoding.DecodeString(m[3])
			return m[1], key, err
		}
	}
	return "", nil, fmt.Errorf("no %s in\n%s", suite, sdp)
}

// secureCall sets up a call of an encrypted phone a and a phone b that has another suite, or none, and returns its flows. Their
// sequence numbers begin shortly before they wrap.
func (f *floating) secureCall(at *node, suiteA, suiteB string) (*call, []*flow, error) {
	k, err := f.newCall(newID("secure"))
	if err != nil {
		return nil, nil, err
	}
	f.t.Cleanup(k.close)
	keyA := keyFor(suiteA, 7)
	proto := dict{"transport-protocol": "RTP/SAVP"}
	if suiteB == "" {
		proto = dict{"transport-protocol": "RTP/AVP"}
	}
	toB, err := at.good(offer(k.id, savp(k.a.sdp(), suiteA, keyA), proto))
	if err != nil {
		return nil, nil, err
	}
	body := k.b.sdp()
	var keyB, ourB []byte
	if suiteB != "" {
		var tag string
		if tag, ourB, err = keyOf(toB, suiteB); err != nil {
			return nil, nil, err
		}
		keyB = keyFor(suiteB, 9)
		body = strings.Replace(savp(body, suiteB, keyB), "a=crypto:1 ", "a=crypto:"+tag+" ", 1)
	}
	toA, err := at.good(answer(k.id, body))
	if err != nil {
		return nil, nil, err
	}
	_, ourA, err := keyOf(toA, suiteA)
	if err != nil {
		return nil, nil, err
	}
	if k.atB, err = sentTo(toB); err != nil {
		return nil, nil, err
	}
	if k.atA, err = sentTo(toA); err != nil {
		return nil, nil, err
	}
	up, down := newFlow(k.id, k.a, k.atA, k.b, k.atB), newFlow(k.id, k.b, k.atB, k.a, k.atA)
	for _, d := range []struct {
		flow         *flow
		suite, other string
		seal, open   []byte
	}{{up, suiteA, suiteB, keyA, ourB}, {down, suiteB, suiteA, keyB, ourA}} {
		d.flow.sent, d.flow.first, d.flow.last = 65_500, 65_500, 65_500
		if d.suite != "" {
			c, err := newSRTP(d.suite, d.seal)
			if err != nil {
				return nil, nil, err
			}
			d.flow.seal = func(plain []byte) ([]byte, error) { return c.EncryptRTP(nil, plain, nil) }
		}
		if d.other != "" {
			c, err := newSRTP(d.other, d.open)
			if err != nil {
				return nil, nil, err
			}
			d.flow.open = func(got []byte) ([]byte, error) { return c.DecryptRTP(nil, got, nil) }
		}
	}
	return k, []*flow{up, down}, nil
}
