package ical

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Event is a calendar event as a filter sees it, see [WithFilter].
type Event struct {
	UID         string
	Summary     string
	Description string
	Location    string
	Categories  []string
}

// occurrence is one time of an event.
type occurrence struct {
	start  moment
	length length
}

// event is a VEVENT. It is read in two steps: what identifies it, and its times, which depend on
// the event whose occurrence it replaces.
type event struct {
	Event
	line       int
	*component // nil once the event is read
	zones      *zones

	sequence  int
	stamp     string // DTSTAMP
	cancelled bool
	replaces  replacement

	occurrence
	base      *zone // of local times without a zone
	hasLength bool  // else it has that of the event whose occurrence it replaces
	rule      *rule
	dates     []occurrence // RDATE; those without a length have that of the event
	except    exceptions
	several   bool  // others have the same UID
	broken    error // why it is invalid
	odd       []oddity
}

// replacement is the occurrence of another event with the same UID that an event replaces.
type replacement struct {
	id        *property // RECURRENCE-ID; nil if it replaces none
	at        moment
	excludes  moment // the same, or all of its day
	following bool   // it also replaces all that follow
}

// oddity is a problem of an event that is used nevertheless.
type oddity struct {
	kind, err error
	leftOut   string // the id of the window that is left out
}

// note adds an oddity that makes times uncertain.
func (e *event) note(format string, args ...any) {
	e.odd = append(e.odd, oddity{kind: maintenance.ErrUncertain, err: fmt.Errorf(format, args...)})
}

// identify reads what identifies and describes an event, without its times.
func identify(c *component, method string, zones *zones) *event {
	e := &event{line: c.line, component: c, zones: zones, broken: c.torn}
	uid, found, err := e.one("UID")
	if err == nil && !found {
		err = errors.New("has no UID")
	}
	e.broken = cmp.Or(e.broken, err)
	e.UID = uid.value
	e.Summary, e.Description, e.Location = e.text("SUMMARY"), e.text("DESCRIPTION"), e.text("LOCATION")
	for list := range e.texts("CATEGORIES") {
		for name := range strings.SplitSeq(list, ",") {
			e.Categories = append(e.Categories, strings.TrimSpace(name))
		}
	}
	e.stamp = e.text("DTSTAMP")
	status := strings.ToUpper(e.text("STATUS"))
	e.cancelled = strings.EqualFold(method, "CANCEL") || status == "CANCELLED" || status == "CANCELED"
	e.readSequence()
	p, found, err := e.one("RECURRENCE-ID")
	switch {
	case found:
		e.replaces.id = &p
		e.replaces.following = strings.EqualFold(p.params["RANGE"], "THISANDFUTURE")
	case err == nil && e.linesOf("RECURRENCE-ID") != "":
		err = errors.New("has an empty RECURRENCE-ID")
	}
	e.broken = cmp.Or(e.broken, err)
	return e
}

// text returns the first text of a property.
func (e *event) text(name string) string {
	for text := range e.texts(name) {
		return text
	}
	return ""
}

func (e *event) readSequence() {
	p, found, err := e.one("SEQUENCE")
	if found {
		e.sequence, err = number.Atoi(p.value)
		if err != nil || e.sequence < 0 {
			e.sequence, err = 0, fmt.Errorf("SEQUENCE %q is not a number", shown(p.value))
		}
	}
	if err != nil {
		e.note("%w: it counts as 0", err)
	}
}

// linesOf returns the lines of some properties, to compare the event with other versions.
func (e *event) linesOf(names ...string) string {
	var lines []string
	for _, l := range e.lines {
		if slices.Contains(names, l.topic) {
			lines = append(lines, l.text)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// inherit copies from an older version what the event need not repeat (RFC 5546 3.2.5).
func (e *event) inherit(older *event) {
	e.describeLike(older)
	if e.cancelled && !e.has("DTSTART") {
		e.component, e.zones = older.component, older.zones
	}
}

func (e *event) describeLike(other *event) {
	e.Summary = cmp.Or(e.Summary, other.Summary)
	e.Description, e.Location = cmp.Or(e.Description, other.Description), cmp.Or(e.Location, other.Location)
	if len(e.Categories) == 0 {
		e.Categories = other.Categories
	}
}

// understand reads the times of an event that is valid so far. master is the event whose occurrence
// it replaces; nil if there is none.
func (e *event) understand(master *event) {
	if e.broken == nil {
		e.broken = e.readTimes(master)
	}
}

func (e *event) readTimes(master *event) error {
	if master != nil {
		e.base = master.start.zone
	}
	if _, found, err := e.one("EXRULE"); found || err != nil {
		return errors.New("has an EXRULE, which RFC 5545 removed: use EXDATE")
	}
	if err := e.readStart(); err != nil {
		return err
	}
	e.base = cmp.Or(e.base, e.start.zone)
	if err := e.readLength(); err != nil {
		return err
	}
	if e.replaces.id == nil {
		return e.readRepeats()
	}
	if e.has("RRULE") || e.has("RDATE") {
		e.note("replaces an occurrence (RECURRENCE-ID) and cannot recur itself: " +
			"its RRULE and RDATE are ignored")
	}
	return nil
}

// readRecurrence reads RECURRENCE-ID in the form of the event whose occurrence it is, if there is one.
func (e *event) readRecurrence(master *event) (err error) {
	if master == nil {
		e.replaces.at, err = e.moment(*e.replaces.id)
		e.replaces.excludes = e.replaces.at
		return err
	}
	e.base = master.start.zone
	e.replaces.at, err = e.like(master.start, *e.replaces.id)
	e.replaces.excludes = e.replaces.at
	if day := e.replaces.at; day.date && !master.start.date { // the occurrence of that day
		e.replaces.at = moment{wall: day.wall.Add(master.start.wall.Sub(master.start.day())), zone: master.start.zone}
	}
	return err
}

func (e *event) readStart() error {
	p, found, err := e.one("DTSTART")
	switch {
	case err != nil:
		return err
	case found:
		if e.start, err = e.moment(p); err != nil {
			return err
		}
		return e.start.checkYear("DTSTART")
	case e.replaces.id != nil && e.cancelled: // a cancellation need not repeat it
		e.start = e.replaces.at
		return nil
	default:
		return errors.New("has no DTSTART")
	}
}

// moment parses a property whose value is one time. A local time without a zone is in that of the event.
func (e *event) moment(p property) (moment, error) {
	m, err := e.zones.moment(p)
	if err != nil || m.zone != nil {
		return m, err
	}
	if m.date {
		m.zone = cmp.Or(e.zones.floating, e.base)
	} else {
		m.zone, m.floats = cmp.Or(e.base, e.zones.floating), true
	}
	if m.zone == nil {
		return m, fmt.Errorf("%s %w", p.name, e.zones.errFloating(m.date))
	}
	return m, nil
}

// like parses an exception in the form of the start of a series: calendars write those of whole days as
// times.
func (e *event) like(start moment, p property) (moment, error) {
	m, err := e.moment(p)
	if err != nil || !start.date || m.date {
		return m, err
	}
	day := moment{wall: m.day(), zone: start.zone, date: true}
	if m.zone == utc {
		day.wall = start.zone.dayOf(m.wall)
		if midnight := day.instant(); !midnight.Equal(m.wall) && !m.wall.Equal(m.day()) {
			e.note("%s %s is not midnight in the zone of whole days, where it counts as %s: check WithFloatingZone",
				p.name, p.value, day.key())
		}
	}
	return day, nil
}

// errNoLength is for events that end when they start (RFC 5545 3.6.1).
var errNoLength = errors.New("has neither DTEND nor DURATION, so it has no length")

func (e *event) readLength() error {
	end, ends, err := e.one("DTEND")
	if err != nil {
		return err
	}
	duration, lasts, err := e.one("DURATION")
	if err != nil {
		return err
	}
	var byDuration length
	if lasts {
		byDuration, err = parseLength(duration.value)
	}
	if ends && err != nil {
		e.note("%w: its DTEND is used", err)
		lasts, err = false, nil
	}
	e.hasLength = true
	switch {
	case err != nil:
		return err
	case ends:
		if e.length, err = e.until(end); err != nil || !lasts {
			return err
		}
		if !e.length.from(e.start).Equal(byDuration.from(e.start)) {
			return errors.New("has both DTEND and DURATION, which differ")
		}
		return nil
	case lasts:
		e.length = byDuration
		return nil
	case e.start.date: // RFC 5545 3.6.1
		e.length = length{days: 1}
		return nil
	}
	e.hasLength = false
	if e.replaces.id == nil {
		return errNoLength
	}
	return nil
}

func (e *event) until(p property) (length, error) {
	end, err := e.moment(p)
	if err != nil {
		return length{}, err
	}
	return between(e.start, end)
}

func (e *event) readRepeats() error {
	rrule, found, err := e.one("RRULE")
	if err != nil {
		return err
	}
	if found {
		if e.rule, err = parseRule(rrule.value, e.start); err != nil {
			return err
		}
	}
	for value, err := range e.listed("RDATE") {
		var o occurrence
		if err == nil {
			o, err = e.date(value)
		}
		if err != nil {
			err = fmt.Errorf("%w: that date is left out", err)
			e.odd = append(e.odd, oddity{maintenance.ErrIncomplete, err, e.UID + "@" + value.value})
			continue
		}
		e.dates = append(e.dates, o)
	}
	for value, err := range e.listed("EXDATE") {
		if err != nil {
			return err
		}
		m, err := e.like(e.start, value)
		if err != nil {
			return err // which occurrences there are is uncertain
		}
		e.except.add(m, e.start.zone)
	}
	return nil
}

// listed iterates over the values in the lists of a property, skipping empty ones.
func (e *event) listed(name string) iter.Seq2[property, error] {
	return func(yield func(property, error) bool) {
		for p, err := range e.all(name) {
			if err != nil && !yield(p, err) {
				return
			}
			for value := range strings.SplitSeq(p.value, ",") {
				p.value = strings.TrimSpace(value)
				if p.value != "" && !yield(p, nil) {
					return
				}
			}
		}
	}
}

// date reads one value of an RDATE: a time, a date or a period.
func (e *event) date(p property) (occurrence, error) {
	text := p.value
	from, to, period := strings.Cut(text, "/")
	p.value = from
	start, err := e.moment(p)
	if err == nil {
		err = start.checkYear(p.name)
	}
	if err != nil {
		return occurrence{}, err
	}
	if start.date != e.start.date {
		return occurrence{}, fmt.Errorf("RDATE %q and DTSTART must both be dates or both be times", shown(text))
	}
	o := occurrence{start: start, length: e.length}
	if !period {
		return o, nil
	}
	if strings.HasPrefix(to, "P") || strings.HasPrefix(to, "+P") {
		o.length, err = parseLength(to)
		return o, err
	}
	p.value = to
	end, err := e.moment(p)
	if err != nil {
		return o, err
	}
	if o.length, err = between(start, end); err != nil {
		return o, fmt.Errorf("RDATE %w", err)
	}
	return o, nil
}

// id returns the id of its window, or of all of its windows.
func (e *event) id() string {
	switch {
	case e.replaces.id != nil && e.replaces.at.zone != nil:
		return e.UID + "@" + e.replaces.at.key()
	case e.several && e.rule == nil && e.start.zone != nil:
		return e.UID + "@" + e.start.key()
	default:
		return e.UID
	}
}

// recurs reports whether the event has occurrences with their own ids.
func (e *event) recurs() bool { return e.rule != nil || len(e.dates) > 0 || e.several }

// compare compares two versions of an event by SEQUENCE, then DTSTAMP.
func (e *event) compare(with *event) int {
	return cmp.Or(cmp.Compare(e.sequence, with.sequence), cmp.Compare(e.stamp, with.stamp))
}

func (e Event) title() string { return text.OneLine(e.Summary) }

func (e Event) in(category string) bool {
	return slices.ContainsFunc(e.Categories, func(c string) bool { return strings.EqualFold(c, category) })
}
