package main

import (
	"context"
	"log"
	"log/slog"
)

// diary writes down what the watcher does, a line each. A service would give the
// watcher its own logger, and have the attributes too.
type diary struct{ to *log.Logger }

func (d diary) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (d diary) WithAttrs([]slog.Attr) slog.Handler               { return d }
func (d diary) WithGroup(string) slog.Handler                    { return d }

func (d diary) Handle(_ context.Context, r slog.Record) error {
	d.to.Println(r.Time.UTC().Format("15:04:05"), r.Message)
	return nil
}
