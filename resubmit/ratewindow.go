package resubmit

import (
	"math"
	"time"
)

// rateWindow has the times of the last calls, so that late calls may catch up and still no
// second has more calls than the limit. Calls within a millisecond are one element, which counts
// from the last of them, so that memory is bounded at any limit.
type rateWindow struct {
	went []bunch // the oldest first
	n    int     // calls in all of them
}

type bunch struct {
	first, last time.Time
	n           int
}

// span returns the time in which at most so many calls may be made: a second, or more or less if
// the limit is not a whole number.
func (w *rateWindow) span(limit float64) (span time.Duration, most int) {
	most = int(min(max(1, math.Floor(limit)), math.MaxInt32))
	return time.Duration(math.Ceil(float64(most) / limit * paceMargin * float64(time.Second))), most
}

// fullUntil returns when the next call may be made; zero means now.
func (w *rateWindow) fullUntil(now time.Time, limit float64) time.Time {
	span, most := w.span(limit)
	over := 0
	for over < len(w.went) && !w.went[over].last.Add(span).After(now) {
		w.n -= w.went[over].n
		over++
	}
	w.went = w.went[:copy(w.went, w.went[over:])]
	if w.n < most {
		return time.Time{}
	}
	return w.went[0].last.Add(span)
}

// add counts a call.
func (w *rateWindow) add(now time.Time) {
	w.n++
	if end := len(w.went) - 1; end >= 0 && now.Sub(w.went[end].first) < time.Millisecond {
		w.went[end].last = now
		w.went[end].n++
		return
	}
	w.went = append(w.went, bunch{now, now, 1})
}
