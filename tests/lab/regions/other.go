//go:build !linux

// Command regions measures what regions notice of each other. It needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "regions: needs Linux, for network namespaces; run it there")
	os.Exit(1)
}
