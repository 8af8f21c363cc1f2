package ical

import (
	"context"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// series is all that a calendar says of one UID: an event, and the occurrences of it
// that are otherwise than its rule has them.
type series struct {
	uid     string
	master  *event
	changes map[string]*event // by the key of the occurrence that they stand for
	order   []string          // their keys, as in the file
	// cut is from when on the rule no longer tells what will be.
	cut time.Time
}

// add takes the newest version of each event.
func (s *series) add(e *event) {
	if e.recurrence == nil {
		if e.newer(s.master) {
			s.master = e
		}
		return
	}
	key := e.recurrence.key()
	old, known := s.changes[key]
	if !e.newer(old) {
		return
	}
	if !known {
		s.order = append(s.order, key)
	}
	s.changes[key] = e
}

// settle fits the events of the series together. Of each, the newest version counts
// even if it cannot be understood: an older one is known to be wrong.
func (s *series) settle(in *Schedule) {
	if s.master != nil && s.master.broken != nil {
		in.leftOut(s.master, s.master.broken)
		s.master = nil
	}
	kept := s.order[:0]
	for _, key := range s.order {
		e := s.changes[key]
		if s.inherit(e); e.broken != nil {
			in.leftOut(e, e.broken)
			continue
		}
		kept = append(kept, key)
		if s.master != nil {
			s.master.except.add(*e.recurrence)
		}
	}
	s.order = kept
}

// inherit gives a changed occurrence what it need not repeat.
func (s *series) inherit(e *event) {
	if m := s.master; m != nil {
		if !e.hasLength {
			e.length, e.hasLength = m.length, true
		}
		if e.Summary == "" {
			e.Summary = m.Summary
		}
		e.cancelled = e.cancelled || m.cancelled
	}
	switch at := e.recurrence.instant(); {
	case e.broken != nil:
	case e.following:
		if s.cut.IsZero() || at.Before(s.cut) {
			s.cut = at
		}
		e.broken = fmt.Errorf("changes all occurrences from %s on (RANGE=THISANDFUTURE), which cannot be followed; "+
			"they are left out: end the event there and make a new one", at.UTC().Format(time.RFC3339))
	case !e.hasLength:
		e.broken = errNoLength
	}
}

// windows are those of the series in the range. An error says that there are none for
// it, or too many.
func (s *series) windows(ctx context.Context, within maintenance.Span, most int) ([]maintenance.Window, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := finder{within: within, most: most, ctx: ctx}
	for _, key := range s.order {
		e := s.changes[key]
		f.add(s.uid+"@"+key, e, e.occurrence)
	}
	if s.master != nil {
		f.expand(s)
	}
	return f.found, f.err
}

// finder collects the windows of one series.
type finder struct {
	ctx    context.Context //nolint:containedctx // a finder lives as long as the call that has the context
	within maintenance.Span
	most   int
	found  []maintenance.Window
	err    error
}

// add adds an occurrence if it is in the range, and reports whether to go on.
func (f *finder) add(id string, e *event, o occurrence) bool {
	start, end := o.start.instant(), o.length.from(o.start)
	if !start.Before(f.within.End) || !end.After(f.within.Start) {
		return true
	}
	if len(f.found) == f.most {
		f.err = fmt.Errorf("event %q of line %d: has more than %d occurrences between %s and %s, as a rule without an end has: "+
			"give it an UNTIL, ask for a shorter time, or raise WithMaxOccurrences", shown(e.UID), e.line, f.most,
			f.within.Start.Format(time.DateOnly), f.within.End.Format(time.DateOnly))
		return false
	}
	f.found = append(f.found, maintenance.Window{
		ID: id, Title: e.title(), Start: start.UTC(), End: end.UTC(), Zone: o.start.zone.name, Cancelled: e.cancelled,
	})
	return true
}

// expand adds the occurrences that follow the event's own times and rule.
func (f *finder) expand(s *series) {
	e := s.master
	if !e.recurs() {
		if !e.except.has(e.start) {
			f.add(s.uid, e, e.occurrence)
		}
		return
	}
	seen := make(map[string]bool) // a date of the list may be one of the rule too
	add := func(o occurrence) bool {
		at := o.start.instant()
		if e.except.has(o.start) || !s.cut.IsZero() && !at.Before(s.cut) {
			return true
		}
		if !at.Before(f.within.End) || !o.length.from(o.start).After(f.within.Start) {
			return true
		}
		key := o.start.key()
		if seen[key] {
			return true
		}
		seen[key] = true
		return f.add(s.uid+"@"+key, e, o)
	}
	for _, o := range e.dates { // first, since they may have lengths of their own
		if !add(o) {
			return
		}
	}
	if e.rule == nil {
		add(e.occurrence)
		return
	}
	// Clocks show at most 15 hours more or less than UTC.
	const day = 24 * time.Hour
	last := f.within.End.UTC().Add(day)
	early := f.within.Start.UTC().Add(-2*day-e.length.elapsed).AddDate(0, 0, -e.length.days)
	n := 0
	for wall := range e.rule.walls(last) {
		if n++; n%1000 == 0 && f.ctx.Err() != nil {
			f.err = f.ctx.Err()
			return
		}
		if wall.Before(early) {
			continue // most of an old rule, without a look at its zone
		}
		o := e.occurrence
		o.start.wall = wall
		if !add(o) {
			return
		}
	}
}
