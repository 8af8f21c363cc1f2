package main

import (
	"context"
	"log/slog"
	"strings"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
)

// logger returns the logger of the library, to standard error: lines for people on a terminal, and for machines
// otherwise.
func (p *program) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case p.options.verbose:
		level = slog.LevelInfo
	case p.options.quiet:
		level = slog.LevelError
	}
	if p.stderr.terminal {
		return slog.New(&peopleHandler{to: p.notesAlways(), level: level})
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// peopleHandler writes records as "aftermaintenance: warning: a message (key value, key value)".
type peopleHandler struct {
	to    page.Page
	level slog.Level
	attrs []slog.Attr
}

// Enabled reports whether records of a level are written.
func (h *peopleHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle writes a record.
func (h *peopleHandler) Handle(_ context.Context, r slog.Record) error {
	var parts []string
	add := func(a slog.Attr) bool {
		parts = append(parts, a.Key+" "+a.Value.String())
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	kind := ""
	switch {
	case r.Level >= slog.LevelError:
		kind = "error: "
	case r.Level >= slog.LevelWarn:
		kind = "warning: "
	}
	line := "aftermaintenance: " + kind + r.Message
	if len(parts) > 0 {
		line += " (" + strings.Join(parts, ", ") + ")"
	}
	h.to.Paragraph("", line)
	return nil
}

// WithAttrs returns a handler that adds attributes to each record.
func (h *peopleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return &with
}

// WithGroup returns the handler: the library uses no groups.
func (h *peopleHandler) WithGroup(string) slog.Handler { return h }
