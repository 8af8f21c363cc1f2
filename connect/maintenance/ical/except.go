package ical

import "time"

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
