package names

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// MinKey is how many bytes a cluster key has at least.
const MinKey = 16

// The user names that go with the passwords which are made from the cluster key. They are no secret.
const (
	ClientUser = "rtpjet"
	RouteUser  = "rtpjet-route"
	RegionUser = "rtpjet-region"
)

// RegionAccount is the account in which a server has what it sees of another region.
func RegionAccount(region string) string { return "region-" + region }

// RegionClient is the user name of who looks at what a server has of another region.
func RegionClient(region string) string { return ClientUser + "-" + RegionAccount(region) }

// derive makes a password from the cluster key, another one for each purpose: whoever learns one has neither the key nor
// the other.
func derive(key []byte, purpose string) string {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte("rtpjet " + purpose))
	return hex.EncodeToString(m.Sum(nil))
}

// ClientPassword goes with [ClientUser] and with each [RegionClient].
func ClientPassword(key []byte) string { return derive(key, "nats client v1") }

// RoutePassword goes with [RouteUser], which the other servers of the cluster are.
func RoutePassword(key []byte) string { return derive(key, "nats route v1") }

// RegionPassword goes with [RegionUser], which the servers of other regions are.
func RegionPassword(key []byte) string { return derive(key, "nats leaf v1") }

// CheckKey refuses a key that is there and too short.
func CheckKey(key []byte) error {
	if n := len(key); n > 0 && n < MinKey {
		return fmt.Errorf("the cluster key has %d bytes: make it at least %d, for example with: openssl rand -hex 32", n, MinKey)
	}
	return nil
}
