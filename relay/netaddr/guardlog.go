package netaddr

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
)

// guardLog sends the records of a guard to its parent: the level, the text, and names and values, with zero bytes between.
type guardLog struct {
	send  func(payload []byte)
	attrs []slog.Attr
}

// Enabled leaves out what is for debugging.
func (h guardLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle sends one record.
func (h guardLog) Handle(_ context.Context, r slog.Record) error {
	payload := append([]byte{byte(int8(r.Level))}, r.Message...)
	add := func(a slog.Attr) bool {
		payload = append(append(append(append(payload, 0), a.Key...), 0), strings.ReplaceAll(a.Value.String(), "\x00", " ")...)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.send(payload[:min(len(payload), maxPayload)])
	return nil
}

// WithAttrs adds names and values to all records.
func (h guardLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

// WithGroup is not needed.
func (h guardLog) WithGroup(string) slog.Handler { return h }

// replay writes a record into the parent's log.
func replay(log *slog.Logger, payload []byte) {
	if len(payload) == 0 {
		return
	}
	parts := bytes.Split(payload[1:], []byte{0})
	args := []any{slog.String("by", "guard")}
	for i := 1; i+1 < len(parts); i += 2 {
		args = append(args, slog.String(string(parts[i]), string(parts[i+1])))
	}
	log.Log(context.Background(), slog.Level(int8(payload[0])), string(parts[0]), args...)
}
