package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// endTime is how long nodes may take to end when they are asked to, before they are killed.
	endTime = 5 * time.Second
	// tailLines is how much of a node's log is shown when something failed.
	tailLines = 12
)

// node is a node's process, or the place of one that was killed.
type node struct {
	place
	dir, logFile string
	cmd          *exec.Cmd
	ended        chan struct{} // closed when the process is gone
	err          error         // how it ended; valid then
}

// start starts the process. It keeps the data directory of the one before.
func (n *node) start(exe, routes string) error {
	log, err := os.OpenFile(n.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", n.id, err)
	}
	defer log.Close() // the process has its own copy
	cmd := exec.Command(exe, n.serveArgs(routes, n.dir)...)
	cmd.Args[0] = "rtpjet" // for those who look at the processes
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = procAttr()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.id, err)
	}
	ended := make(chan struct{})
	n.cmd, n.ended, n.err = cmd, ended, nil
	go func() {
		n.err = cmd.Wait()
		close(ended)
	}()
	return nil
}

func (n *node) running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// terminate asks the process to end.
func (n *node) terminate() {
	if n.running() && n.cmd.Process.Signal(syscall.SIGTERM) != nil {
		_ = n.cmd.Process.Kill() // a system without that signal; or it has just ended
	}
}

// await returns when the process is gone. One that takes too long is killed.
func (n *node) await(patience time.Duration) {
	if n.cmd == nil {
		return
	}
	late := time.AfterFunc(patience, func() { _ = n.cmd.Process.Kill() })
	defer late.Stop()
	<-n.ended
}

// answering returns when the node answers a ping.
func (n *node) answering(ctx context.Context, ng *client) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		tctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		err := ng.ping(tctx, n.at(n.ng))
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer a ping: %w", n.id, context.Cause(ctx))
		case <-n.ended:
			return fmt.Errorf("%s ended at its start: %w", n.id, n.err)
		case <-tick.C:
		}
	}
}

// writeTail shows the end of the log.
func (n *node) writeTail(w io.Writer) {
	data, err := os.ReadFile(n.logFile)
	if err != nil || len(data) == 0 {
		return
	}
	lines := strings.Split(string(bytes.TrimRight(data, "\n")), "\n")
	fmt.Fprintf(w, "\n%s, the end of %s:\n", n.id, filepath.Base(n.logFile))
	for _, line := range lines[max(0, len(lines)-tailLines):] {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
