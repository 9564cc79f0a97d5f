// Package eventfd wakes a thread that waits in epoll or poll.
package eventfd

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Event is an eventfd(2) that others signal and one thread waits for. Signal and Close may be called by anybody at any
// time: a signal after Close does nothing. A bare descriptor could be that of another file by then, into which the signal
// would write its eight bytes.
type Event struct {
	// FD is what the thread waits for: it can be read after a signal.
	FD int

	mu     sync.Mutex // makes a Signal and Close exclude each other
	closed bool
}

// New makes one. It fails where the process may open no more files.
func New() (*Event, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	return &Event{FD: fd}, nil
}

// Signal wakes the thread.
func (e *Event) Signal() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(e.FD, one[:]) // fails if it is full of signals, which will do
	}
}

// Drain forgets the signals so far. Only the thread that waits calls it.
func (e *Event) Drain() {
	var count [8]byte
	_, _ = unix.Read(e.FD, count[:]) // fails if there was none
}

// Close closes the descriptor. It may be called more than once.
func (e *Event) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		_ = unix.Close(e.FD)
	}
}
