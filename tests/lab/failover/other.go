//go:build !linux

// Command failover measures what calls notice when a node dies. It needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "failover: needs Linux, for network namespaces; run it there")
	os.Exit(1)
}
