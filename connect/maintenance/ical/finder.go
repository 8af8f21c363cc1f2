package ical

import (
	"context"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// finder collects the windows of one series.
type finder struct {
	*series
	ctx      context.Context //nolint:containedctx // a finder lives as long as the call that has the context
	within   maintenance.Span
	most     int
	found    []maintenance.Window
	warnings []warning
	err      error
}

// warning is a problem of a window that is used nevertheless.
type warning struct {
	window maintenance.Window
	err    error
}

// find adds the windows of the series in the range.
func (f *finder) find() {
	f.err = f.ctx.Err()
	for _, e := range f.changes {
		if f.err == nil {
			f.add(f.uid+"@"+e.replaces.at.key(), e, e.occurrence)
		}
	}
	for _, e := range f.masters {
		if f.err == nil {
			f.expand(e)
		}
	}
}

// add adds an occurrence if it is in the range, and reports whether it did.
func (f *finder) add(id string, e *event, o occurrence) bool {
	start, end := o.start.instant(), o.length.from(o.start)
	if f.err != nil || !start.Before(f.within.End) || !end.After(f.within.Start) {
		return false
	}
	if len(f.found) == f.most {
		f.err = fmt.Errorf("event %q of line %d: has more than %d occurrences between %s and %s: "+
			"set an UNTIL, use a shorter range or raise WithMaxOccurrences", shown(e.UID), e.line, f.most,
			f.within.Start.Format(time.DateOnly), f.within.End.Format(time.DateOnly))
		return false
	}
	w := maintenance.Window{
		ID: id, Title: e.title(), Start: start.UTC(), End: end.UTC(), Zone: o.start.zone.name, Cancelled: e.cancelled,
	}
	f.found = append(f.found, w)
	if err := o.start.zone.doubt(start, end); err != nil {
		f.warnings = append(f.warnings, warning{w, err})
	}
	return true
}

// expand adds the occurrences of the times and the rule of the event.
func (f *finder) expand(e *event) {
	x := expansion{finder: f, event: e, seen: make(map[string]bool), excluded: make(map[time.Time]int)}
	for _, o := range e.dates { // first, since they may have their own length
		x.add(o)
	}
	if e.rule == nil {
		x.add(e.occurrence)
	} else {
		x.addRule()
	}
	x.check()
}

// expansion collects the occurrences of one event.
type expansion struct {
	*finder
	event    *event
	seen     map[string]bool // RDATE may repeat an occurrence of the rule
	excluded map[time.Time]int
	near     []nearby
}

// nearby is a window on a date that also has an exception.
type nearby struct {
	maintenance.Window
	date time.Time
}

func (x *expansion) add(o occurrence) {
	e, key, date := x.event, o.start.key(), o.start.day()
	if x.seen[key] || !x.cut.IsZero() && !o.start.instant().Before(x.cut) {
		return
	}
	if n := e.except.matches(o.start) + x.replaced.matches(o.start); n > 0 {
		x.seen[key] = true
		x.excluded[date] += n
		return
	}
	id := x.uid
	if e.recurs() {
		id += "@" + key
	}
	if !x.finder.add(id, e, o) {
		return
	}
	x.seen[key] = true
	if x.exceptionsOn(date) > 0 {
		x.near = append(x.near, nearby{x.found[len(x.found)-1], date})
	}
}

func (x *expansion) exceptionsOn(date time.Time) int {
	return x.event.except.count[date] + x.replaced.count[date]
}

// addRule adds the occurrences of the rule.
func (x *expansion) addRule() {
	e := x.event
	// Zones differ from UTC by at most 15 hours.
	last := x.within.End.UTC().Add(day)
	early := x.within.Start.UTC().Add(-2*day-e.length.elapsed).AddDate(0, 0, -e.length.days)
	n := 0
	for wall := range e.rule.walls(last) {
		if n++; n%1000 == 0 && x.ctx.Err() != nil {
			x.err = x.ctx.Err()
		}
		if x.err != nil {
			return
		}
		if wall.Before(early) {
			continue // skips most of an old rule without computing its zone
		}
		o := e.occurrence
		o.start.wall = wall
		x.add(o)
	}
}

// check warns of an exception that is on the date of an occurrence, but not at its time: the
// occurrence is probably excluded or moved.
func (x *expansion) check() {
	for _, w := range x.near {
		if x.exceptionsOn(w.date) > x.excluded[w.date] {
			x.warnings = append(x.warnings, warning{w.Window, fmt.Errorf("event %q of line %d: an EXDATE or RECURRENCE-ID "+
				"on %s is at another time than the occurrence of that day, which is kept: is it excluded or moved?",
				shown(x.uid), x.event.line, w.date.Format(time.DateOnly))})
		}
	}
}
