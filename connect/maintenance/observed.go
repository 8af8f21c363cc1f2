package maintenance

import (
	"slices"
	"time"
)

// SourceObserved is the Source of windows that were observed, not announced.
const SourceObserved = "observed"

// SourceUnreachable is the Source of windows in which nothing answered. The cause may be the local
// network, so they do not prove an outage of Connect.
const SourceUnreachable = "unreachable"

// drift is how early a window may start and still be the announced one (inferred).
const drift = 30 * time.Minute

// WithObserved returns the calendar with the actual times of windows set from observed
// outages, as availability.Tracker returns them. asOf is the time of the last probe.
//
// An outage belongs to the announced windows in which it started, and to those that
// start at most 30 min after it while it lasts (inferred). While it is ongoing, such a
// window has no end. When both are over, ActualStart and ActualEnd are the first start
// and the last end of its outages, so the window may become shorter than announced;
// before that it does not, since a maintenance may pause.
//
// A window that already has an actual time keeps it. Other outages, and all with the
// Source [SourceUnreachable], become windows of their own, without margins; one replaces
// a window with the same id. An invalid observed window is an error.
func (c *Calendar) WithObserved(observed []Window, asOf time.Time) (*Calendar, error) {
	exact := make(map[string]Window) // announced windows with their actual times
	var own []Window
	for _, o := range oldestFirst(observed) {
		if err := o.Validate(); err != nil {
			return nil, err
		}
		o = o.inUTC()
		if o.Source == SourceUnreachable { // no proof of how a maintenance went
			own = append(own, o)
			continue
		}
		absorbed := false
		for _, w := range c.announcedFor(o, asOf) {
			if seen, ok := exact[w.ID]; ok {
				w = seen
			}
			if seen, ok := w.exactBy(o, asOf); ok {
				exact[w.ID] = seen
				absorbed = true
			}
		}
		if !absorbed {
			own = append(own, o)
		}
	}
	return c.replacing(exact, own)
}

// announcedFor returns the windows that an observed one belongs to.
func (c *Calendar) announcedFor(o Window, asOf time.Time) []Window {
	began, until := o.Span().Start, o.Span().End
	if until.IsZero() {
		until = asOf
	}
	var found []Window
	for w := range c.OverlappingSeq(began, began.Add(drift+1)) {
		known := !w.ActualStart.IsZero() || !w.ActualEnd.IsZero()
		early := w.Start.Sub(began) // negative: it started later
		if !known && early <= drift && began.Before(w.End) && until.After(w.Start) {
			found = append(found, w)
		}
	}
	return found
}

func oldestFirst(windows []Window) []Window {
	return slices.SortedStableFunc(slices.Values(windows),
		func(a, b Window) int { return compareSpans(a.Span(), b.Span()) })
}

// exactBy adds an outage to the actual times, oldest first, and reports whether it did.
func (w Window) exactBy(o Window, asOf time.Time) (Window, bool) {
	span := o.Span()
	ongoing := !w.ActualStart.IsZero() && w.ActualEnd.IsZero() // by an outage before this one
	switch {
	case span.End.IsZero() || ongoing:
		// It is in effect: keep all of the announced time.
		w.ActualStart, w.ActualEnd = soonerOf(w.Start, soonerOf(w.ActualStart, span.Start)), time.Time{}
	case asOf.Before(w.End):
		return w, false
	default:
		w.ActualStart = soonerOf(w.ActualStart, span.Start)
		if span.End.After(w.ActualEnd) {
			w.ActualEnd = span.End
		}
	}
	return w, true
}

// soonerOf returns the earlier of two times; zero is none.
func soonerOf(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// replacing returns the calendar with some of its windows or occurrences replaced and
// others added.
func (c *Calendar) replacing(exact map[string]Window, own []Window) (*Calendar, error) {
	added, err := NewCalendar(own)
	if err != nil || c == nil {
		return added, err
	}
	var entries []entry
	for _, e := range c.entries {
		if w, ok := exact[e.ID]; ok {
			e.Window = w
			delete(exact, e.ID)
		}
		entries = append(entries, e)
	}
	for _, r := range c.rules {
		for id, w := range exact {
			if rule, _, _ := cutOccurrence(id); rule == r.ID {
				entries = append(entries, entry{Window: w, margins: r.margins})
			}
		}
	}
	return index(entries, c.rules).Merge(added), nil
}
