package embed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// clusterKey is where the bucket of leases keeps the identity of the cluster.
const clusterKey = "cluster.instance"

// InstanceID returns the identity that all nodes of the region share, 12 hex digits, and makes it if this is the first
// node ever. It is the mark of "loop protect": a node must know the SDP of its peers for their own, and
// that of another cluster for a stranger's.
func (l *Log) InstanceID(ctx context.Context) (string, error) {
	if id := l.instance.Load(); id != nil {
		return *id, nil
	}
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make an instance id: %w", err)
	}
	id := hex.EncodeToString(random[:])
	_, err := l.PutLease(ctx, clusterKey, []byte(id), 0)
	if errors.Is(err, ErrConflict) {
		var lease Lease
		if lease, err = l.GetLease(ctx, clusterKey); err == nil {
			id = string(lease.Value)
		}
	}
	if err != nil {
		return "", fmt.Errorf("the identity of the cluster: %w", err)
	}
	l.instance.Store(&id)
	return id, nil
}
