package ical

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wallclock"
)

//go:generate sh -c "go run genwindows.go >windowszones.new && mv windowszones.new windowszones.go"

// zones resolves the zone names of a calendar.
type zones struct {
	given    map[string]string // WithZoneName
	floating *zone             // WithFloatingZone
	hint     string            // X-WR-TIMEZONE
	rules    map[string]*component
	found    map[string]*zone
	failed   map[string]error
}

func newZones(cfg *config, c *calendar) *zones {
	z := &zones{
		given: cfg.zoneNames, floating: cfg.floating, hint: c.text("X-WR-TIMEZONE"),
		rules: make(map[string]*component), found: make(map[string]*zone), failed: make(map[string]error),
	}
	for _, rules := range c.zones {
		p, _, err := rules.one("TZID")
		if other := z.rules[p.value]; other != nil && !other.equal(rules) {
			rules.torn = fmt.Errorf("line %d defines it differently", other.line)
		}
		if err == nil {
			z.rules[p.value] = rules
		}
	}
	return z
}

// errFloating is for dates and for times without a zone.
func (z *zones) errFloating(day bool) error {
	what := "has no time zone"
	if day {
		what = "is a whole day, whose start depends on a time zone"
	}
	if z.hint != "" {
		return fmt.Errorf("%s: set WithFloatingZone (X-WR-TIMEZONE of the calendar is %q)", what, shown(z.hint))
	}
	return fmt.Errorf("%s: set WithFloatingZone", what)
}

func (z *zones) find(tzid string) (*zone, error) {
	if found := z.found[tzid]; found != nil {
		return found, nil
	}
	if err := z.failed[tzid]; err != nil {
		return nil, err
	}
	found, err := z.resolve(tzid)
	if err != nil {
		z.failed[tzid] = err
		return nil, err
	}
	z.found[tzid] = found
	return found, nil
}

// resolve returns the zone of WithZoneName, else the one that is known by the name or defined in the
// calendar. If there are both, a place such as Europe/Berlin is what it is known as, since definitions
// become outdated; other names, such as "GMT" or "W. Europe Standard Time", are what they are defined as.
func (z *zones) resolve(tzid string) (*zone, error) {
	if name, ok := z.given[tzid]; ok {
		return loadZone(name)
	}
	known, c := knownZone(tzid), z.rules[tzid]
	if c == nil && known == nil {
		return nil, fmt.Errorf("has the unknown time zone %q, which the calendar does not define: %s", shown(tzid), mapIt)
	}
	if c == nil {
		return known, nil
	}
	defined, err := compileZone(c)
	if err != nil && known == nil {
		return nil, fmt.Errorf("has the time zone %q, whose definition cannot be used (%w): %s", shown(tzid), err, mapIt)
	}
	switch {
	case defined == nil:
		return known, nil
	case known == nil:
		return defined, nil
	case strings.Contains(tzid, "/"):
		known.other, known.conflict = defined.offset, errConflict(tzid, known.name, "the zone of that name")
		return known, nil
	default:
		defined.other, defined.conflict = known.offset, errConflict(tzid, known.name, "the definition")
		return defined, nil
	}
}

func errConflict(tzid, name, used string) error {
	return fmt.Errorf("the calendar defines the time zone %q, but not as %s: %s is used; if it is wrong, use WithZoneName",
		shown(tzid), name, used)
}

const mapIt = `map it to an IANA zone by WithZoneName (a machine without time zone data needs import _ "time/tzdata")`

// knownZone returns the zone of an IANA name, which may have a prefix that makes it globally unique
// (/example.org/20260101_1/Europe/Berlin), or of a name of Windows, which Outlook also writes as
// "tzone://Microsoft/Utc"; nil if it is unknown.
func knownZone(tzid string) *zone {
	names := []string{tzid, windowsZones[strings.ToLower(strings.TrimPrefix(tzid, "tzone://Microsoft/"))]}
	if parts := strings.Split(tzid, "/"); strings.HasPrefix(tzid, "/") {
		for n := min(3, len(parts)-1); n > 0; n-- {
			names = append(names, strings.Join(parts[len(parts)-n:], "/"))
		}
	}
	for _, name := range names {
		if found, err := loadZone(name); err == nil {
			return found
		}
	}
	return nil
}

// loadZone returns the zone of an IANA name.
func loadZone(name string) (*zone, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("time zone %q is not an IANA name such as Europe/Berlin", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is unknown: use an IANA name such as Europe/Berlin"+
			` (a machine without time zone data needs import _ "time/tzdata")`, shown(name))
	}
	return &zone{name: loc.String(), offset: func(t time.Time) time.Duration { return wallclock.Offset(t, loc) }}, nil
}

// onset is an instant at which the offset changes.
type onset struct {
	at     time.Time
	offset time.Duration
	before time.Duration
}

const (
	// Zone rules are expanded from this year to the last year of an event.
	firstOnset = 1970
	// maxOnsets is far more than two per year.
	maxOnsets = 5000
)

// compileZone compiles a VTIMEZONE, with which Outlook defines "W. Europe Standard Time".
func compileZone(c *component) (*zone, error) {
	var onsets []onset
	for _, part := range c.parts {
		if part.name != "STANDARD" && part.name != "DAYLIGHT" {
			continue
		}
		more, err := compileOnsets(part)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", part.line, err)
		}
		if onsets = append(onsets, more...); len(onsets) > maxOnsets {
			return nil, fmt.Errorf("line %d: has more than %d changes", part.line, maxOnsets)
		}
	}
	if c.torn != nil {
		return nil, c.torn
	}
	if len(onsets) == 0 {
		return nil, errors.New("has neither STANDARD nor DAYLIGHT")
	}
	slices.SortStableFunc(onsets, func(a, b onset) int { return a.at.Compare(b.at) })
	return &zone{offset: func(t time.Time) time.Duration {
		i, found := slices.BinarySearchFunc(onsets, t, func(o onset, t time.Time) int { return o.at.Compare(t) })
		switch {
		case found:
			for i+1 < len(onsets) && onsets[i+1].at.Equal(t) {
				i++
			}
			return onsets[i].offset
		case i == 0:
			return onsets[0].before
		default:
			return onsets[i-1].offset
		}
	}}, nil
}

// observance is one STANDARD or DAYLIGHT.
type observance struct {
	start    time.Time // local time before the change
	rrule    string
	dates    []time.Time
	from, to time.Duration
	has      map[string]bool
}

func compileOnsets(part *component) ([]onset, error) {
	o := observance{has: make(map[string]bool)}
	for _, l := range part.lines {
		p, err := l.property()
		if err == nil {
			err = o.read(p)
		}
		if err != nil {
			return nil, err
		}
		o.has[p.name] = true
	}
	if !o.has["DTSTART"] || !o.has["TZOFFSETFROM"] || !o.has["TZOFFSETTO"] {
		return nil, fmt.Errorf("%s needs DTSTART, TZOFFSETFROM and TZOFFSETTO", part.name)
	}
	readings, err := o.readings()
	if err != nil {
		return nil, err
	}
	onsets := make([]onset, 0, len(readings))
	for _, r := range readings {
		onsets = append(onsets, onset{at: r.Add(-o.from), offset: o.to, before: o.from})
	}
	return onsets, nil
}

func (o *observance) read(p property) (err error) {
	switch p.name {
	case "DTSTART":
		o.start, err = time.Parse(localLayout, p.value)
	case "TZOFFSETFROM":
		o.from, err = parseOffset(p.value)
	case "TZOFFSETTO":
		o.to, err = parseOffset(p.value)
	case "RRULE":
		o.rrule = p.value
	case "RDATE":
		for value := range strings.FieldsFuncSeq(p.value, func(c rune) bool { return c == ',' }) {
			at, bad := time.Parse(localLayout, value)
			err = cmp.Or(err, bad)
			if o.dates = append(o.dates, at); len(o.dates) > maxOnsets {
				return fmt.Errorf("has more than %d changes", maxOnsets)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s %q cannot be read", p.name, shown(p.value))
	}
	return nil
}

// readings returns the local times of the changes.
func (o *observance) readings() ([]time.Time, error) {
	readings := append(o.dates, o.start)
	if o.rrule == "" {
		return readings, nil
	}
	before := &zone{offset: func(time.Time) time.Duration { return o.from }}
	start := moment{wall: o.start, zone: before}
	rule, err := parseRule(o.rrule, start)
	if err != nil {
		return nil, err
	}
	if year := start.wall.Year(); year < firstOnset && rule.everyYear() {
		// A multiple of four years keeps the 29th of February.
		start.wall = start.wall.AddDate((firstOnset-year)/4*4, 0, 0)
		if rule, err = parseRule(o.rrule, start); err != nil {
			return nil, err
		}
	}
	for wall := range rule.walls(time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, time.UTC)) {
		if readings = append(readings, wall); len(readings) > maxOnsets {
			return nil, fmt.Errorf("has more than %d changes", maxOnsets)
		}
	}
	return readings, nil
}

// parseOffset parses an offset such as +0100 or -053000.
func parseOffset(value string) (time.Duration, error) {
	layout := "-0700"
	if len(value) == len("-070000") {
		layout = "-070000"
	}
	t, err := time.Parse(layout, value)
	if err != nil {
		return 0, err
	}
	offset := wallclock.Offset(t, t.Location())
	if offset.Abs() >= day { // time.Parse accepts +2400
		return 0, errors.New("is a day or more")
	}
	return offset, nil
}
