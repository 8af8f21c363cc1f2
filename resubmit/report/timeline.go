package report

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	maxBins = 60
	// runBins is the number of steps of Timeline.Runs: one for two units of the chart's width.
	runBins = 332
)

// binMinutes are the lengths of bins.
var binMinutes = [...]int{1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 7 * 1440, 30 * 1440, 365 * 1440}

// times has the times of all orders, in seconds since 1970.
type times struct {
	orders                []point // by time after sort
	sorted                bool
	byPlaced, undated     int
	sent, verified, again []int64
}

type point struct {
	at    int64
	class failure.Class
}

func (t *times) add(i *Item) {
	at := i.At()
	switch {
	case at.IsZero():
		t.undated++
	default:
		if i.FailedAt.IsZero() {
			t.byPlaced++
		}
		t.orders = append(t.orders, point{at.Unix(), i.Class})
	}
	if !i.PushedAt.IsZero() {
		t.sent = append(t.sent, i.PushedAt.Unix())
	}
	switch {
	case i.DoneAt.IsZero():
	case i.Outcome == protocol.Completed:
		t.verified = append(t.verified, i.DoneAt.Unix())
	case i.Outcome == protocol.FailedAgain:
		t.again = append(t.again, i.DoneAt.Unix())
	}
}

func (t *times) sort() {
	if !t.sorted {
		slices.SortFunc(t.orders, func(a, b point) int { return cmp.Compare(a.at, b.at) })
		t.sorted = true
	}
}

// first returns the time of the oldest order; zero if none has one.
func (t *times) first() time.Time {
	t.sort()
	if len(t.orders) == 0 {
		return time.Time{}
	}
	return unix(t.orders[0].at)
}

func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }

// inside counts the orders in a span.
func (t *times) inside(s maintenance.Span) int {
	t.sort()
	before := func(at time.Time) int {
		return sort.Search(len(t.orders), func(i int) bool { return !unix(t.orders[i].at).Before(at) })
	}
	if s.End.IsZero() {
		return len(t.orders) - before(s.Start)
	}
	return max(0, before(s.End)-before(s.Start))
}

// set sets the timeline and the time of the last verification.
func (t *times) set(d *Document) {
	t.sort()
	for _, s := range t.verified {
		d.Times.LastVerifiedAt = latest(d.Times.LastVerifiedAt, unix(s))
	}
	d.Timeline = Timeline{ByPlaced: t.byPlaced, Undated: t.undated}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
