package keeper

import (
	"io"
	"log/slog"
)

// Logger is what a node and its keeper, which write to one place, log with.
func Logger(w io.Writer, level slog.Level, json bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
