//go:build !linux

package relay

// clockMonotonic begins with 1: no other process shares the clock here, and 0 is no time.
func clockMonotonic() int64 { return 1 }
