package plan

import (
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// WindowUse collects which maintenance windows the entries of a plan have as the causes of failures. The zero value is
// ready to use. It is not safe for concurrent use.
type WindowUse struct {
	used   map[string]bool
	oldest time.Time
}

// Add adds an entry.
func (u *WindowUse) Add(e *Entry) {
	if u.used == nil {
		u.used = make(map[string]bool)
	}
	u.used[e.Attribution.WindowID] = true
	if at := e.Before.PlacedAt; !at.IsZero() && (u.oldest.IsZero() || at.Before(u.oldest)) {
		u.oldest = at
	}
}

// Unmatched returns the windows that match no failure: those that began before the plan was made, and ended after the
// oldest order was placed or are the latest of all. The times of such a window may be wrong. It returns nil for a plan
// without entries.
func (u *WindowUse) Unmatched(h *Header) []maintenance.Window {
	var latest maintenance.Window
	for _, w := range h.Windows {
		if w.State(h.CreatedAt) != maintenance.Planned && !w.Cancelled && w.Span().Start.After(latest.Span().Start) {
			latest = w
		}
	}
	var unmatched []maintenance.Window
	for _, w := range h.Windows {
		span := w.Span()
		recent := w.ID == latest.ID || span.End.IsZero() || span.End.After(u.oldest)
		if u.used != nil && !u.used[w.ID] && recent && !w.Cancelled && span.Start.Before(h.CreatedAt) {
			unmatched = append(unmatched, w)
		}
	}
	return unmatched
}
