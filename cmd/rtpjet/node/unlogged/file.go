package unlogged

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"rtpjet/events"
	"rtpjet/projection/replica"
)

// fileName is the file of a data directory that has the events that wait for the log.
const fileName = "unlogged"

// file outlives the process, and not the machine: nothing is synced, which would cost each command a turn of the
// disk. A line is an event, or says how many of a call's first events wait no longer. It is empty nearly always.
//
// Its methods do nothing on nil, and nothing once a write has failed: an event without the one before it is worth nothing.
type file struct {
	f      *os.File
	log    *slog.Logger
	size   int64
	broken bool
}

// line is one line.
type line struct {
	Key  string `json:"key"` // of the call
	Data []byte `json:"data,omitempty"`
	Done int    `json:"done,omitempty"`
}

// lockTime is how long a process that was killed may take to let go of the file.
const (
	lockTime = 2 * time.Second
	lockPoll = 10 * time.Millisecond
)

// openFile opens the file, and returns what is in it by call.
func openFile(dir string, log *slog.Logger) (*file, map[string][]replica.Event, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, nil, err
	}
	u := &file{f: f, log: log}
	left, err := u.load()
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return u, left, nil
}

func (u *file) load() (map[string][]replica.Event, error) {
	if err := u.lock(); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(u.f)
	if err != nil {
		return nil, err
	}
	left, good := parse(data)
	if good < len(data) {
		if err := u.setAside(data[good:]); err != nil {
			return nil, err // what cannot be kept is not cut off
		}
	}
	u.size = int64(good)
	return left, u.f.Truncate(u.size)
}

// lock keeps a second process from the file.
func (u *file) lock() error {
	for deadline := time.Now().Add(lockTime); ; time.Sleep(lockPoll) {
		err := syscall.Flock(int(u.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return fmt.Errorf("lock %s: %w", u.f.Name(), err)
		}
	}
}

// setAside keeps what cannot be read for people.
func (u *file) setAside(tail []byte) error {
	name := u.f.Name() + ".unreadable-" + time.Now().UTC().Format("20060102T150405.000000000")
	if err := os.WriteFile(name, tail, 0o640); err != nil {
		return err
	}
	u.log.Warn("the end of the file of events that wait for the log cannot be read; it was moved aside",
		"file", u.f.Name(), "bytes", len(tail), "to", name)
	return nil
}

// parse reads lines up to the first that it cannot read; good is where that one begins.
func parse(data []byte) (left map[string][]replica.Event, good int) {
	left = make(map[string][]replica.Event)
	for good < len(data) {
		end := bytes.IndexByte(data[good:], '\n')
		var l line
		if end < 0 || json.Unmarshal(data[good:good+end], &l) != nil {
			break
		}
		if l.Done > 0 {
			if left[l.Key] = left[l.Key][min(l.Done, len(left[l.Key])):]; len(left[l.Key]) == 0 {
				delete(left, l.Key)
			}
		} else {
			env, err := events.Decode(l.Data)
			if err != nil || events.Key(env.Call) != l.Key {
				break
			}
			left[l.Key] = append(left[l.Key], replica.Event{Envelope: env, Data: l.Data})
		}
		good += end + 1
	}
	return left, good
}

// intact tells whether everything that waits is in the file.
func (u *file) intact() bool { return u != nil && !u.broken }

func (u *file) event(key string, data []byte) { u.write(line{Key: key, Data: data}) }
func (u *file) done(key string, num int)      { u.write(line{Key: key, Done: num}) }

func (u *file) write(l line) {
	if !u.intact() {
		return
	}
	line, err := json.Marshal(l)
	if err == nil && u.size+int64(len(line)) >= 2*maxBytes { // base64, and what waits no longer
		err = errors.New("the file is as large as it may become")
	}
	if err == nil {
		_, err = u.f.Write(append(line, '\n'))
	}
	if err != nil {
		u.broken = true
		_ = u.f.Truncate(u.size) // not half a line
		u.log.Error("the events that wait for the log are no longer written to disk: a restart would lose those of now on",
			"file", u.f.Name(), "err", err)
		return
	}
	u.size += int64(len(line)) + 1
}

// empty begins anew: nothing waits.
func (u *file) empty() {
	if u == nil || u.size == 0 && !u.broken {
		return
	}
	if err := u.f.Truncate(0); err != nil {
		u.log.Error("cannot empty the file of events that wait for the log; the log has them all", "file", u.f.Name(), "err", err)
		u.broken = true
		return
	}
	u.size, u.broken = 0, false
}

func (u *file) close() {
	if u != nil {
		_ = u.f.Close()
	}
}
