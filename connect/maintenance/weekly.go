package maintenance

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Weekly is a maintenance that recurs every week at a local time.
//
// It starts when clocks in Zone show Time and lasts Duration of elapsed time, so it may
// cross midnight and keeps its length when clocks change. If clocks skip Time, it starts
// that much later (02:30 becomes 03:30); if they show it twice, the first counts.
//
// Each occurrence is a Window with the id "<rule id>@<date>", where date is its local
// start date. A window with such an id in the same calendar replaces the occurrence: to
// move it, to cancel it, or to record its actual times.
type Weekly struct {
	ID      string
	Title   string
	Weekday time.Weekday
	// Time is the time of day as "15:04", on the 24-hour clock.
	Time string
	// Duration is positive and at most 7 days.
	Duration time.Duration
	// Zone is the IANA name of the time zone, for instance "UTC". It is required.
	Zone string
	// Except lists dates without an occurrence, as "2006-01-02".
	Except []string
	// From and Until are the dates of the first and the last possible occurrence, as
	// "2006-01-02"; "" means the years 1 and 9999.
	From, Until string
	// Source says where the rule comes from, as in Window.
	Source string
}

const (
	maxDuration = 7 * 24 * time.Hour
	dateLayout  = "2006-01-02"
	timeLayout  = "15:04"
	daySeconds  = 24 * 60 * 60
)

// Validate returns an error if the rule is invalid. Checking Zone needs time zone data.
func (r Weekly) Validate() error {
	_, err := r.compile()
	return err
}

func (r Weekly) compile() (*rule, error) {
	c, key, err := r.check()
	if err != nil {
		return nil, fmt.Errorf("maintenance: weekly rule %q: %s %w", r.ID, key, err)
	}
	return c, nil
}

// check compiles the rule, or returns the wrong key of a calendar file.
func (r Weekly) check() (c *rule, key string, err error) {
	c = &rule{Weekly: r, starts: &weeklyStarts{}}
	c.Except = slices.Clone(r.Except)
	if err := checkID(r.ID); err != nil {
		return nil, "id", err
	}
	if r.Weekday < time.Sunday || r.Weekday > time.Saturday {
		return nil, "weekday", fmt.Errorf("%d is out of range: use 0 (Sunday) to 6 (Saturday)", int(r.Weekday))
	}
	at, err := time.Parse(timeLayout, r.Time)
	if err != nil || len(r.Time) != len(timeLayout) {
		return nil, "time", fmt.Errorf(`%q is not a time of day: write it like "02:00"`, r.Time)
	}
	c.timeOfDay = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	if err := checkDuration(r.Duration); err != nil {
		return nil, "duration", err
	}
	if r.Zone == "" {
		return nil, "timezone", errors.New("is missing: name the zone of the local time, such as Europe/Berlin or UTC")
	}
	if c.loc, err = loadZone(r.Zone); err != nil {
		return nil, "timezone", err
	}
	key, err = c.compileDates()
	return c, key, err
}

func checkDuration(d time.Duration) error {
	switch {
	case d <= 0:
		return fmt.Errorf("%s is not positive", d)
	case d > maxDuration:
		return fmt.Errorf("%s is more than 7 days: split the rule", d)
	default:
		return nil
	}
}

// rule is a compiled Weekly. Occurrences are numbered by weeks since 1970; their starts and
// ends increase with the number.
type rule struct {
	Weekly
	loc         *time.Location
	timeOfDay   time.Duration
	first, last int   // bounds of the weeks, inclusive
	except      []int // weeks without an occurrence
	skip        []int // except and the weeks replaced by windows, sorted
	starts      *weeklyStarts
	margins
}

func (r *rule) compileDates() (key string, err error) {
	from, until := "0001-01-08", "9999-12-24" // a week within what RFC 3339 can write
	if r.From != "" {
		from = r.From
	}
	if r.Until != "" {
		until = r.Until
	}
	fromDay, err := parseDate(from)
	if err != nil {
		return "from", err
	}
	untilDay, err := parseDate(until)
	if err != nil {
		return "until", err
	}
	if untilDay < fromDay {
		return "until", fmt.Errorf("%s is before from, %s", until, from)
	}
	r.first = int(floorDiv(fromDay-r.dayOf(0)+6, 7))
	r.last = int(floorDiv(untilDay-r.dayOf(0), 7))
	for i, date := range r.Except {
		day, err := parseDate(date)
		if err != nil {
			return fmt.Sprintf("except[%d]", i), err
		}
		week, ok := r.weekOf(day)
		if !ok {
			return fmt.Sprintf("except[%d]", i),
				fmt.Errorf("%s is a %s, but the rule is for %ss: correct the date or the weekday",
					date, dayStart(day).Weekday(), r.Weekday)
		}
		r.except = append(r.except, week)
	}
	return "", nil
}

func parseDate(s string) (day int64, err error) {
	t, err := time.Parse(dateLayout, s)
	if err != nil {
		return 0, fmt.Errorf(`%q is not a date: write it like "2026-12-26"`, s)
	}
	return floorDiv(t.Unix(), daySeconds), nil
}

// dayStart returns the UTC midnight at which a day since 1970 starts.
func dayStart(day int64) time.Time { return time.Unix(day*daySeconds, 0).UTC() }

func (r *rule) dayOf(week int) int64 {
	// 1 January 1970 was a Thursday.
	return int64(week)*7 + int64(r.Weekday-time.Thursday+7)%7
}

// weekOf returns the week whose occurrence would be on the day.
func (r *rule) weekOf(day int64) (week int, ok bool) {
	week = int(floorDiv(day-r.dayOf(0), 7))
	return week, r.dayOf(week) == day
}

func (r *rule) start(week int) time.Time { return time.Unix(r.startUnix(week), 0).UTC() }

// startUnix returns the start in seconds since 1970; it has no fraction.
func (r *rule) startUnix(week int) int64 {
	if seconds, known := r.starts.at(week); known {
		return seconds
	}
	t, _ := wall(dayStart(r.dayOf(week)).Add(r.timeOfDay)).instants(r.loc)
	r.starts.learn(week, t.Unix())
	return t.Unix()
}

// span returns when the occurrence of the week is in effect, with margins.
func (r *rule) span(week int) Span {
	start := r.start(week)
	return r.widen(Span{Start: start, End: start.Add(r.Duration)})
}

func (r *rule) window(week int) Window {
	start := r.start(week)
	return Window{
		ID: r.ID + "@" + dayStart(r.dayOf(week)).Format(dateLayout), Title: r.Title,
		Start: start, End: start.Add(r.Duration), Zone: r.Zone, Source: r.Source,
	}
}

// firstFrom returns the first occurrence that starts at or after t, with margins.
func (r *rule) firstFrom(t time.Time) (week int, ok bool) {
	t = t.Add(r.lead)
	// The UTC date of a start is up to two days after its local date: Samoa skipped a day.
	week = max(r.first, r.weekBy(t, -2))
	for week <= r.last && (r.skips(week) || r.start(week).Before(t)) {
		week++
	}
	return week, week <= r.last
}

// lastUntil returns the last occurrence that starts at or before t, with margins.
func (r *rule) lastUntil(t time.Time) (week int, ok bool) {
	t = t.Add(r.lead)
	seconds := t.Unix()
	week = min(r.last, r.weekBy(t, 1))
	for week >= r.first && (r.skips(week) || r.startUnix(week) > seconds) {
		week--
	}
	return week, week >= r.first
}

// holdingAt returns the occurrence in effect at t: the last to start is the last to end.
func (r *rule) holdingAt(t time.Time) (o occurrence, ok bool) {
	week, ok := r.lastUntil(t)
	if !ok || t.Unix()-r.startUnix(week) > int64((r.Duration+r.tail)/time.Second)+1 { // certainly over
		return occurrence{}, false
	}
	o = occurrence{span: r.span(week), rule: r, n: week}
	return o, o.span.Contains(t)
}

// lastEnded returns the last occurrence that ends at or before t, with margins.
func (r *rule) lastEnded(t time.Time) (week int, ok bool) {
	return r.lastUntil(t.Add(-r.length()))
}

// length returns how long an occurrence is in effect, with margins.
func (r *rule) length() time.Duration { return r.lead + r.Duration + r.tail }

// occurrenceFrom returns the first occurrence from the week on that starts before to.
func (r *rule) occurrenceFrom(week int, to time.Time) occurrence {
	for r.skips(week) {
		week++
	}
	if week > r.last {
		return occurrence{}
	}
	span := r.span(week)
	if !span.Start.Before(to) {
		return occurrence{}
	}
	return occurrence{span: span, rule: r, n: week}
}

// weekBy returns the last week whose local date is at most days after the UTC date of t,
// limited to the bounds of the rule.
func (r *rule) weekBy(t time.Time, days int64) int {
	day := floorDiv(t.Unix(), daySeconds) + days
	week := floorDiv(day-r.dayOf(0), 7)
	return int(max(int64(r.first)-1, min(int64(r.last)+1, week)))
}

func (r *rule) skips(week int) bool {
	if len(r.skip) == 0 {
		return false
	}
	_, skips := slices.BinarySearch(r.skip, week)
	return skips
}

// replacing returns the rule without the occurrences whose ids are taken.
func (r *rule) replacing(taken map[string][]string) *rule {
	c := *r
	c.skip = slices.Clone(r.except)
	for _, date := range taken[r.ID] {
		if day, err := parseDate(date); err == nil {
			if week, ok := r.weekOf(day); ok {
				c.skip = append(c.skip, week)
			}
		}
	}
	slices.Sort(c.skip)
	return &c
}

func floorDiv(a, b int64) int64 {
	if q := a / b; a%b >= 0 {
		return q
	}
	return a/b - 1
}
