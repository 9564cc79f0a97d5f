//go:build !unix

package demo

import "syscall"

func procAttr() *syscall.SysProcAttr { return nil }
