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
	"rtpjet/cmd/rtpjet/cli"
	"rtpjet/cmd/rtpjet/config"
	"rtpjet/cmd/rtpjet/demo"
	"rtpjet/cmd/rtpjet/keeper"
	"rtpjet/cmd/rtpjet/version"
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
	cmd, err := config.ParseArgs(ctx, args, config.Env{})
	if err != nil {
		fmt.Fprintln(stderr, "rtpjet:", err)
		return exitUsage
	}
	switch cmd.Name {
	case "help":
		config.WriteHelp(stdout, cmd.Topic)
	case "man":
		config.WriteManual(stdout)
	case "completion":
		config.WriteCompletion(stdout)
	case "version":
		fmt.Fprintln(stdout, "rtpjet", version.Text())
	case "demo":
		return demo.Run(ctx, cmd.Args, stdout, stderr)
	case "serve", "dev":
		log := keeper.Logger(stderr, cmd.Config.LogLevel, cmd.Config.LogJSON)
		err = app.Serve(ctx, cmd.Config, cmd.Name == "dev", stdout, log)
	default:
		err = cli.Run(ctx, cmd, stdout)
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
