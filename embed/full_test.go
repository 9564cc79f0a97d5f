//go:build linux

package embed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFullDisk: a disk that fills up is told as such, in bounded time, and the server can be stopped.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s := startServer(t, dir, "")
	l := openLog(t, connect(t, s))

	// The server uses three quarters of what was free.
	fill := func(what string) (err error) {
		for i := range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err = l.Append(ctx, fmt.Sprint(what, i), 0, make([]byte, 64<<10), "")
			cancel()
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill("own"); !errors.Is(err, ErrFull) {
		t.Errorf("append beyond the server's share: %v, want %v", err, ErrFull)
	}
	if err := s.Healthy(); err != nil {
		t.Errorf("the server is not well: %v", err)
	}

	// Somebody else takes the rest of the disk.
	if err := l.Purge(t.Context(), "own0", 1); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	err = fill("later")
	if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrFull) {
		t.Errorf("append to a full disk: %v", err)
	}
	t.Logf("append to a full disk: %v; the server: %v", err, s.Healthy())
	f.Truncate(0)
	f.Close()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = l.Append(ctx, fmt.Sprint("again"), 0, make([]byte, 64), "")
		cancel()
		t.Logf("again: %v; %v", err, s.Healthy())
	}
	s.Shutdown()
	again, err := StartServer(t.Context(), ServerConfig{NodeID: "n1", Region: "r", StoreDir: dir, Logger: testLogger(t)})
	if err == nil {
		again.Shutdown()
		return
	}
	t.Logf("start on a full disk: %v", err)
	if !strings.Contains(err.Error(), dir) || !errors.Is(err, ErrFull) {
		t.Errorf("start on a full disk: %v", err)
	}
}
