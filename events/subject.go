package events

import (
	"crypto/sha256"
	"encoding/hex"
)

// Key returns the token under which a call's events are kept: 32 hex digits, a hash of the call-id, safe as a NATS subject
// token whatever bytes the call-id has. The call-id itself stands in each envelope.
func Key(callID string) string {
	sum := sha256.Sum256([]byte(callID))
	return hex.EncodeToString(sum[:16])
}

// Digest returns a 64-bit digest of data, for telling whether two requests or two SDPs are the same. It is never zero.
func Digest(data []byte) uint64 {
	sum := sha256.Sum256(data)
	d := uint64(0)
	for _, b := range sum[:8] {
		d = d<<8 | uint64(b)
	}
	return max(d, 1)
}

// ShortDigest returns a 64-bit digest of a short string, which is not proof against somebody who looks for collisions: what
// it finds has to be compared. It is FNV-1a, so that all releases agree, and never zero.
func ShortDigest(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return max(h, 1)
}
