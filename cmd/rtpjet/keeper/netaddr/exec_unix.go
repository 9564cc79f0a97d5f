//go:build unix

package netaddr

import (
	"os/exec"
	"syscall"
)

// inOwnGroup makes the command the head of a process group that is killed as a whole.
func inOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
