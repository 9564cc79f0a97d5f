package embed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// clusterKey is where the bucket of leases keeps the identity of the cluster.
const clusterKey = "cluster.instance"

// InstanceID returns the identity that all nodes of the region share, 12 hex digits, and makes it if this is the first
// node ever. It is the mark of "loop protect" (ng-reference §4.3): a node must know the SDP of its peers for their own, and
// that of another cluster for a stranger's.
func (l *Log) InstanceID(ctx context.Context) (string, error) {
	kv, err := l.js.KeyValue(ctx, leasesBucket(l.cfg.Region))
	if err != nil {
		return "", fmt.Errorf("open the bucket of leases: %w", err)
	}
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("make an instance id: %w", err)
	}
	mine := hex.EncodeToString(id[:])
	_, err = kv.Create(ctx, clusterKey, []byte(mine))
	if err == nil {
		return mine, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return "", fmt.Errorf("write the instance id: %w", err)
	}
	e, err := kv.Get(ctx, clusterKey)
	if err != nil {
		return "", fmt.Errorf("read the instance id: %w", err)
	}
	return string(e.Value()), nil
}
