package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rtpjet/embed"
)

// Files beside the streams in a store directory.
const (
	lockFile   = "rtpjet.lock"   // locked while a process uses the directory; holds its process id
	formatFile = "rtpjet.format" // the version of what the directory holds
)

// claimDir creates the store directory, checks that it can be written and was not written by a newer version, and locks
// it for this process. The lock ends with the process, however it ends.
func claimDir(dir string) (*os.File, error) {
	if dir == "" {
		return nil, errors.New("no data directory is set: name one with --data-dir")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, explainDir("create", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, explainDir("write to", dir, err)
	}
	if err := claim(f, dir); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func claim(f *os.File, dir string) error {
	err := lockPatiently(f)
	if err != nil {
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return explainDir("lock", dir, err)
		}
		holder := "another process"
		if b, err := io.ReadAll(io.LimitReader(f, 32)); err == nil && len(b) > 0 {
			holder = "process " + strings.TrimSpace(string(b))
		}
		return fmt.Errorf("cannot use the data directory %s: %s uses it already; stop that one, or choose another --data-dir",
			dir, holder)
	}
	awaitEnd(f)
	if err := checkFormat(filepath.Join(dir, formatFile), dir); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return explainDir("write to", dir, err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return explainDir("write to", dir, err)
	}
	return nil
}

// A process that was killed takes a moment to close its thousands of sockets. Whoever starts the next one at once must not
// be told that the directory, and then a port, is in use.
const (
	endPatience = 2 * time.Second
	endPoll     = 2 * time.Millisecond
)

func lockPatiently(f *os.File) error {
	for deadline := time.Now().Add(endPatience); ; time.Sleep(endPoll) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
	}
}

// awaitEnd waits until the process that had the lock before is gone, sockets and all.
func awaitEnd(f *os.File) {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid == os.Getpid() {
		return
	}
	for deadline := time.Now().Add(endPatience); ending(pid) && time.Now().Before(deadline); {
		time.Sleep(endPoll)
	}
}

// ending tells whether a process of our name still holds its files. A zombie does not; a stranger that has got the number
// since does not count.
func ending(pid int) bool {
	name, state, ok := processState(strconv.Itoa(pid))
	self, _, selfOK := processState("self")
	return ok && selfOK && name == self && state != 'Z' && state != 'X'
}

// processState reads the name and the state of a process; ok is false if there is none, or no such file system.
func processState(pid string) (name string, state byte, ok bool) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if err != nil || open < 0 || end < open || len(b) < end+3 {
		return "", 0, false
	}
	return string(b[open+1 : end]), b[end+2], true
}

// checkFormat refuses a directory of a newer version and marks a new one with ours.
func checkFormat(file, dir string) error {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(file, []byte(strconv.Itoa(embed.FormatVersion)+"\n"), 0o640); err != nil {
			return explainDir("write to", dir, err)
		}
		return nil
	}
	if err != nil {
		return explainDir("read", dir, err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("cannot use the data directory %s: %s does not hold a version number; "+
			"restore the file from a backup, or choose another --data-dir", dir, formatFile)
	}
	if v > embed.FormatVersion {
		return fmt.Errorf("cannot use the data directory %s: it is of format %d, %w, and this one reads formats up to %d; "+
			"install that version again, or choose another --data-dir", dir, v, embed.ErrNewer, embed.FormatVersion)
	}
	return nil
}

func explainDir(what, dir string, err error) error {
	cause := err
	var pe *os.PathError
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	advice := "choose another with --data-dir"
	switch {
	case isNoSpace(err):
		return fmt.Errorf("cannot %s the data directory %s: the disk is full; free some space or %s: %w", what, dir, advice, embed.ErrFull)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		advice = "give this user the right to write there, or " + advice
	case errors.Is(err, syscall.ENOTDIR):
		advice = "it is below something that is not a directory: " + advice
	}
	return fmt.Errorf("cannot %s the data directory %s: %w; %s", what, dir, cause, advice)
}

// isNoSpace recognises a full disk, or a full quota, in an error or in the text of a server's log line.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		err != nil && strings.Contains(err.Error(), "no space left on device")
}
