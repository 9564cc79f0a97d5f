// Package notetest has what the doubles of the node's parts have in common.
package notetest

import (
	"fmt"
	"strings"
	"sync"
)

// Journal is what somebody did or was asked to do, in order, as lines. The zero value is empty, and it is safe for concurrent use.
type Journal struct {
	mu    sync.Mutex
	lines []string
}

// Note adds a line.
func (j *Journal) Note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// Write adds a line, for a logger.
func (j *Journal) Write(line []byte) (int, error) {
	j.Note("%s", strings.TrimSpace(string(line)))
	return len(line), nil
}

// Take returns the lines since the last time.
func (j *Journal) Take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.lines
	j.lines = nil
	return out
}
