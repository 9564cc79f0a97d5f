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
