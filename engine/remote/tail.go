package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
)

const (
	tailLines = 20
	tailBytes = 2 << 10 // of a line; more is dropped
)

// tail takes what a worker writes to its standard error: it passes each line on to the log and keeps the last twenty.
type tail struct {
	log *slog.Logger

	mu    sync.Mutex
	lines []string
	part  []byte // of a line whose end has not come
}

// Write implements [io.Writer]; it never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	for {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if room := tailBytes - len(t.part); room > 0 {
			t.part = append(t.part, line[:min(room, len(line))]...)
		}
		if !whole {
			return n, nil
		}
		t.add(strings.ToValidUTF8(strings.TrimSpace(string(t.part)), "\uFFFD"))
		t.part, b = t.part[:0], rest
	}
}

// add takes a line. A line of JSON is a record of the worker's own log.
func (t *tail) add(line string) {
	if line == "" {
		return
	}
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
	var rec map[string]any
	if json.Unmarshal([]byte(line), &rec) != nil {
		t.log.Warn(line)
		return
	}
	var level slog.Level
	if l, ok := rec[slog.LevelKey].(string); !ok || level.UnmarshalText([]byte(l)) != nil {
		level = slog.LevelWarn
	}
	msg, _ := rec[slog.MessageKey].(string)
	var attrs []slog.Attr
	for k, v := range rec {
		if k != slog.LevelKey && k != slog.MessageKey && k != slog.TimeKey {
			attrs = append(attrs, slog.Any(k, v))
		}
	}
	t.log.LogAttrs(context.Background(), level, msg, attrs...)
}

// last returns the lines kept, and the one that has no end.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append([]string(nil), t.lines...)
	if part := strings.TrimSpace(string(t.part)); part != "" {
		all = append(all, strings.ToValidUTF8(part, "\uFFFD"))
	}
	return all[max(0, len(all)-tailLines):]
}
