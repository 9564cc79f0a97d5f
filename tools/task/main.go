// Command task starts Task, the task runner, at the version that tools/pinned
// names, so that `go tool task NAME` works in a fresh clone.
//
// Task's own dependencies are many and none of them is the program's business:
// they stand in tools/pinned/go.mod, which is a module of its own. The program's
// go.mod names only this launcher, in a tool line. The first run builds Task,
// which takes a minute or more; later runs take it from Go's build cache.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// pinned is the module file, relative to the repository, that holds Task's version.
var pinned = filepath.Join("tools", "pinned", "go.mod")

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "task:", err)
	}
	os.Exit(code)
}

// run starts Task with args and returns the exit code it ended with.
func run(args []string) (int, error) {
	root, err := findRoot()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command("go", append([]string{"tool", "-modfile=" + filepath.Join(root, pinned), "task"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr

	// A terminal sends an interrupt to Task as well, which then ends by itself;
	// a SIGTERM reaches only this process and is passed on.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start Task by 'go tool': %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s) // fails only once Task has ended
			}
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return exit.ExitCode(), nil // Task has said why
			}
			if err != nil {
				return 1, fmt.Errorf("wait for Task: %w", err)
			}
			return 0, nil
		}
	}
}

// findRoot walks up from the working directory to the folder that holds the
// pinned module file.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, pinned)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find %s: neither the working directory nor a folder above it has it; run from inside the repository", pinned)
		}
		dir = parent
	}
}
