package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// windows sets the windows of the document: those in which orders failed or to which failures are attributed, those
// that should match an order and do not, and those that were observed or are in effect.
func (b *builder) windows() error {
	d, h := b.doc, b.in.Plan.Header()
	announced, err := h.Calendar()
	if err != nil {
		return err
	}
	calendar, err := announced.WithObserved(b.in.Observed, d.MadeAt)
	if err != nil {
		return err
	}
	first, last := b.times.first(), d.MadeAt
	if first.IsZero() {
		first = last
	}
	unmatched := b.use.Unmatched(&h)
	for w := range calendar.OverlappingSeq(first, last.Add(1)) {
		wanted := func(u maintenance.Window) bool { return u.ID == w.ID }
		out := windowOf(w)
		out.Inside, out.Attributed = b.times.inside(w.Span()), b.attributed[w.ID]
		if out.Inside > 0 || out.Attributed > 0 || out.Observed != nil || w.Span().Contains(last) ||
			slices.ContainsFunc(unmatched, wanted) {
			d.Windows = append(d.Windows, out)
		}
	}
	until := cmp.Or(d.Times.LastVerifiedAt, d.Times.FinishedAt, d.MadeAt)
	if w, ok := calendar.Last(until); ok {
		d.Times.WindowClosedAt = w.Span().End
	}
	return nil
}

// windowOf returns a window without counts.
func windowOf(w maintenance.Window) Window {
	out := Window{ID: w.ID, Title: w.Title, Source: w.Source}
	if w.Source == maintenance.SourceObserved || w.Source == maintenance.SourceUnreachable {
		span := w.Span()
		out.Observed = &span
		return out
	}
	out.Announced = &maintenance.Span{Start: w.Start, End: w.End}
	if !w.ActualStart.IsZero() || !w.ActualEnd.IsZero() {
		span := w.Span()
		out.Observed = &span
	}
	return out
}

// closed returns when the window ended; zero if it has not, or was not observed to.
func (w *Window) span() maintenance.Span {
	if w.Observed != nil {
		return *w.Observed
	}
	return *w.Announced
}

// earliest returns the earlier one of two times, and ignores zero ones.
func earliest(a, b time.Time) time.Time {
	first, _ := widen(a, a, b)
	return first
}
