//go:build !linux

package relay

// New returns the engine that suits the system best: here the portable one.
func New(cfg Config) (*Sockets, error) { return NewPortable(cfg) }
