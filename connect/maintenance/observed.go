package maintenance

import (
	"slices"
	"time"
)

// SourceObserved is the Source of windows that were seen rather than announced.
const SourceObserved = "observed"

// SourceUnreachable is the Source of the windows of outages in which nothing
// answered at all: they prove no outage of Connect, see availability.Outage.
const SourceUnreachable = "unreachable"

// drift is how long before its announced start a window may really begin and
// still be the one that was announced (inferred).
const drift = 30 * time.Minute

// WithObserved is the calendar made more exact by what was observed until asOf:
// windows such as [availability.Tracker.Windows] returns, asOf the time of the last look.
//
// An outage belongs to the announced windows in which it began, or which it reached
// after it had begun at most 30 min early. While it goes on, such a window has no end,
// either: it overruns. Once the outage and the announced window are both over, the
// window has the first begin and the last end of its outages as ActualStart and
// ActualEnd, and so may become shorter than announced. Before that a window is
// never cut short, since a maintenance may pause.
//
// A window that already has an actual time keeps it: who announced it knows. All
// other outages become windows of their own, without margins; one with the id of
// a window takes its place. So does one with the Source [SourceUnreachable], always. An observed window that is not valid gives an error.
func (c *Calendar) WithObserved(observed []Window, asOf time.Time) (*Calendar, error) {
	told := make(map[string]Window) // announced windows with their actual times
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
			if seen, ok := told[w.ID]; ok {
				w = seen
			}
			if exact, ok := w.exactBy(o, asOf); ok {
				told[w.ID] = exact
				absorbed = true
			}
		}
		if !absorbed {
			own = append(own, o)
		}
	}
	return c.telling(told, own)
}

// announcedFor are the windows that an observed one belongs to.
func (c *Calendar) announcedFor(o Window, asOf time.Time) []Window {
	began, until := o.Span().Start, o.Span().End
	if until.IsZero() {
		until = asOf
	}
	var found []Window
	for w := range c.All(began, began.Add(drift+1)) {
		known := !w.ActualStart.IsZero() || !w.ActualEnd.IsZero()
		early := w.Start.Sub(began) // negative: it began later
		if !known && early <= drift && began.Before(w.End) && until.After(w.Start) {
			found = append(found, w)
		}
	}
	return found
}

func oldestFirst(windows []Window) []Window {
	return slices.SortedStableFunc(slices.Values(windows), func(a, b Window) int { return compareSpans(a.Span(), b.Span()) })
}

// exactBy takes in an outage, oldest first, and reports whether it could.
func (w Window) exactBy(o Window, asOf time.Time) (Window, bool) {
	span := o.Span()
	goesOn := !w.ActualStart.IsZero() && w.ActualEnd.IsZero() // by an outage before this one
	switch {
	case span.End.IsZero() || goesOn:
		// It still holds: no part of what was announced is given up.
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

// soonerOf is the earlier of two times, of which zero is none.
func soonerOf(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// telling is the calendar with some of its windows, or occurrences of its rules,
// replaced and others added.
func (c *Calendar) telling(told map[string]Window, own []Window) (*Calendar, error) {
	added, err := NewCalendar(own)
	if err != nil || c == nil {
		return added, err
	}
	var entries []entry
	for _, e := range c.entries {
		if w, ok := told[e.ID]; ok {
			e.Window = w
			delete(told, e.ID)
		}
		entries = append(entries, e)
	}
	for _, r := range c.rules {
		for id, w := range told {
			if rule, _, _ := cutOccurrence(id); rule == r.ID {
				entries = append(entries, entry{Window: w, margins: r.margins})
			}
		}
	}
	return index(entries, c.rules).Merge(added), nil
}
