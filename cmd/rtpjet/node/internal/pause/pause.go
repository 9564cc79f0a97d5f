// Package pause waits between two tries of the same thing.
package pause

import (
	"context"
	"time"
)

// For waits for d; it returns false, at once, if ctx ends before.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
