// Command rtpjet relays RTP for SIP proxies that speak rtpengine's NG protocol.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"rtpjet/cmd/rtpjet/app"
	"rtpjet/cmd/rtpjet/bench"
	"rtpjet/cmd/rtpjet/demo"
	"rtpjet/cmd/rtpjet/keeper"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// Not a command: rtpjet starts itself so, beside a node.
	if len(os.Args) == 2 && os.Args[1] == keeper.Arg {
		os.Exit(keeper.Run(os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd, err := app.ParseArgs(ctx, args, app.Env{})
	if err != nil {
		fmt.Fprintln(stderr, "rtpjet:", err)
		return exitUsage
	}
	switch cmd.Name {
	case "help":
		app.WriteHelp(stdout, cmd.Topic)
	case "version":
		fmt.Fprintln(stdout, "rtpjet", app.Version())
	case "bench":
		return bench.Run(ctx, cmd.Args, stdout, stderr)
	case "demo":
		return demo.Run(ctx, cmd.Args, stdout, stderr)
	case "replay":
		err = app.Replay(ctx, cmd, stdout)
	case "call list", "call show", "call history", "call export", "call why-alive", "node list", "node drain", "node undrain", "node takeover", "float list", "float move",
		"region list", "region adopt", "region forget":
		err = app.Call(ctx, cmd, stdout)
	default:
		log := keeper.Logger(stderr, cmd.Config.LogLevel, cmd.Config.LogJSON)
		err = app.Serve(ctx, cmd.Config, cmd.Name == "dev", stdout, log)
	}
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitOK // asked to end while starting
	}
	fmt.Fprintln(stderr, "rtpjet:", err)
	return exitFailed
}
