//go:build !linux

package ngserver

import (
	"syscall"
	"time"
)

// prepareFloating does nothing: here a socket can only be bound to an address that the machine has.
func prepareFloating(string, string, syscall.RawConn) error { return nil }

// arrival is not known here.
func arrival([]byte) (time.Time, bool) { return time.Time{}, false }
