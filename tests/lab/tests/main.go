// Command tests runs the tests that are laboratories (lab.Only), one package at a time, so that none disturbs another: those
// that the README's `go test ./...` skips. Arguments go to `go test`. It is run where go.mod is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"rtpjet/tests/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	all, err := find(os.DirFS("."))
	if err != nil {
		return err
	}
	var bad []string
	for _, p := range all {
		began := time.Now()
		fmt.Printf("%s: %s\n", p.dir, strings.Join(p.tests, ", "))
		line := append([]string{"test", "-count=1", "-timeout=30m", "-run", "^(" + strings.Join(p.tests, "|") + ")$"}, args...)
		cmd := exec.CommandContext(ctx, "go", append(line, "./"+p.dir)...)
		cmd.Env = append(os.Environ(), lab.Variable+"=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		if err := cmd.Run(); err != nil {
			bad = append(bad, p.dir)
		}
		fmt.Printf("%s: %v\n", p.dir, time.Since(began).Round(time.Second))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("laboratories failed in %s", strings.Join(bad, ", "))
	}
	return nil
}
