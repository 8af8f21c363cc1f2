package ical

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/wallclock"
)

// zone is a time zone.
type zone struct {
	name     string // the IANA name for display, or ""
	offset   func(time.Time) time.Duration
	other    func(time.Time) time.Duration // of the other zone of that name, if there are two
	conflict error
}

// doubt returns the conflict with the other zone of that name if they differ at one of the times.
func (z *zone) doubt(times ...time.Time) error {
	for _, t := range times {
		if z.other != nil && z.other(t) != z.offset(t) {
			return z.conflict
		}
	}
	return nil
}

var utc = &zone{offset: func(time.Time) time.Duration { return 0 }}

// instant returns when clocks show the reading, which is given as if it were UTC.
func (z *zone) instant(reading time.Time) time.Time {
	at, _ := wallclock.Instants(reading, z.offset)
	return at
}

// dayOf returns the whole day, in the zone, that a time in UTC stands for. 000000Z and 235959Z are
// the date that they show: many programs write dates in that form.
func (z *zone) dayOf(at time.Time) time.Time {
	if clock := at.Format("150405"); clock != "000000" && clock != "235959" {
		at = at.Add(z.offset(at))
	}
	return at.Truncate(day)
}

// moment is a time as calendars write it: a local time in a zone.
type moment struct {
	wall   time.Time // the local time, as if it were UTC
	zone   *zone     // nil if it is not known yet
	date   bool      // a date without a time
	floats bool      // a time that is written without a zone
}

const day = 24 * time.Hour

// day returns the local date.
func (m moment) day() time.Time { return m.wall.Truncate(day) }

func (m moment) instant() time.Time { return m.zone.instant(m.wall) }

const (
	dateLayout  = "20060102"
	localLayout = "20060102T150405"
	utcLayout   = "20060102T150405Z"
	// Apple writes birthdays without a year as of 1604, and Outlook starts time zones
	// in 1601. Other years are mistakes.
	firstYear, lastYear = 1601, 2199
)

// key returns the moment as in the ids of occurrences.
func (m moment) key() string {
	if m.date {
		return m.wall.Format(dateLayout)
	}
	return m.instant().Format(utcLayout)
}

// checkYear rejects years that are certainly mistakes.
func (m moment) checkYear(name string) error {
	if year := m.wall.Year(); year < firstYear || year > lastYear {
		return fmt.Errorf("%s %q is not between the years %d and %d", name, m.key(), firstYear, lastYear)
	}
	return nil
}

// moment parses a DATE or a DATE-TIME (RFC 5545 3.3.4 and 3.3.5). Dates, and times without a zone, have
// none yet.
func (z *zones) moment(p property) (moment, error) {
	m, err := z.parseMoment(p.value, p.params["TZID"])
	if err != nil {
		return m, fmt.Errorf("%s %w", p.name, err)
	}
	return m, nil
}

func (z *zones) parseMoment(value, tzid string) (moment, error) {
	m := moment{date: len(value) == len(dateLayout)}
	var err error
	switch {
	case m.date:
		m.wall, err = time.Parse(dateLayout, value)
		tzid = "" // which a date does not have
	case strings.HasSuffix(value, "Z"):
		m.wall, err = time.Parse(utcLayout, value)
		m.zone = utc
	default:
		m.wall, err = time.Parse(localLayout, value)
	}
	if err != nil || strings.ContainsAny(value, ".,") { // time.Parse accepts fractions
		return m, fmt.Errorf("%q is not a time: it must look like 20260110, 20260110T020000 or 20260110T020000Z",
			shown(value))
	}
	if m.zone == nil && tzid != "" {
		m.zone, err = z.find(tzid)
	}
	return m, err
}

// length is a duration: calendar days, then elapsed time (RFC 5545 3.3.6).
type length struct {
	days    int
	elapsed time.Duration
}

// from returns the end of an occurrence that starts at m.
func (l length) from(m moment) time.Time {
	if l.days == 0 {
		return m.instant().Add(l.elapsed)
	}
	return m.zone.instant(m.wall.AddDate(0, 0, l.days)).Add(l.elapsed)
}

// between returns the length from one moment to another. It must not depend on how a time without a
// zone is read.
func between(start, end moment) (length, error) {
	if start.date != end.date {
		return length{}, errors.New("DTSTART and DTEND must both be days or both be times")
	}
	if at := end.instant(); end.floats && !start.floats && start.zone == utc ||
		start.floats && !end.floats && end.zone.offset(at) != start.zone.offset(at) {
		return length{}, errors.New("has a time without a zone and one with: its length is uncertain")
	}
	l := length{elapsed: end.instant().Sub(start.instant())}
	if start.date {
		l = length{days: int(end.wall.Sub(start.wall) / day)}
		if end == start { // as Google and Evolution write a single day
			l.days = 1
		}
	}
	if l.days < 0 || l.elapsed < 0 || l == (length{}) {
		return l, fmt.Errorf("ends at %s, which is not after its start at %s", end.key(), start.key())
	}
	return l, l.check()
}

// check rejects lengths that are certainly mistakes.
func (l length) check() error {
	if l.days > maxDays || l.elapsed > maxDays*24*time.Hour {
		return fmt.Errorf("lasts more than %d days", maxDays)
	}
	return nil
}

const maxDays = 366

// parseLength parses a DURATION. It accepts weeks with days, as RFC 2445 does.
func parseLength(value string) (length, error) {
	bad := fmt.Errorf("DURATION %q is invalid: it must look like PT3H, P1DT2H30M or P2W", shown(value))
	text, ok := strings.CutPrefix(strings.TrimPrefix(strings.ToUpper(value), "+"), "P")
	if !ok {
		return length{}, bad
	}
	days, clock, timed := strings.Cut(text, "T")
	if timed && clock == "" {
		return length{}, bad
	}
	d, ok1 := units(days, "WD", []int{7, 1})
	s, ok2 := units(clock, "HMS", []int{3600, 60, 1})
	if !ok1 || !ok2 || text == "" {
		return length{}, bad
	}
	l := length{days: d, elapsed: time.Duration(s) * time.Second}
	if l == (length{}) {
		return l, fmt.Errorf("DURATION %q is zero", value)
	}
	return l, l.check()
}

// units adds numbers with their unit letters, in the order of letters.
func units(text, letters string, worth []int) (sum int, ok bool) {
	for text != "" {
		end := strings.IndexAny(text, letters)
		if end < 1 || end > 6 {
			return 0, false
		}
		n, err := number.ParseUint(text[:end], 10, 32)
		if err != nil {
			return 0, false
		}
		at := strings.IndexByte(letters, text[end])
		sum += int(n) * worth[at]
		letters, worth = letters[at+1:], worth[at+1:]
		text = text[end+1:]
	}
	return sum, true
}
