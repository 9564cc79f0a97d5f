//go:build unix && !linux

package demo

import "syscall"

// procAttr puts a node into a process group of its own, so that Ctrl-C at the terminal reaches this process only, which ends
// the nodes in order.
func procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
