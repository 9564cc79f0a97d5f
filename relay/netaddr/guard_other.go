//go:build !linux

package netaddr

import (
	"context"
	"errors"
	"fmt"
)

// Guard is there on Linux only.
type Guard struct{}

var errNoGuardHere = fmt.Errorf("start the guard: %w: it needs Linux", errors.ErrUnsupported)

// StartGuard says so.
func StartGuard(context.Context, GuardConfig) (*Guard, error) { return nil, errNoGuardHere }

// Hold fails.
func (*Guard) Hold(...Address) error { return errNoGuardHere }

// Let fails.
func (*Guard) Let(...Address) error { return errNoGuardHere }

// Alive fails.
func (*Guard) Alive() error { return errNoGuardHere }

// Removed never has anything.
func (*Guard) Removed() <-chan []Address { return nil }

// Done never happens.
func (*Guard) Done() <-chan struct{} { return nil }

// Pid is none.
func (*Guard) Pid() int { return 0 }

// Close does nothing.
func (*Guard) Close() error { return nil }

// RunGuard fails.
func RunGuard([]string) int { return 1 }
