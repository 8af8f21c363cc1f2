// Package eta estimates when a run ends.
package eta

import (
	"fmt"
	"time"
)

// callsPerOrder is how many calls an order needs: a read, a push and its part of shared look-ups.
const callsPerOrder = 2.2

// An estimate is made after so many verified orders, or after so much time of sending.
const (
	minVerified = 10
	minTime     = 30 * time.Second
)

// window is how long the rate is measured.
const window = time.Minute

// Progress is how far a run is at some time.
type Progress struct {
	At    time.Time
	Total int
	// Done counts the orders with an outcome, Verified those of them that are verified.
	Done, Verified int
	// Limit is the rate limit in calls per second; 0 or less is none.
	Limit float64
	// Waiting means that nothing is sent, until Until if that is known.
	Waiting bool
	Until   time.Time
}

// Estimator estimates when a run ends. The zero value is ready to use, for one run. It is not safe for concurrent use.
type Estimator struct {
	sending []Progress // those of the last minute in which orders were sent, and the one before
	began   time.Time
	last    Progress
}

// Add adds the progress at a later time.
func (e *Estimator) Add(p Progress) {
	if e.began.IsZero() {
		e.began = p.At
	}
	e.last = p
	if p.Waiting {
		e.sending = nil
		return
	}
	e.sending = append(e.sending, p)
	for len(e.sending) > 2 && p.At.Sub(e.sending[1].At) >= window {
		e.sending = e.sending[1:]
	}
}

// End returns when the run ends; ok is false while too little is known, and while it waits for something without a
// known end. Orders that wait for a person or a vendor are done as far as a run is concerned.
func (e *Estimator) End() (end time.Time, ok bool) {
	p := e.last
	remaining := float64(p.Total - p.Done)
	if remaining <= 0 || p.Verified < minVerified && p.At.Sub(e.began) < minTime || p.Waiting && p.Until.IsZero() {
		return time.Time{}, false
	}
	var seconds float64
	if p.Limit > 0 {
		seconds = remaining * callsPerOrder / p.Limit
	}
	if rate := e.rate(); rate > 0 {
		seconds = max(seconds, remaining/rate)
	}
	if seconds == 0 || seconds > (365*24*time.Hour).Seconds() {
		return time.Time{}, false
	}
	start := p.At
	if p.Waiting && p.Until.After(start) {
		start = p.Until
	}
	return start.Add(time.Duration(seconds * float64(time.Second))), true
}

// rate returns the orders done per second lately; 0 if unknown.
func (e *Estimator) rate() float64 {
	if len(e.sending) < 2 {
		return 0
	}
	first, last := e.sending[0], e.sending[len(e.sending)-1]
	took := last.At.Sub(first.At).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(last.Done-first.Done) / took
}

// AtLimit returns how long n orders take at a rate limit in calls per second, which must be positive.
func AtLimit(n int, limit float64) time.Duration {
	return time.Duration(float64(n) * callsPerOrder / limit * float64(time.Second))
}

// Words rounds a duration for people: "under a minute", "about 4 min", "about 1 h 25 min", "over a day".
func Words(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int(d.Round(time.Minute).Minutes()))
	case d <= 24*time.Hour:
		minutes := int(d.Round(5 * time.Minute).Minutes())
		return fmt.Sprintf("about %d h %02d min", minutes/60, minutes%60)
	default:
		return "over a day"
	}
}
