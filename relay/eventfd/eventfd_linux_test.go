package eventfd_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"rtpjet/relay/eventfd"
)

func TestSignal(t *testing.T) {
	e, err := eventfd.New()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	readable := func() bool {
		fds := []unix.PollFd{{Fd: int32(e.FD), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	if readable() {
		t.Error("it can be read before a signal")
	}
	e.Drain()
	for range 2 {
		e.Signal()
		e.Signal()
		if !readable() {
			t.Error("it cannot be read after two signals")
		}
		e.Drain()
		if readable() {
			t.Error("it can be read after it was drained")
		}
	}
}

// TestSignalAfterClose: what has the descriptor next does not get the signal.
func TestSignalAfterClose(t *testing.T) {
	e, err := eventfd.New()
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if int(file.Fd()) != e.FD { // the system gives the lowest number that is free
		if err := unix.Dup3(int(file.Fd()), e.FD, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(e.FD) }()
	}
	e.Signal()
	e.Close()
	info, err := os.Stat(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() != 0 {
		t.Errorf("%d bytes were written into another file", info.Size())
	}
	if _, err := file.Stat(); err != nil {
		t.Errorf("another file was closed: %v", err)
	}
}
