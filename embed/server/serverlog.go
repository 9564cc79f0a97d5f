package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// serverLog hands the lines of the NATS server to slog and keeps what the server calls fatal, so that Start can
// return it: the server itself would end the process.
type serverLog struct {
	log     *slog.Logger
	keyed   bool // this node has a cluster key
	hide    *strings.Replacer
	regions *regionLines

	mu    sync.Mutex
	fatal []string
	full  bool

	refusedAt  time.Time            // when another server refused this one first
	refusedWhy string               // and why
	told       map[string]time.Time // refusals in the log
}

func newServerLog(cfg Config, logger *slog.Logger) *serverLog {
	return &serverLog{
		log: logger, keyed: len(cfg.ClusterKey) > 0, hide: hideSecrets(cfg.ClusterKey), regions: newRegionLines(cfg.Peers),
	}
}

func (l *serverLog) print(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, l.hide.Replace(strings.TrimSpace(fmt.Sprintf(format, v...))))
	}
}

// write logs a line in our own words.
func (l *serverLog) write(level slog.Level, text string) { l.print(level, "%s", []any{text}) }

// Noticef is called at each step of a start and for each connection: of interest to who debugs, not to an operator.
func (l *serverLog) Noticef(format string, v ...any) {
	if !strings.Contains(format, " - lid:") || !l.regions.note(fmt.Sprintf(format, v...), l.write) {
		l.print(slog.LevelDebug, format, v)
	}
}

func (l *serverLog) Warnf(format string, v ...any) {
	switch {
	case strings.HasPrefix(format, "Plaintext passwords"):
		return // ours are keys of 256 bits, in memory only: there is nothing to guess
	case strings.HasPrefix(format, mirrorRefused):
		l.regions.mirror(fmt.Sprintf(format, v...), l.write)
		return
	}
	l.print(slog.LevelWarn, format, v)
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if l.noteRefusal(text) || l.regions.note(text, l.write) {
		return
	}
	l.print(slog.LevelError, format, v)
	if strings.Contains(text, "no space left") || strings.Contains(text, "quota exceeded") {
		l.setFull()
	}
}

func (l *serverLog) setFull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = true
}

// reset forgets what a server before has said.
func (l *serverLog) reset() {
	l.regions.reset()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal, l.full, l.refusedWhy = nil, false, ""
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = append(l.fatal, fmt.Sprintf(format, v...))
}

func (l *serverLog) Debugf(format string, v ...any) { l.print(slog.LevelDebug-4, format, v) }
func (l *serverLog) Tracef(format string, v ...any) { l.print(slog.LevelDebug-8, format, v) }

// failure returns the first fatal line, or "".
func (l *serverLog) failure() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.fatal) == 0 {
		return ""
	}
	return l.fatal[0]
}

// outOfSpace reports whether the server has complained about a full disk.
func (l *serverLog) outOfSpace() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}
