package maintenance

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Window is one maintenance of Connect, as announced and as it actually happened. Times
// are half-open, [start, end), and in UTC: NewCalendar converts them.
//
// Actual times take precedence. A window with an ActualStart and no ActualEnd stays in
// effect until it gets one, however long ago its planned end was. A window without
// actual times is in effect as announced.
type Window struct {
	ID    string `json:"id"`
	Title string `json:"title,omitempty"`
	// Start and End are the announced times.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// ActualStart and ActualEnd are the actual times; zero if unknown.
	ActualStart time.Time `json:"actualStart,omitzero"`
	ActualEnd   time.Time `json:"actualEnd,omitzero"`
	Cancelled   bool      `json:"cancelled,omitempty"`
	// Zone is the IANA name of the time zone for display; "" is UTC.
	Zone string `json:"zone,omitempty"`
	// Source says where the window comes from: a file, a feed, [SourceObserved].
	Source string `json:"source,omitempty"`
}

// WindowState is the state of a window at an instant.
type WindowState string

// The states of a window.
const (
	Planned   WindowState = "planned"   // has not started
	Ongoing   WindowState = "ongoing"   // is in effect
	Finished  WindowState = "finished"  // has ended
	Cancelled WindowState = "cancelled" // does not take place
	// Overrun is in effect past its announced end: it started and no end is known.
	Overrun WindowState = "overrun"
)

// Span is the time from Start up to, but not including, End. A zero End is open.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end,omitzero"`
}

// Contains reports whether t is in the span. An empty span contains no time.
func (s Span) Contains(t time.Time) bool {
	return !t.Before(s.Start) && (s.End.IsZero() || t.Before(s.End))
}

// Span returns when the window is in effect, cancelled or not: the actual times if known,
// else the announced ones. End is zero if it started and no actual end is known.
func (w Window) Span() Span {
	s := Span{Start: w.Start, End: w.End}
	if !w.ActualStart.IsZero() {
		s = Span{Start: w.ActualStart}
	}
	if !w.ActualEnd.IsZero() {
		s.End = w.ActualEnd
	}
	return s
}

// State returns the state at now.
func (w Window) State(now time.Time) WindowState {
	span := w.Span()
	switch {
	case w.Cancelled:
		return Cancelled
	case now.Before(span.Start):
		return Planned
	case !span.Contains(now):
		return Finished
	case span.End.IsZero() && !now.Before(w.End):
		return Overrun
	default:
		return Ongoing
	}
}

// Validate returns an error if the window is invalid. Checking Zone needs time zone data.
func (w Window) Validate() error {
	if err := w.check(); err != nil {
		return fmt.Errorf("maintenance: window %q: %w", w.ID, err)
	}
	return nil
}

func (w Window) check() error {
	if err := checkID(w.ID); err != nil {
		return fmt.Errorf("id %w", err)
	}
	switch {
	case w.Start.IsZero():
		return errors.New("has no start")
	case w.End.IsZero():
		return errors.New("has no end")
	case !w.End.After(w.Start):
		return fmt.Errorf("ends at %s, which is not after its start at %s", stamp(w.End), stamp(w.Start))
	}
	if end := w.ActualEnd; !end.IsZero() && !end.After(w.Span().Start) {
		return fmt.Errorf("actual end %s is not after the start %s: set the actual start too",
			stamp(end), stamp(w.Span().Start))
	}
	if w.Zone == "" {
		return nil
	}
	_, err := loadZone(w.Zone)
	return err
}

// checkID rejects ids that are missing or have control characters.
func checkID(id string) error {
	switch {
	case strings.TrimSpace(id) == "":
		return errors.New("is missing: set a unique one")
	case strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("%q has control characters: remove them", id)
	default:
		return nil
	}
}

// String describes the window on one line, with times in its zone, or in UTC if the zone is
// unknown on this machine.
func (w Window) String() string {
	loc := zoneOrUTC(w.Zone)
	var b strings.Builder
	b.WriteString(w.ID)
	if w.Title != "" {
		fmt.Fprintf(&b, " %q", w.Title)
	}
	fmt.Fprintf(&b, ": %s to %s", text.Clock(w.Start, loc), text.Clock(w.End, loc))
	if !w.ActualStart.IsZero() || !w.ActualEnd.IsZero() {
		fmt.Fprintf(&b, ", actually %s to %s", text.Clock(w.ActualStart, loc), text.Clock(w.ActualEnd, loc))
	}
	if w.Cancelled {
		b.WriteString(", cancelled")
	}
	return text.OneLine(b.String())
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

func (w Window) inUTC() Window {
	w.Start, w.End = w.Start.UTC(), w.End.UTC()
	w.ActualStart, w.ActualEnd = w.ActualStart.UTC(), w.ActualEnd.UTC()
	return w
}

// Label is how the window is called in a sentence: its title and id, or its id alone.
func (w Window) Label() string {
	if w.Title != "" {
		return fmt.Sprintf("%q (%s)", text.Short(w.Title), text.Short(w.ID))
	}
	return text.Short(w.ID)
}
