package embed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
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

// checkFormat refuses a directory of a newer version and marks a new one with ours.
func checkFormat(file, dir string) error {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(file, []byte(strconv.Itoa(FormatVersion)+"\n"), 0o640); err != nil {
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
	if v > FormatVersion {
		return fmt.Errorf("cannot use the data directory %s: it is of format %d, %w, and this one reads formats up to %d; "+
			"install that version again, or choose another --data-dir", dir, v, ErrNewer, FormatVersion)
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
		return fmt.Errorf("cannot %s the data directory %s: the disk is full; free some space or %s: %w", what, dir, advice, ErrFull)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		advice = "give this user the right to write there, or " + advice
	case errors.Is(err, syscall.ENOTDIR):
		advice = "it is below something that is not a directory: " + advice
	}
	return fmt.Errorf("cannot %s the data directory %s: %w; %s", what, dir, cause, advice)
}
