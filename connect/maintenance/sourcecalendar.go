package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// CalendarOf asks a source for the windows of a range and makes a calendar of them.
// It takes what [NewCalendar] refuses: of windows that have the same id the later
// ones get another, a zone that is not known is left out, and so is a window that is
// not valid otherwise. Each is a [*SourceWarning] beside the calendar, joined with
// what the source said. The calendar is never nil: when the source failed it holds what
// came with the error.
func CalendarOf(ctx context.Context, source WindowSource, from, to time.Time) (*Calendar, error) {
	windows, err := ask(ctx, source, from, to)
	windows, odd := usable(windows)
	entries := make([]entry, len(windows))
	for i, w := range windows {
		entries[i] = entry{Window: w}
	}
	return index(entries, nil), errors.Join(err, errors.Join(odd...))
}

// usable are the windows that a calendar can hold, and a warning for each that is
// left out or changed for it.
func usable(windows []Window) (fit []Window, odd []error) {
	warn := func(kind error, w Window, err error) {
		odd = append(odd, &SourceWarning{Source: w.Source, Kind: kind, WindowID: w.ID, Err: err})
	}
	taken := make(map[string]bool, len(windows))
	fit = make([]Window, 0, len(windows))
	for _, w := range windows {
		if _, err := loadZone(w.Zone); err != nil {
			warn(ErrUncertain, w, fmt.Errorf("window %q is shown in UTC: %w", w.ID, err))
			w.Zone = ""
		}
		if err := w.check(); err != nil {
			warn(ErrIncomplete, w, fmt.Errorf("window %q is left out: it %w", w.ID, err))
			continue
		}
		id := w.ID
		for n := 2; taken[w.ID]; n++ {
			w.ID = fmt.Sprintf("%s#%d", id, n)
		}
		taken[w.ID] = true
		if w.ID != id {
			warn(ErrUncertain, w, fmt.Errorf("two windows have the id %q: the later one is called %q", id, w.ID))
		}
		fit = append(fit, w.inUTC())
	}
	return fit, odd
}

// Overlaps reports whether the span has an instant in [from, to).
func (s Span) Overlaps(from, to time.Time) bool {
	return from.Before(to) && s.Start.Before(to) && !s.endsBy(from) && !s.endsBy(s.Start)
}

// sortWindows puts windows in the order of the calendar, cancelled ones included.
func sortWindows(windows []Window) {
	slices.SortStableFunc(windows, func(a, b Window) int {
		return cmp.Or(compareSpans(a.Span(), b.Span()), cmp.Compare(a.ID, b.ID))
	})
}

// earlier says how old windows are that are used because newer ones cannot be had.
func earlier(at time.Time, cause error) error {
	return fmt.Errorf("those of %s (%s ago) are used: %w", stamp(at.UTC().Truncate(time.Second)),
		max(0, time.Since(at)).Truncate(time.Second), cause)
}
