//go:build !unix

package app

import "io"

// terminalWidth is not known here.
func terminalWidth(io.Writer) int { return 0 }
