// Command rtpjet-bench measures an NG media server, rtpjet or rtpengine, from the outside: it places calls, sends RTP
// through them, and reports what arrived and what it cost. `rtpjet-bench --help` has its ways to measure.
//
// It is no part of rtpjet: it shares none of the server's packages, so that it cannot share the server's mistakes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rtpjet/cmd/rtpjet-bench/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := bench.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
