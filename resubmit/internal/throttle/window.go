package throttle

import (
	"math"
	"slices"
	"time"
)

// window has the times of the last calls, so that late calls may catch up and still no second has more calls than the
// limit. Calls within a millisecond are one element, which counts from the last of them, so that memory is bounded at
// any limit.
type window struct {
	calls []bunch // the oldest first
	n     int     // calls in all of them
}

type bunch struct {
	first, last time.Time
	n           int
}

// span returns the time in which at most so many calls may be made: a second, or more or less if the limit is not a
// whole number.
func (w *window) span(limit float64) (span time.Duration, most int) {
	most = int(min(max(1, math.Floor(limit)), math.MaxInt32))
	return time.Duration(math.Ceil(float64(most) / limit * margin * float64(time.Second))), most
}

// fullUntil returns when the next call may be made; zero means now.
func (w *window) fullUntil(now time.Time, limit float64) time.Time {
	span, most := w.span(limit)
	over := 0
	for over < len(w.calls) && !w.calls[over].last.Add(span).After(now) {
		w.n -= w.calls[over].n
		over++
	}
	w.calls = w.calls[:copy(w.calls, w.calls[over:])]
	if w.n < most {
		return time.Time{}
	}
	return w.calls[0].last.Add(span)
}

// last returns the time of the last call; zero if it is not in the window any more.
func (w *window) last() time.Time {
	if len(w.calls) == 0 {
		return time.Time{}
	}
	return w.calls[len(w.calls)-1].last
}

// add counts a call.
func (w *window) add(now time.Time) {
	w.n++
	if end := len(w.calls) - 1; end >= 0 && now.Sub(w.calls[end].first) < time.Millisecond {
		w.calls[end].last = now
		w.calls[end].n++
		return
	}
	w.calls = append(w.calls, bunch{now, now, 1})
}

// move counts the last call up to a time at a later time instead.
func (w *window) move(from, to time.Time) {
	i := len(w.calls) - 1
	for i >= 0 && w.calls[i].first.After(from) {
		i--
	}
	if i < 0 {
		return // it is not in the window any more
	}
	if w.calls[i].n--; w.calls[i].n == 0 {
		w.calls = slices.Delete(w.calls, i, i+1)
	}
	w.n--
	w.add(to)
}
