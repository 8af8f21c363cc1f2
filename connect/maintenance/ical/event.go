package ical

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

// event is a parsed VEVENT.
type event struct {
	Event
	line      int
	sequence  int
	stamp     string // DTSTAMP
	cancelled bool

	occurrence
	hasLength  bool // else it has that of the event whose occurrence it replaces
	rule       *rule
	dates      []occurrence // RDATE; those without a length have that of the event
	except     exceptions
	recurrence *moment // the occurrence that this event replaces
	following  bool    // it also replaces all that follow
	broken     error   // why it is invalid
}

// exceptions are occurrences that are excluded or replaced.
type exceptions struct {
	instants map[int64]bool
	days     map[time.Time]bool
}

func (x *exceptions) add(m moment) {
	if m.date {
		if x.days == nil {
			x.days = make(map[time.Time]bool)
		}
		x.days[m.wall] = true
		return
	}
	if x.instants == nil {
		x.instants = make(map[int64]bool)
	}
	x.instants[m.instant().Unix()] = true
}

// has also matches a date with each time on it, and midnight with a date: many calendars
// write exceptions in another form than the event.
func (x *exceptions) has(m moment) bool {
	if len(x.days) > 0 && x.days[m.wall.Truncate(24*time.Hour)] {
		return true
	}
	return len(x.instants) > 0 && x.instants[m.instant().Unix()]
}

// eventReader parses the lines of one event.
type eventReader struct {
	*event
	*component
	zones *zones
}

// describe parses what identifies and describes an event, without its times.
func describe(c *component) (*eventReader, error) {
	r := &eventReader{event: &event{line: c.line, cancelled: c.method == "CANCEL"}, component: c}
	uid, found, err := c.one("UID")
	if err == nil && (!found || uid.value == "") {
		err = errors.New("has no UID")
	}
	r.UID = uid.value
	r.Summary, r.Description, r.Location = r.text("SUMMARY"), r.text("DESCRIPTION"), r.text("LOCATION")
	for p, err := range c.all("CATEGORIES") {
		if err != nil {
			continue
		}
		for name := range strings.SplitSeq(p.value, ",") {
			r.Categories = append(r.Categories, strings.TrimSpace(name))
		}
	}
	r.stamp = r.text("DTSTAMP")
	r.cancelled = r.cancelled || strings.EqualFold(r.text("STATUS"), "CANCELLED")
	return r, err
}

// text returns the first readable text of a property: events are not left out because of
// what is only displayed.
func (r *eventReader) text(name string) string {
	for p, err := range r.all(name) {
		if err == nil {
			return p.value
		}
	}
	return ""
}

// identify parses which version of which occurrence it is.
func (r *eventReader) identify() error {
	sequence, found, err := r.one("SEQUENCE")
	if err != nil {
		return err
	}
	if found {
		if r.sequence, err = number.Atoi(sequence.value); err != nil || r.sequence < 0 {
			return fmt.Errorf("SEQUENCE %q is not a number", shown(sequence.value))
		}
	}
	p, found, err := r.one("RECURRENCE-ID")
	if err != nil || !found {
		return err
	}
	m, err := r.zones.moment(p)
	if err != nil {
		return err
	}
	r.recurrence = &m
	r.following = strings.EqualFold(p.params["RANGE"], "THISANDFUTURE")
	return nil
}

// understand parses the times.
func (r *eventReader) understand() error {
	switch {
	case r.has("EXRULE"):
		return errors.New("has an EXRULE, which RFC 5545 removed: use EXDATE")
	case r.recurrence != nil && (r.has("RRULE") || r.has("RDATE")):
		return errors.New("replaces an occurrence (RECURRENCE-ID) and cannot recur itself")
	}
	if err := r.readStart(); err != nil {
		return err
	}
	if err := r.readLength(); err != nil {
		return err
	}
	return r.readRepeats()
}

func (r *eventReader) readStart() error {
	p, found, err := r.one("DTSTART")
	switch {
	case err != nil:
		return err
	case found:
		r.start, err = r.zones.moment(p)
		return err
	case r.recurrence != nil && r.cancelled: // a cancellation need not repeat it
		r.start = *r.recurrence
		return nil
	default:
		return errors.New("has no DTSTART")
	}
}

func (r *eventReader) readLength() error {
	end, ends, err := r.one("DTEND")
	if err != nil {
		return err
	}
	duration, lasts, err := r.one("DURATION")
	if err != nil {
		return err
	}
	r.hasLength = true
	switch {
	case ends && lasts:
		return errors.New("has both DTEND and DURATION")
	case ends:
		m, err := r.zones.moment(end)
		if err != nil {
			return err
		}
		r.length, err = between(r.start, m)
		return err
	case lasts:
		r.length, err = parseLength(duration.value)
		return err
	case r.start.date: // RFC 5545 3.6.1
		r.length = length{days: 1}
		return nil
	}
	r.hasLength = false
	if r.recurrence == nil {
		return errNoLength
	}
	return nil
}

// errNoLength is for events that end when they start (RFC 5545 3.6.1).
var errNoLength = errors.New("has neither DTEND nor DURATION, so it has no length")

func (r *eventReader) readRepeats() error {
	rrule, found, err := r.one("RRULE")
	if err != nil {
		return err
	}
	if found {
		if r.rule, err = parseRule(rrule.value, r.start); err != nil {
			return err
		}
	}
	err = r.eachListed("RDATE", func(p property, value string) error {
		o, err := r.date(p, value)
		r.dates = append(r.dates, o)
		return err
	})
	if err != nil {
		return err
	}
	return r.eachListed("EXDATE", func(p property, value string) error {
		m, err := r.listed(p, value)
		if err == nil {
			r.except.add(m)
		}
		return err
	})
}

// eachListed calls take for each value of a list of times.
func (r *eventReader) eachListed(name string, take func(p property, value string) error) error {
	for p, err := range r.all(name) {
		if err != nil {
			return err
		}
		for value := range strings.SplitSeq(p.value, ",") {
			if err := take(p, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed parses one time of a list. Without a zone it is in that of the event: calendars
// omit it.
func (r *eventReader) listed(p property, value string) (moment, error) {
	zones := *r.zones
	zones.floating = cmp.Or(zones.floating, r.start.zone)
	tzid := p.params["TZID"]
	if tzid == "" && len(value) == len(localLayout) {
		zones.floating = r.start.zone
	}
	m, err := zones.parseMoment(strings.TrimSpace(value), tzid)
	if err != nil {
		return m, fmt.Errorf("%s %w", p.name, err)
	}
	return m, nil
}

// date parses one value of an RDATE: a time, a date or a period.
func (r *eventReader) date(p property, value string) (occurrence, error) {
	from, to, period := strings.Cut(value, "/")
	start, err := r.listed(p, from)
	if err != nil {
		return occurrence{}, err
	}
	if start.date != r.start.date {
		return occurrence{}, fmt.Errorf("RDATE %q and DTSTART must both be dates or both be times", shown(value))
	}
	o := occurrence{start: start, length: r.length}
	if !period {
		return o, nil
	}
	if strings.HasPrefix(to, "P") || strings.HasPrefix(to, "+P") {
		o.length, err = parseLength(to)
		return o, err
	}
	end, err := r.listed(p, to)
	if err != nil {
		return o, err
	}
	if o.length, err = between(start, end); err != nil {
		return o, fmt.Errorf("RDATE %w", err)
	}
	return o, nil
}

// recurs reports whether the event has occurrences with their own ids.
func (e *event) recurs() bool { return e.rule != nil || len(e.dates) > 0 || e.recurrence != nil }

// newer compares two versions of an event by SEQUENCE, then DTSTAMP, then their order in
// the file.
func (e *event) newer(than *event) bool {
	return than == nil || cmp.Or(cmp.Compare(e.sequence, than.sequence), cmp.Compare(e.stamp, than.stamp)) >= 0
}

func (e Event) title() string { return text.OneLine(e.Summary) }

func (e Event) in(category string) bool {
	return slices.ContainsFunc(e.Categories, func(c string) bool { return strings.EqualFold(c, category) })
}
