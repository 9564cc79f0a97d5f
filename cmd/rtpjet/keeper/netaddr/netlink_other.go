//go:build !linux

package netaddr

import (
	"errors"
	"fmt"
)

// Netlink is there on Linux only.
type Netlink struct{ None }

// OpenNetlink says so.
func OpenNetlink(Config) (*Netlink, error) {
	return nil, fmt.Errorf("open the netlink provider: %w: it needs Linux; use exec:/path/of/script", errors.ErrUnsupported)
}
