//go:build !linux

// Command measure compares rtpjet with rtpengine. It needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "measure: needs Linux, for network namespaces; run it there")
	os.Exit(1)
}
