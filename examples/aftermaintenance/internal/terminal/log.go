package terminal

import (
	"context"
	"log/slog"
	"strings"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
)

// Handler writes records as "aftermaintenance: warning: a message (key value, key value)".
type Handler struct {
	To    page.Page
	Level slog.Level
	attrs []slog.Attr
}

// Enabled reports whether records of a level are written.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.Level }

// Handle writes a record.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
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
	h.To.Paragraph("", line)
	return nil
}

// WithAttrs returns a handler that adds attributes to each record.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return &with
}

// WithGroup returns the handler: the library uses no groups.
func (h *Handler) WithGroup(string) slog.Handler { return h }
