package statuspage

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// phase is what a status says about the maintenance.
type phase int

const (
	announced phase = iota + 1
	ongoing
	over
	cancelled
)

// phases are the statuses of Statuspage and incident.io (connect/WIRE.md#10.2). Nothing tells of a
// status for cancelled ones (inferred).
var phases = map[string]phase{
	"scheduled": announced, "maintenance_scheduled": announced,
	"in_progress": ongoing, "verifying": ongoing, "maintenance_in_progress": ongoing,
	"completed": over, "maintenance_complete": over,
	"cancelled": cancelled, "canceled": cancelled,
}

// window is the maintenance, or why it cannot be one.
func (m *item) window(longest time.Duration) (maintenance.Window, error) {
	w := maintenance.Window{ID: m.id, Title: m.name, Start: m.scheduledFor, End: m.scheduledUntil}
	if err := w.Validate(); err != nil {
		return w, errors.Unwrap(err)
	}
	if length := w.End.Sub(w.Start); length > longest {
		return w, fmt.Errorf("it is announced from %s to %s, longer than %s: is it a period rather than a maintenance? WithMaxDuration allows more",
			w.Start.Format(time.RFC3339), w.End.Format(time.RFC3339), longest)
	}
	switch phases[m.status] {
	case ongoing:
		w.ActualStart = m.start()
	case over:
		m.end(&w)
	case cancelled:
		w.Cancelled = true
	}
	return w, nil
}

// start is when a maintenance that goes on began.
func (m *item) start() time.Time {
	switch {
	case !m.begun.IsZero():
		return m.begun
	case m.trustsStarted():
		return m.started
	case !m.updated.IsZero() && m.updated.Before(m.scheduledFor):
		return m.updated // it began early, and this is when the page knew
	default:
		return m.scheduledFor
	}
}

// trustsStarted reports whether started_at can be the time at which it began.
func (m *item) trustsStarted() bool {
	return !m.started.IsZero() && !m.created.IsZero() && m.started.Sub(m.created) > time.Minute
}

// end sets how a maintenance that is over really went, as far as the page says so and
// that is possible.
func (m *item) end(w *maintenance.Window) {
	w.ActualStart, w.ActualEnd = m.begun, m.resolved
	if w.ActualStart.IsZero() && m.trustsStarted() {
		w.ActualStart = m.started
	}
	if w.ActualEnd.IsZero() && !w.ActualStart.IsZero() {
		w.ActualEnd = m.scheduledUntil // else it would have no end
	}
	if w.Validate() == nil {
		return
	}
	w.Cancelled = w.ActualStart.IsZero() // resolved before it was to begin
	w.ActualStart, w.ActualEnd = time.Time{}, time.Time{}
}

// oddities are what is strange about a maintenance that is a window nevertheless.
func (m *item) oddities(w maintenance.Window, now time.Time, longest time.Duration) (odd []error) {
	phase := phases[m.status]
	span := w.Span()
	if m.updatesErr != nil {
		odd = append(odd, fmt.Errorf("when it began is not known: %w", m.updatesErr))
	}
	switch {
	case phase == 0:
		odd = append(odd, fmt.Errorf("its status %.40q is not known here: it counts as announced", m.status))
	case phase == over && w.ActualEnd.IsZero() && !m.resolved.IsZero() && !w.Cancelled:
		odd = append(odd, fmt.Errorf("it is said to have ended at %s, before it began: it counts as announced", m.resolved.Format(time.RFC3339)))
	case phase == over && span.End.Sub(span.Start) > longest:
		odd = append(odd, fmt.Errorf("it is said to have gone on from %s to %s: was it closed too late?",
			span.Start.Format(time.RFC3339), span.End.Format(time.RFC3339)))
	case phase == ongoing && now.Sub(span.Start) > longest:
		odd = append(odd, fmt.Errorf("it is said to go on since %s: did somebody forget to close it?", span.Start.Format(time.RFC3339)))
	}
	return odd
}
