package main

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

const (
	callsPerOrder = 2.2 // a read, a push and shared look-ups
	etaWindow     = time.Minute
	etaAfter      = 30 * time.Second // of sending
	etaVerified   = 10               // or so many verified orders
)

// estimate estimates when a run ends: from the orders that were done in the last minute, and the rate limit.
type estimate struct {
	began   time.Time
	samples []sample
}

type sample struct {
	at   time.Time
	done int
}

// add adds what is known now. While a run waits, time does not count.
func (e *estimate) add(now time.Time, live *resubmit.Status) {
	if live.Gate != "" {
		e.samples = nil
		return
	}
	if e.began.IsZero() {
		e.began = now
	}
	e.samples = append(e.samples, sample{now, live.Done})
	for len(e.samples) > 2 && now.Sub(e.samples[0].at) > etaWindow {
		e.samples = e.samples[1:]
	}
}

// end returns the estimated end; zero if there is none yet.
func (e *estimate) end(now time.Time, live *resubmit.Status) time.Time {
	left := live.Total - live.Done
	waits := live.Gate != ""
	switch {
	case left == 0, waits && live.Until.IsZero():
		return time.Time{}
	case live.Result.Completed < etaVerified && (e.began.IsZero() || now.Sub(e.began) < etaAfter):
		return time.Time{}
	}
	perSecond := 0.0 // orders
	if live.Rate > 0 {
		perSecond = live.Rate / callsPerOrder
	}
	if n := len(e.samples); n > 1 {
		seconds := e.samples[n-1].at.Sub(e.samples[0].at).Seconds()
		if seen := float64(e.samples[n-1].done-e.samples[0].done) / seconds; seconds > 5 && seen > 0 &&
			(perSecond == 0 || seen < perSecond) {
			perSecond = seen
		}
	}
	if perSecond == 0 {
		return time.Time{}
	}
	end := now
	if waits && live.Until.After(now) {
		end = live.Until
	}
	return end.Add(time.Duration(float64(left) / perSecond * float64(time.Second)))
}

// text is the estimate for people, such as "about 4 min (05:31 CET)".
func (e *estimate) text(now time.Time, live *resubmit.Status, s *site) string {
	end := e.end(now, live)
	if end.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s)", roughly(end.Sub(now)), end.In(s.location).Format("15:04"))
}

// roughly is a duration as precise as an estimate is.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int((d+time.Minute/2)/time.Minute))
	case d <= 24*time.Hour:
		d = d.Round(5 * time.Minute)
		return fmt.Sprintf("about %d h %02d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	default:
		return "over a day"
	}
}
