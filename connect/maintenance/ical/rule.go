package ical

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// rule is an RRULE with its start.
//
// rrule-go expands dates, on local times as if they were UTC; the zone handles times that
// clocks skip or show twice. The code around it works around its differences from
// RFC 5545:
//   - it panics on BYDAY=6MO in a month and on BYEASTER, and runs out of memory on long
//     lists of hours: such rules are rejected;
//   - it accepts INTERVAL=0, COUNT=0, repeated parts, and meaningless numbers in BYDAY:
//     rejected;
//   - it ignores MO in BYDAY=MO,2TU: plain days are written out;
//   - BYWEEKNO is wrong for weeks that span two years, and alone it selects all days of a
//     week instead of that of DTSTART: implemented here;
//   - BYSETPOS counts from DTSTART in its week: the expansion starts with the week;
//   - DTSTART is neither an occurrence nor counted unless the rule selects it;
//   - for a rule without any date it searches to the year 9999: see expand.
type rule struct {
	text   string
	option rrule.ROption
	start  moment
	count  int   // 0: no limit
	weeks  []int // BYWEEKNO
	// until is the last local time of an occurrence, untilInstant the last instant.
	until, untilInstant time.Time
}

const (
	maxInterval = 1000
	// maxPerDay limits what BYHOUR and BYMINUTE add to a daily rule.
	maxPerDay  = 24
	maxRuleLen = 1000
)

func (r *rule) String() string { return shown(r.text) }

// parseRule parses an RRULE and rejects what is not supported.
func parseRule(text string, start moment) (*rule, error) {
	r := &rule{text: text, start: start}
	if err := r.parse(); err != nil {
		return nil, fmt.Errorf("RRULE %q: %w", shown(text), err)
	}
	return r, nil
}

func (r *rule) parse() error {
	if len(r.text) > maxRuleLen {
		return fmt.Errorf("is longer than %d bytes", maxRuleLen)
	}
	parts, err := splitRule(r.text)
	if err != nil {
		return err
	}
	var days []string // the parts for rrule-go
	for key, value := range parts {
		switch key {
		case "COUNT":
			r.count, err = atLeastOne(key, value, 1<<31-1)
		case "UNTIL":
			err = r.parseUntil(value)
		case "INTERVAL":
			_, err = atLeastOne(key, value, maxInterval)
			days = append(days, key+"="+value)
		case "BYHOUR", "BYMINUTE", "BYSECOND":
			if !r.start.date { // ignored for dates, RFC 5545 3.3.10
				days = append(days, key+"="+value)
			}
		default:
			days = append(days, key+"="+value)
		}
		if err != nil {
			return err
		}
	}
	if parts["COUNT"] != "" && parts["UNTIL"] != "" {
		return errors.New("has both COUNT and UNTIL, of which a rule may have one")
	}
	option, err := rrule.StrToROption(strings.Join(days, ";"))
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	r.option = *option
	if err := r.check(); err != nil {
		return err
	}
	r.mend()
	// It is made again for each expansion; here it says whether it can be.
	r.option.Dtstart = r.start.wall
	_, err = rrule.NewRRule(r.option)
	return err
}

// splitRule reads the parts of a rule, in capitals. Empty parts and empty elements have no meaning.
func splitRule(text string) (map[string]string, error) {
	known := []string{
		"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS", "BYMONTH", "BYMONTHDAY",
		"BYYEARDAY", "BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND",
	}
	parts := make(map[string]string)
	for part := range strings.SplitSeq(strings.ToUpper(text), ";") {
		key, value, found := strings.Cut(part, "=")
		value = strings.Trim(value, ",")
		switch {
		case part == "":
			continue
		case !found:
			return nil, fmt.Errorf("%q is not of the form NAME=VALUE", shown(part))
		case !slices.Contains(known, key):
			return nil, fmt.Errorf("%q is not a part of a rule in RFC 5545", shown(key))
		case value == "":
			continue
		case parts[key] != "":
			return nil, fmt.Errorf("has %s twice", key)
		}
		parts[key] = value
	}
	switch freq := parts["FREQ"]; freq {
	case "YEARLY", "MONTHLY", "WEEKLY", "DAILY":
		return parts, nil
	case "HOURLY", "MINUTELY", "SECONDLY":
		return nil, fmt.Errorf("FREQ=%s is finer than DAILY, which is refused: write the hours of a day with BYHOUR", freq)
	default:
		return nil, fmt.Errorf("FREQ=%s is none of DAILY, WEEKLY, MONTHLY and YEARLY", shown(freq))
	}
}

func atLeastOne(key, value string, most int) (int, error) {
	n, err := number.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s=%s is not a number from 1 to %d", key, shown(value), most)
	}
	return n, nil
}

// parseUntil parses UNTIL. RFC 5545 3.3.10 requires the form of DTSTART, in UTC if that has a
// zone; calendars use all forms. A date includes its whole day. For whole days, UTC counts in their zone.
func (r *rule) parseUntil(value string) (err error) {
	switch len(value) {
	case len(dateLayout):
		r.until, err = time.Parse(dateLayout, value)
		r.until = r.until.Add(24*time.Hour - time.Second)
	case len(localLayout):
		r.until, err = time.Parse(localLayout, value)
	default:
		r.untilInstant, err = time.Parse(utcLayout, value)
		if err == nil && r.start.date { // Outlook writes the last midnight
			r.until, r.untilInstant = r.start.zone.dayOf(r.untilInstant), time.Time{}
		}
	}
	if err != nil {
		return fmt.Errorf("UNTIL=%s is not a time: it must look like 20261231T235959Z or 20261231", shown(value))
	}
	if max(r.until.Year(), r.untilInstant.Year()) < firstYear { // the zero time of .NET and Go
		return fmt.Errorf("UNTIL=%s is before the year %d: does the rule have no end?", shown(value), firstYear)
	}
	return nil
}

// check rejects what is invalid by RFC 5545 3.3.10.
func (r *rule) check() error {
	o := &r.option
	numbered := slices.ContainsFunc(o.Byweekday, func(d rrule.Weekday) bool { return d.N() != 0 })
	switch {
	case o.Wkst.N() != 0:
		return errors.New("WKST is not a day of the week")
	case len(o.Byweekno) > 0 && o.Freq != rrule.YEARLY:
		return errors.New("BYWEEKNO is for FREQ=YEARLY only")
	case len(o.Byyearday) > 0 && o.Freq != rrule.YEARLY:
		return errors.New("BYYEARDAY is for FREQ=YEARLY only")
	case len(o.Bymonthday) > 0 && o.Freq == rrule.WEEKLY:
		return errors.New("BYMONTHDAY is not for FREQ=WEEKLY")
	case len(o.Byweekno) > 0 && (o.Interval > 1 || len(o.Bysetpos) > 0):
		return errors.New("BYWEEKNO cannot go with INTERVAL or BYSETPOS: RFC 5545 does not say to which year its days belong")
	case numbered && o.Freq != rrule.YEARLY && o.Freq != rrule.MONTHLY:
		return errors.New("BYDAY with numbers is for FREQ=MONTHLY and YEARLY only")
	case numbered && len(o.Byweekno) > 0:
		return errors.New("BYDAY with numbers is not for rules with BYWEEKNO")
	}
	for _, d := range o.Byweekday {
		if most := r.mostWeeks(); d.N() > most || d.N() < -most {
			return fmt.Errorf("BYDAY=%s is more than %d weeks", d, most)
		}
	}
	if slices.ContainsFunc(o.Byweekno, func(n int) bool { return n == 0 || n > 53 || n < -53 }) {
		return errors.New("BYWEEKNO has a week that is not from 1 to 53 or from -1 to -53")
	}
	for _, list := range []*[]int{&o.Byhour, &o.Byminute, &o.Bysecond, &o.Bysetpos} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if n := max(1, len(o.Byhour)) * max(1, len(o.Byminute)) * max(1, len(o.Bysecond)); n > maxPerDay {
		return fmt.Errorf("is %d times a day, more than %d", n, maxPerDay)
	}
	return nil
}

// mostWeeks returns the highest number in BYDAY.
func (r *rule) mostWeeks() int {
	if r.option.Freq == rrule.MONTHLY || len(r.option.Bymonth) > 0 {
		return 5
	}
	return 53
}

// mend rewrites what rrule-go handles differently.
func (r *rule) mend() {
	o := &r.option
	if r.weeks, o.Byweekno = o.Byweekno, nil; len(r.weeks) > 0 &&
		len(o.Byweekday) == 0 && len(o.Bymonthday) == 0 && len(o.Byyearday) == 0 {
		o.Byweekday = []rrule.Weekday{weekdays[r.start.wall.Weekday()]}
	}
	if o.Freq == rrule.WEEKLY && len(o.Byweekday) == 0 {
		o.Byweekday = []rrule.Weekday{weekdays[r.start.wall.Weekday()]}
	}
	plain := func(d rrule.Weekday) bool { return d.N() == 0 }
	if !slices.ContainsFunc(o.Byweekday, plain) || !slices.ContainsFunc(o.Byweekday,
		func(d rrule.Weekday) bool { return !plain(d) }) {
		return
	}
	var all []rrule.Weekday
	for _, d := range o.Byweekday {
		if !plain(d) {
			all = append(all, d)
			continue
		}
		for n := 1; n <= r.mostWeeks(); n++ {
			all = append(all, d.Nth(n))
		}
	}
	o.Byweekday = all
}

var weekdays = [...]rrule.Weekday{rrule.SU, rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA}

// everyYear reports whether the rule may start in any year.
func (r *rule) everyYear() bool {
	return r.option.Freq == rrule.YEARLY && r.option.Interval <= 1 && r.count == 0
}

// walls iterates over the local start times up to last, in order, without repeats. DTSTART is
// the first even if the rule does not select it (RFC 5545 3.8.5.3). An UNTIL before DTSTART
// leaves none; Google writes that for a deleted series.
func (r *rule) walls(last time.Time) iter.Seq[time.Time] {
	if end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC); last.After(end) {
		last = end
	}
	if !r.until.IsZero() && r.until.Before(last) {
		last = r.until
	}
	return func(yield func(time.Time) bool) {
		if r.start.wall.After(last) || r.ended(r.start.wall) || !yield(r.start.wall) {
			return
		}
		n := 1
		for wall := range r.expand(last) {
			if r.count > 0 && n >= r.count {
				return
			}
			if n++; r.ended(wall) || !yield(wall) {
				return
			}
		}
	}
}

// gregorian is the number of years after which the calendar repeats, with weekdays.
const gregorian = 400

// expand iterates over the local times after DTSTART, ignoring the end of the rule.
//
// It computes close to the year 9999, where rrule-go stops searching: for a rule without any
// date, such as the 30th of February, that is after 400 years at most instead of 8000.
func (r *rule) expand(last time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		years := (9999 - last.Year()) / gregorian * gregorian
		o := r.option
		o.Dtstart, o.Until = r.first().AddDate(years, 0, 0), last.AddDate(years, 0, 0)
		expansion, err := rrule.NewRRule(o)
		if err != nil { // parseRule has checked it
			return
		}
		next := expansion.Iterator()
		for wall, ok := next(); ok; wall, ok = next() {
			wall = wall.AddDate(-years, 0, 0)
			if wall.After(r.start.wall) && r.inWeek(wall) && !yield(wall) {
				return
			}
		}
	}
}

// first returns DTSTART, or the same time on the first day of its week.
func (r *rule) first() time.Time {
	if r.option.Freq == rrule.WEEKLY {
		return r.start.wall.AddDate(0, 0, -r.sinceWeekStart(r.start.wall))
	}
	return r.start.wall
}

func (r *rule) sinceWeekStart(day time.Time) int {
	return (int(day.Weekday()) + 6 - r.option.Wkst.Day() + 7) % 7 // rrule-go counts from Monday
}

// inWeek reports whether BYWEEKNO selects the week of a day.
func (r *rule) inWeek(day time.Time) bool {
	if len(r.weeks) == 0 {
		return true
	}
	n, middle := r.weekNumber(day)
	// The 28th of December is in the last week of its year, whenever weeks begin.
	of, _ := r.weekNumber(time.Date(middle.Year(), time.December, 28, 0, 0, 0, 0, time.UTC))
	return slices.Contains(r.weeks, n) || slices.Contains(r.weeks, n-of-1)
}

// weekNumber numbers weeks as ISO 8601 does, but starting with WKST. A week belongs to the
// year of its middle.
func (r *rule) weekNumber(day time.Time) (n int, middle time.Time) {
	middle = day.AddDate(0, 0, 3-r.sinceWeekStart(day))
	return (middle.YearDay()-1)/7 + 1, middle
}

func (r *rule) ended(wall time.Time) bool {
	return !r.untilInstant.IsZero() && r.start.zone.instant(wall).After(r.untilInstant)
}
