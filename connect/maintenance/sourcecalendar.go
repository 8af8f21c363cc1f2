package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// QueryCalendar queries a source for [from, to) and returns its windows as a calendar. Unlike
// [NewCalendar] it accepts faulty windows: a repeated id gets a suffix, an unknown zone is
// dropped, an invalid window is left out. Each such change is a [*SourceWarning], joined
// with the error of the source. The calendar is never nil: if the source failed it holds
// the windows that came with the error.
func QueryCalendar(ctx context.Context, source WindowSource, from, to time.Time) (*Calendar, error) {
	windows, err := ask(ctx, source, from, to)
	windows, odd := usable(windows)
	entries := make([]entry, len(windows))
	for i, w := range windows {
		entries[i] = entry{Window: w}
	}
	return index(entries, nil), errors.Join(err, errors.Join(odd...))
}

// usable returns the windows that fit into a calendar, and a warning for each that was
// changed or left out.
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
			warn(ErrIncomplete, w, fmt.Errorf("window %q is left out: %w", w.ID, err))
			continue
		}
		id := w.ID
		for n := 2; taken[w.ID]; n++ {
			w.ID = fmt.Sprintf("%s#%d", id, n)
		}
		taken[w.ID] = true
		if w.ID != id {
			warn(ErrUncertain, w, fmt.Errorf("two windows have the id %q: the later one is renamed %q", id, w.ID))
		}
		fit = append(fit, w.inUTC())
	}
	return fit, odd
}

// Overlaps reports whether the span and [from, to) have a time in common.
func (s Span) Overlaps(from, to time.Time) bool {
	return from.Before(to) && s.Start.Before(to) && !s.endsBy(from) && !s.endsBy(s.Start)
}

// sortWindows sorts windows as a calendar does, including cancelled ones.
func sortWindows(windows []Window) {
	slices.SortStableFunc(windows, func(a, b Window) int {
		return cmp.Or(compareSpans(a.Span(), b.Span()), cmp.Compare(a.ID, b.ID))
	})
}

// earlier says how old the windows are that are used after a failure.
func earlier(at time.Time, cause error) error {
	return fmt.Errorf("the windows of %s (%s ago) are used: %w", stamp(at.UTC().Truncate(time.Second)),
		max(0, time.Since(at)).Truncate(time.Second), cause)
}
