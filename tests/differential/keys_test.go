package differential

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// SRTP keys. In an SDP of a script (key30a) stands for the base64 of 30 bytes that belong to the name a. In a reply such a
// key has its name again, so that it shows what was copied from where, and a key that nobody sent is FRESH with the number
// of the reply that had it first: one that stays or changes shows.

var keyUse = regexp.MustCompile(`\(key([0-9]+)([a-z]+)\)`)

// keyNames are the names of all keys of all scripts, by their text without padding.
var keyNames sync.Map

func expandKeys(line string) string {
	return keyUse.ReplaceAllStringFunc(line, func(use string) string {
		m := keyUse.FindStringSubmatch(use)
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return use
		}
		var raw []byte
		for i := 0; len(raw) < n; i++ {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", use, i))
			raw = append(raw, sum[:]...)
		}
		text := base64.RawStdEncoding.EncodeToString(raw[:n])
		keyNames.Store(text, use)
		return text
	})
}

var inline = regexp.MustCompile(`inline:[A-Za-z0-9+/]+=*`)

// keyLengths are the characters of key and salt by suite, without padding (docs/ng.md, "Transport protocols and keys").
var keyLengths = map[string]int{
	"AEAD_AES_256_GCM": 59, "AEAD_AES_128_GCM": 38, "AES_256_CM_HMAC_SHA1_80": 62, "AES_256_CM_HMAC_SHA1_32": 62,
	"AES_192_CM_HMAC_SHA1_80": 51, "AES_192_CM_HMAC_SHA1_32": 51, "AES_CM_128_HMAC_SHA1_80": 40, "AES_CM_128_HMAC_SHA1_32": 40,
	"F8_128_HMAC_SHA1_80": 40, "F8_128_HMAC_SHA1_32": 40, "NULL_HMAC_SHA1_80": 40, "NULL_HMAC_SHA1_32": 40,
}

// crypto names the keys of an a=crypto line.
func (n *normaliser) crypto(line string) string {
	return inline.ReplaceAllStringFunc(line, func(s string) string {
		text := strings.TrimPrefix(strings.TrimRight(s, "="), "inline:")
		padding := s[len("inline:")+len(text):]
		if name, ok := keyNames.Load(text); ok {
			return "inline:" + name.(string) + padding
		}
		if strings.Contains(n.sent.String(), s) {
			return s
		}
		name, ok := n.fresh[text]
		if !ok {
			name = fmt.Sprintf("FRESH%d", n.replies)
			n.fresh[text] = name
		}
		if f := strings.Fields(line); len(f) > 1 && keyLengths[f[1]] != len(text) {
			name += fmt.Sprintf("(of %d characters)", len(text))
		}
		return "inline:" + name + padding
	})
}
