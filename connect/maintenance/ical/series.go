package ical

import (
	"context"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// series is everything with one UID: an event and its changed occurrences.
type series struct {
	uid     string
	master  *event
	changes map[string]*event // by the key of the occurrence that they replace
	order   []string          // their keys, as in the file
	// cut is the time from which on the rule does not hold.
	cut time.Time
}

// add keeps the latest version of each event.
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

// settle combines the events of the series. The latest version of each counts even if it is
// invalid: an older one is known to be wrong.
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

// inherit copies to a changed occurrence what it need not repeat.
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
		e.broken = fmt.Errorf("changes all occurrences from %s on (RANGE=THISANDFUTURE), which is not supported; "+
			"they are left out: end the event there and create a new one", at.UTC().Format(time.RFC3339))
	case !e.hasLength:
		e.broken = errNoLength
	}
}

// windows returns the windows of the series in the range.
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

// add adds an occurrence if it is in the range, and reports whether to continue.
func (f *finder) add(id string, e *event, o occurrence) bool {
	start, end := o.start.instant(), o.length.from(o.start)
	if !start.Before(f.within.End) || !end.After(f.within.Start) {
		return true
	}
	if len(f.found) == f.most {
		f.err = fmt.Errorf("event %q of line %d: has more than %d occurrences between %s and %s: "+
			"set an UNTIL, use a shorter range or raise WithMaxOccurrences", shown(e.UID), e.line, f.most,
			f.within.Start.Format(time.DateOnly), f.within.End.Format(time.DateOnly))
		return false
	}
	f.found = append(f.found, maintenance.Window{
		ID: id, Title: e.title(), Start: start.UTC(), End: end.UTC(), Zone: o.start.zone.name, Cancelled: e.cancelled,
	})
	return true
}

// expand adds the occurrences of the times and the rule of the event.
func (f *finder) expand(s *series) {
	e := s.master
	if !e.recurs() {
		if !e.except.has(e.start) {
			f.add(s.uid, e, e.occurrence)
		}
		return
	}
	seen := make(map[string]bool) // RDATE may repeat an occurrence of the rule
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
	for _, o := range e.dates { // first, since they may have their own length
		if !add(o) {
			return
		}
	}
	if e.rule == nil {
		add(e.occurrence)
		return
	}
	// Zones differ from UTC by at most 15 hours.
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
			continue // skips most of an old rule without computing its zone
		}
		o := e.occurrence
		o.start.wall = wall
		if !add(o) {
			return
		}
	}
}
