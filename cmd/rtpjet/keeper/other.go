//go:build !linux

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Arg is the first argument that makes a process a keeper.
const Arg = "keeper"

// Run stands in.
func Run(stderr io.Writer) int {
	fmt.Fprintln(stderr, "rtpjet: floating addresses need Linux")
	return 2
}

// Start stands in.
func Start(context.Context, Config, *Deadlines, io.Writer) (*Keeper, error) {
	return nil, fmt.Errorf("floating addresses need Linux: %w", errors.ErrUnsupported)
}

// NewDeadlines stands in.
func NewDeadlines() (*Deadlines, error) { return &Deadlines{mem: make([]byte, sharedSize)}, nil }
