//go:build !linux

package bench

import (
	"context"
	"fmt"
	"io"
)

// Run says that the benchmark needs Linux.
func Run(_ context.Context, _ []string, _, stderr io.Writer) int {
	fmt.Fprintln(stderr, "rtpjet-bench: needs Linux, for its packet loops and for /proc; run it there")
	return 1
}
