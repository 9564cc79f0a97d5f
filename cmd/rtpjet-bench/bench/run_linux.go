package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// Run carries out `rtpjet-bench ARGS` and returns the exit code: 0, 1 if the
// benchmark could not be carried out, 2 for a mistake in args.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	mode := runRelay
	name := "rtpjet-bench"
	if len(args) > 0 {
		switch args[0] {
		case "control":
			mode, args, name = runControl, args[1:], "rtpjet-bench control"
		case "restart":
			mode, args, name = runRestart, args[1:], "rtpjet-bench restart"
		case "cluster":
			mode, args, name = runCluster, args[1:], "rtpjet-bench cluster"
		case "silence":
			mode, args, name = runSilence, args[1:], "rtpjet-bench silence"
		}
	}
	err := mode(ctx, args, stdout, stderr)
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "%s: %v; '%s --help' lists the flags\n", name, err, name)
		return 2
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return 1
}
