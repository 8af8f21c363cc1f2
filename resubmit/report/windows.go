package report

import (
	"cmp"

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
	first, _ := b.times.orders.span()
	last := d.MadeAt
	if first.IsZero() {
		first = last
	}
	unmatched := make(map[string]bool)
	for _, w := range b.use.Unmatched(&h) {
		unmatched[w.ID] = true
	}
	for w := range calendar.OverlappingSeq(first, last.Add(1)) {
		out := b.window(w)
		out.Inside, out.Attributed = b.times.orders.inside(out.span()), b.attributed[w.ID]
		if out.Inside > 0 || out.Attributed > 0 || out.Observed != nil || w.Span().Contains(last) || unmatched[w.ID] {
			d.Windows = append(d.Windows, out)
		}
	}
	until := cmp.Or(d.Times.LastVerifiedAt, d.Times.FinishedAt, d.MadeAt)
	if w, ok := calendar.Last(until); ok {
		d.Times.WindowClosedAt = w.Span().End
	}
	if d.allVerified() && !d.Times.WindowClosedAt.IsZero() && !d.Times.LastVerifiedAt.IsZero() {
		d.Times.CloseToVerifiedSeconds = d.Times.LastVerifiedAt.Sub(d.Times.WindowClosedAt).Seconds()
	}
	return nil
}

// window returns a window without counts.
func (b *builder) window(w maintenance.Window) Window {
	out, span := Window{ID: w.ID, Title: w.Title, Source: w.Source}, w.Span()
	if w.Source == maintenance.SourceObserved || w.Source == maintenance.SourceUnreachable {
		out.Observed = &span
		return out
	}
	out.Announced = &maintenance.Span{Start: w.Start, End: w.End}
	if w.ActualStart.IsZero() && w.ActualEnd.IsZero() {
		return out
	}
	for _, o := range b.in.Observed { // the calendar has the announced start for a window that is not over
		if o := o.Span(); span.End.IsZero() && o.End.IsZero() && o.Start.After(span.Start) {
			span.Start = o.Start.UTC()
		}
	}
	out.Observed = &span
	return out
}

// unmatched reports whether the window should match an order and does not, so that its times may be wrong.
func (w *Window) unmatched() bool { return w.Inside == 0 && w.Attributed == 0 && w.Observed == nil }

// span returns when the window was in effect. Its end is zero if it is not over.
func (w *Window) span() maintenance.Span {
	if w.Observed != nil {
		return *w.Observed
	}
	return *w.Announced
}
