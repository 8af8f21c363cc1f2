package maintenance

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Window is one maintenance of Connect: planned, and then as it really went.
// Times are half-open, [start, end), and kept in UTC: NewCalendar converts them.
//
// What really happened goes before what was planned. A window that is known to
// have begun (ActualStart) and not known to have ended (no ActualEnd) has no end
// until it is told one, however long ago its planned end was. A window of which
// nothing actual is known holds as planned.
type Window struct {
	ID    string `json:"id"`
	Title string `json:"title,omitempty"`
	// Start and End are as announced.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// ActualStart and ActualEnd are as it went; zero when not known (yet).
	ActualStart time.Time `json:"actualStart,omitzero"`
	ActualEnd   time.Time `json:"actualEnd,omitzero"`
	Cancelled   bool      `json:"cancelled,omitempty"`
	// Zone is the IANA name of the zone to show the times in; "" is UTC.
	Zone string `json:"zone,omitempty"`
	// Source tells where the window is known from: a file, a feed, "observed".
	Source string `json:"source,omitempty"`
}

// WindowState is a window's state at an instant.
type WindowState string

// The states of a window.
const (
	Planned   WindowState = "planned"   // has not begun
	Ongoing   WindowState = "ongoing"   // holds now
	Finished  WindowState = "finished"  // is over
	Cancelled WindowState = "cancelled" // does not take place
	// Overrun is known to have begun, should be over, and has no known end: it
	// still holds.
	Overrun WindowState = "overrun"
)

// Span is the time from Start up to, but not including, End. A zero End is an
// open one.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end,omitzero"`
}

// Contains reports whether t is in the span. An empty span contains nothing.
func (s Span) Contains(t time.Time) bool {
	return !t.Before(s.Start) && (s.End.IsZero() || t.Before(s.End))
}

// Span is when the window holds, cancelled or not: each end as it really was if
// that is known, else as planned. End is zero when the window has begun and its
// real end is not known.
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

// State is the window's state at the instant now.
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

// Validate says what is wrong with the window, in one line, or nil. It needs the
// time zone data to check Zone.
func (w Window) Validate() error {
	if err := w.check(); err != nil {
		return fmt.Errorf("connect: window %q: %w", w.ID, err)
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
		return fmt.Errorf("really ended at %s, which is not after its start at %s: set the actual start too",
			stamp(end), stamp(w.Span().Start))
	}
	if w.Zone == "" {
		return nil
	}
	_, err := loadZone(w.Zone)
	return err
}

// checkID refuses ids that are missing or do not fit in a line.
func checkID(id string) error {
	switch {
	case strings.TrimSpace(id) == "":
		return errors.New("is missing: give it one that no other window or rule has")
	case strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("%q has control characters: remove them", id)
	default:
		return nil
	}
}

// String shows the window on one line, with its times in its zone, or in UTC if
// the zone is not known on this machine.
func (w Window) String() string {
	loc := zoneOrUTC(w.Zone)
	var b strings.Builder
	b.WriteString(w.ID)
	if w.Title != "" {
		fmt.Fprintf(&b, " %q", w.Title)
	}
	fmt.Fprintf(&b, ": %s to %s", text.Clock(w.Start, loc), text.Clock(w.End, loc))
	if !w.ActualStart.IsZero() || !w.ActualEnd.IsZero() {
		fmt.Fprintf(&b, ", really %s to %s", text.Clock(w.ActualStart, loc), text.Clock(w.ActualEnd, loc))
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
