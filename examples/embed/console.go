package main

import (
	"context"
	"log"
	"log/slog"
)

// consoleHandler prints log records as lines of text. A service would pass its own logger
// to the watcher.
type consoleHandler struct{ to *log.Logger }

func (h consoleHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}
func (h consoleHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h consoleHandler) WithGroup(string) slog.Handler      { return h }

func (h consoleHandler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "detail" {
			line += ": " + a.Value.String()
		}
		return true
	})
	h.to.Println(r.Time.UTC().Format("15:04:05"), line)
	return nil
}
