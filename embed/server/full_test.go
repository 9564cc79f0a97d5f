//go:build linux

package server

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

	"rtpjet/embed"
	"rtpjet/tests/lab"
)

// smallDisk is a directory with room for 64 MB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestHistoryYields: history that has taken all room makes some for calls, the oldest first.
func TestHistoryYields(t *testing.T) {
	lab.Only(t, "fills disks")
	t.Parallel()
	s := startServer(t, smallDisk(t))
	l := openLog(t, connect(t, s), embed.Config{Region: "r", Health: s.Healthy})
	startArchive(t, l)
	data := make([]byte, 64<<10)
	const calls = 1000 // the server may use the room of some 750
	for i := range calls {
		var seq uint64
		key := fmt.Sprint("k", i)
		eventually(t, "room for "+key, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var err error
			if seq, err = l.Append(ctx, key, 0, data); err != nil && !errors.Is(err, embed.ErrFull) && !errors.Is(err, embed.ErrUnavailable) {
				t.Fatal(err)
			}
			return err == nil
		})
		if i%200 == 199 {
			eventually(t, "the end of some calls", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				return l.Trim(ctx, seq+1) == nil
			})
		}
	}
	has := func(i int) bool {
		list, err := l.History(t.Context(), fmt.Sprint("k", i))
		if err != nil {
			t.Fatal(err)
		}
		return len(list) == 1
	}
	if has(0) {
		t.Error("the oldest history is there")
	}
	if !has(calls-1) || !has(calls-100) {
		t.Error("the newest history is not there")
	}
}

// TestFullDisk: a disk that fills up is told as such, in bounded time, and the server can be stopped.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	s := startServer(t, dir)
	l := openLog(t, connect(t, s), embed.Config{Region: "r", Health: s.Healthy})
	r := startFollow(t, l)

	// The server uses three quarters of what was free.
	fill := func(what string) (err error) {
		for i := range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err = l.Append(ctx, fmt.Sprint(what, i), 0, make([]byte, 64<<10))
			cancel()
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill("own"); !errors.Is(err, embed.ErrFull) {
		t.Errorf("append beyond the server's share: %v, want %v", err, embed.ErrFull)
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
	for err = nil; err == nil; err = fill("later") { // the server had some room in blocks that it had taken already
	}
	if !errors.Is(err, embed.ErrFull) || !strings.Contains(err.Error(), dir) {
		t.Errorf("append to a full disk: %v, want %v", err, embed.ErrFull)
	}
	if err := s.Healthy(); !errors.Is(err, embed.ErrFull) {
		t.Errorf("the server says %v, want %v", err, embed.ErrFull)
	}

	// There is room again: it goes on, with what it had.
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := l.Append(ctx, "again", 0, []byte("x"))
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("append after the disk has room again: %v", err)
		}
	}
	if err := s.Healthy(); err != nil {
		t.Errorf("the server says %v", err)
	}
	if got, _, err := l.Since(t.Context(), "own1", 0); err != nil || len(got) != 1 {
		t.Errorf("an entry from before: %d, %v", len(got), err)
	}
	for {
		if all := r.all(); len(all) > 0 && all[len(all)-1].Key == "again" {
			break
		}
		<-r.grown
	}
}
