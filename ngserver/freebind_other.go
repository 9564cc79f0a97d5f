//go:build !linux

package ngserver

import "syscall"

// freebind does nothing: here a socket can only be bound to an address that the machine has.
func freebind(string, string, syscall.RawConn) error { return nil }
