package embed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// MinClusterKey is how many bytes a cluster key has at least.
const MinClusterKey = 16

// The user names that go with the passwords which are made from the cluster key. They are no secret.
const (
	clientUser = "rtpjet"
	routeUser  = "rtpjet-route"
	regionUser = "rtpjet-region"
)

// derive makes a password from the cluster key, another one for each purpose: whoever learns one has neither the key nor
// the other.
func derive(key []byte, purpose string) string {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte("rtpjet " + purpose))
	return hex.EncodeToString(m.Sum(nil))
}

func clientPassword(key []byte) string { return derive(key, "nats client v1") }
func routePassword(key []byte) string  { return derive(key, "nats route v1") }
func regionPassword(key []byte) string { return derive(key, "nats leaf v1") }

func checkClusterKey(key []byte) error {
	if n := len(key); n > 0 && n < MinClusterKey {
		return fmt.Errorf("the cluster key has %d bytes: make it at least %d, for example with: openssl rand -hex 32", n, MinClusterKey)
	}
	return nil
}
