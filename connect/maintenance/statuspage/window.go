package statuspage

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// phase is the meaning of a status.
type phase int

const (
	announced phase = iota + 1
	ongoing
	over
	cancelled
)

// phases maps the statuses of Statuspage and incident.io (documented, connect/WIRE.md#10.2),
// without what is between their words. "complete", and that there may be one for cancelled
// ones, is inferred.
var phases = map[string]phase{
	"scheduled": announced, "maintenancescheduled": announced,
	"inprogress": ongoing, "verifying": ongoing, "maintenanceinprogress": ongoing,
	"completed": over, "complete": over, "maintenancecomplete": over,
	"cancelled": cancelled, "canceled": cancelled,
}

// phaseOf returns the phase of a status in any spelling, such as "In Progress"; zero if it is unknown.
func phaseOf(status string) phase {
	return phases[strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(status))]
}

// window returns the maintenance as a window.
func (m *item) window(longest time.Duration) (maintenance.Window, error) {
	w := maintenance.Window{ID: m.id, Title: m.name, Start: m.scheduledFor, End: m.end()}
	if w.End.IsZero() {
		return w, errors.New("it has no scheduled_until")
	}
	if err := w.Validate(); err != nil {
		return w, errors.Unwrap(err)
	}
	if length := w.End.Sub(w.Start); length > longest {
		return w, fmt.Errorf("it is announced from %s to %s, longer than %s: if that is right, raise WithMaxDuration",
			w.Start.Format(time.RFC3339), w.End.Format(time.RFC3339), longest)
	}
	switch m.phase {
	case ongoing:
		w.ActualStart = m.start()
	case over:
		m.close(&w)
	case cancelled:
		w.Cancelled = true
	}
	return w, nil
}

// start returns when an ongoing maintenance started.
func (m *item) start() time.Time {
	switch {
	case !m.begun.IsZero():
		return m.begun
	case m.trustsStarted():
		return m.started
	case !m.updated.IsZero() && m.updated.Before(m.scheduledFor) && !m.isAnnouncement(m.updated):
		return m.updated // it started early, and this is when the page knew
	default:
		return m.scheduledFor
	}
}

// trustsStarted reports whether started_at can be the actual start.
func (m *item) trustsStarted() bool {
	return !m.started.IsZero() && !m.created.IsZero() && !m.isAnnouncement(m.started)
}

// isAnnouncement reports whether t is when the page announced the maintenance.
func (m *item) isAnnouncement(t time.Time) bool {
	return !m.created.IsZero() && t.Sub(m.created) <= time.Minute
}

// end returns the announced end, zero if it is unknown. A completed maintenance without one ended
// when it was resolved.
func (m *item) end() time.Time {
	switch {
	case m.isOpen():
		return m.scheduledFor.Add(time.Minute) // a window needs one, but the actual start makes it open
	case m.scheduledUntil.IsZero() && m.phase == over:
		return m.resolved
	default:
		return m.scheduledUntil
	}
}

// isOpen reports whether the maintenance is in progress and has no usable end.
func (m *item) isOpen() bool { return m.phase == ongoing && !m.scheduledUntil.After(m.scheduledFor) }

// close sets the actual times of a completed maintenance, if they are known and valid.
func (m *item) close(w *maintenance.Window) {
	w.ActualStart, w.ActualEnd = m.begun, m.resolved
	if w.ActualStart.IsZero() && m.trustsStarted() {
		w.ActualStart = m.started
	}
	if w.ActualEnd.IsZero() && !w.ActualStart.IsZero() {
		w.ActualEnd = w.End // else it would have no end
	}
	if w.Validate() == nil {
		return
	}
	w.Cancelled = w.ActualStart.IsZero() // resolved before its start
	w.ActualStart, w.ActualEnd = time.Time{}, time.Time{}
}

// oddities returns problems of a maintenance that is used nevertheless.
func (m *item) oddities(w maintenance.Window, now time.Time, longest time.Duration) (odd []error) {
	phase := m.phase
	span := w.Span()
	if m.updatesErr != nil {
		odd = append(odd, fmt.Errorf("its actual start is unknown: %w", m.updatesErr))
	}
	if m.clash {
		odd = append(odd, errors.New("the page lists it twice, with other times: the first are used"))
	}
	if m.isOpen() {
		odd = append(odd, errors.New("it has no scheduled_until after its start: it is open until it is completed"))
	}
	switch {
	case phase == 0:
		odd = append(odd, fmt.Errorf("its status %.40q is unknown: it counts as scheduled", m.status))
	case phase == over && w.ActualEnd.IsZero() && !m.resolved.IsZero() && !w.Cancelled:
		odd = append(odd, fmt.Errorf("it ended at %s, before it started: the announced times are used",
			m.resolved.Format(time.RFC3339)))
	case phase == over && span.End.Sub(span.Start) > longest:
		odd = append(odd, fmt.Errorf("it lasted from %s to %s: was it closed too late?",
			span.Start.Format(time.RFC3339), span.End.Format(time.RFC3339)))
	case phase == ongoing && now.Sub(span.Start) > longest:
		odd = append(odd, fmt.Errorf("it is in progress since %s: was it not closed?",
			span.Start.Format(time.RFC3339)))
	}
	return odd
}
