package ical

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// series is everything with one UID: an event, or several that share it, and its changed
// occurrences.
type series struct {
	uid      string
	masters  []*event
	master   *event // the one whose occurrences are changed; nil if its start is unknown
	changes  []*event
	replaced exceptions // by the changes
	// cut is the time from which on the rule does not hold.
	cut time.Time
}

func (s *series) add(e *event) {
	if e.replaces.id == nil {
		s.masters = append(s.masters, e)
	} else {
		s.changes = append(s.changes, e)
	}
}

// merge keeps the latest versions of the events and reads their times. The latest version counts even
// if it is invalid: an older one is known to be wrong.
func (s *series) merge() {
	kept, doubtful := latest(s.masters)
	s.masters = slices.Concat(kept, doubtful)
	for _, m := range s.masters {
		m.understand(nil)
		m.several = len(kept) > 1
	}
	for _, m := range doubtful {
		m.broken, m.several = errDoubtful(kept[0]), true
	}
	if len(kept) > 1 {
		kept[1].note("has the same UID and version as the event of line %d, which has other times: all of them are used",
			kept[0].line)
	}
	if i := slices.IndexFunc(kept, func(m *event) bool { return m.start.zone != nil }); i >= 0 {
		s.master = kept[i]
	}
	s.mergeChanges()
}

func errDoubtful(newer *event) error {
	return fmt.Errorf("has the same UID and SEQUENCE as the event of line %d, whose DTSTAMP is newer and which starts at "+
		"another time: if it is another event, it needs another UID", newer.line)
}

func (s *series) mergeChanges() {
	changes := s.changes
	s.changes = nil
	versions := make(map[string][]*event) // by the key of the occurrence
	for _, e := range changes {
		if e.broken == nil {
			e.broken = e.readRecurrence(s.master)
		}
		if e.broken != nil {
			s.changes = append(s.changes, e)
			continue
		}
		key := e.replaces.at.key()
		versions[key] = append(versions[key], e)
	}
	for _, of := range versions {
		kept, doubtful := latest(of)
		last := len(kept) - 1
		for _, e := range kept[:last] {
			e.broken = fmt.Errorf("has the same version as the event of line %d, which has other times", kept[last].line)
		}
		for _, e := range doubtful {
			e.broken = errDoubtful(kept[last])
		}
		s.change(kept[last])
		s.changes = slices.Concat(s.changes, kept, doubtful)
	}
	slices.SortFunc(s.changes, func(a, b *event) int { return cmp.Compare(a.line, b.line) })
}

// latest returns the latest version of an event, or all that are the latest if their times differ. An
// older DTSTAMP is an older version (RFC 5546 2.1.5). But since SEQUENCE ought to differ too, one that
// starts at another time may be another event, and is doubtful.
func latest(versions []*event) (kept, doubtful []*event) {
	if len(versions) < 2 {
		return versions, nil
	}
	slices.SortStableFunc(versions, (*event).compare)
	for i, e := range versions[1:] {
		e.inherit(versions[i])
	}
	last := versions[len(versions)-1]
	seen := make(map[string]*event)
	for _, e := range slices.Backward(versions) {
		start, times := e.linesOf("DTSTART"), e.linesOf("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE")
		switch twin := seen[times]; {
		case e.sequence != last.sequence:
			continue
		case twin != nil:
			twin.cancelled = twin.cancelled || e.cancelled && e.compare(twin) == 0
			continue
		case e.compare(last) == 0:
			kept = append(kept, e)
		case seen[start] == nil:
			doubtful = append(doubtful, e)
		}
		seen[start], seen[times] = e, e
	}
	slices.Reverse(kept)
	return kept, doubtful
}

// change reads a changed occurrence, which replaces the original one.
func (s *series) change(e *event) {
	m := s.master
	e.understand(m)
	if m != nil {
		if !e.hasLength {
			e.length, e.hasLength = m.length, m.hasLength
		}
		e.describeLike(m)
		e.cancelled = e.cancelled || m.cancelled
	}
	switch at := e.replaces.at.instant(); {
	case e.broken != nil:
	case e.replaces.following:
		if s.cut.IsZero() || at.Before(s.cut) {
			s.cut = at
		}
		e.broken = fmt.Errorf("changes all occurrences from %s on (RANGE=THISANDFUTURE), which is not supported; "+
			"they are left out: end the event there and create a new one", at.UTC().Format(time.RFC3339))
	case !e.hasLength:
		e.broken = errNoLength
	default:
		if m != nil {
			s.replaced.add(e.replaces.excludes, m.start.zone)
		}
	}
}

// filter keeps what the filter selects. A changed occurrence is also selected by its event.
func (s *series) filter(selects func(Event) bool) {
	rejected := func(e *event) bool { return e.torn == nil && !selects(e.Event) }
	s.masters = slices.DeleteFunc(s.masters, rejected)
	if len(s.masters) == 0 {
		s.changes = slices.DeleteFunc(s.changes, rejected)
	}
}

// exceptions are the occurrences of a series that are excluded or replaced.
type exceptions struct {
	instants map[int64]bool
	days     map[time.Time]bool
	// count has the number of instants by their date in the zone of the series.
	count map[time.Time]int
}

// add adds an exception to those of a series in the zone. A date stands for each time on it: many
// calendars write exceptions in another form than the event.
func (x *exceptions) add(m moment, zone *zone) {
	if x.instants == nil {
		x.instants, x.days, x.count = make(map[int64]bool), make(map[time.Time]bool), make(map[time.Time]int)
	}
	at := m.instant()
	switch {
	case m.date:
		x.days[m.wall] = true
	case !x.instants[at.Unix()]:
		x.instants[at.Unix()] = true
		x.count[at.Add(zone.offset(at)).Truncate(day)]++
	}
}

// matches returns the number of exceptions, 0 or 1, for an occurrence.
func (x *exceptions) matches(m moment) int {
	if x.instants[m.instant().Unix()] || x.days[m.day()] {
		return 1
	}
	return 0
}
