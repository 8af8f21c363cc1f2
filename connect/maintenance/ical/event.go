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

// Event is what a filter may look at. See [WithFilter].
type Event struct {
	UID         string
	Summary     string
	Description string
	Location    string
	Categories  []string
}

// occurrence is one time at which an event is.
type occurrence struct {
	start  moment
	length length
}

// event is a VEVENT, understood.
type event struct {
	Event
	line      int
	sequence  int
	stamp     string // DTSTAMP
	cancelled bool

	occurrence
	hasLength  bool // or else that of the event whose occurrence this is
	rule       *rule
	dates      []occurrence // RDATE; those without a length have that of the event
	except     exceptions
	recurrence *moment // the occurrence that this event stands for
	following  bool    // and for all that follow
	broken     error   // why it cannot be understood
}

// exceptions are occurrences that are not, or that another event stands for.
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

// has also takes a day for each time on it, and midnight for a day: many calendars
// write exceptions in the other form than the event.
func (x *exceptions) has(m moment) bool {
	if len(x.days) > 0 && x.days[m.wall.Truncate(24*time.Hour)] {
		return true
	}
	return len(x.instants) > 0 && x.instants[m.instant().Unix()]
}

// eventReader understands the lines of one event.
type eventReader struct {
	*event
	*component
	zones *zones
}

// describe reads what tells one event from another, and nothing that has to do
// with time.
func describe(c *component) (*eventReader, error) {
	r := &eventReader{event: &event{line: c.line, cancelled: c.method == "CANCEL"}, component: c}
	uid, found, err := c.one("UID")
	if err == nil && (!found || uid.value == "") {
		err = errors.New("has no UID, which names it for good")
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

// text is the first text of a name. One that cannot be read is none: events are not
// left out for what is only shown.
func (r *eventReader) text(name string) string {
	for p, err := range r.all(name) {
		if err == nil {
			return p.value
		}
	}
	return ""
}

// identify reads which version of which occurrence it is.
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

// understand reads the times.
func (r *eventReader) understand() error {
	switch {
	case r.has("EXRULE"):
		return errors.New("has an EXRULE, which RFC 5545 no longer has: use EXDATE")
	case r.recurrence != nil && (r.has("RRULE") || r.has("RDATE")):
		return errors.New("stands for an occurrence (RECURRENCE-ID) and cannot recur itself")
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
		return errors.New("has both DTEND and DURATION, of which it may have one")
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

// errNoLength is for events that RFC 5545 3.6.1 lets end when they begin.
var errNoLength = errors.New("has neither DTEND nor DURATION, so that it takes no time")

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

// eachListed takes the values of lists of times.
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

// listed is one of the times of a list. One that names no zone is in that of the event,
// however it was meant: calendars leave it out.
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

// date is one of the values of an RDATE: a time, a day, or a period.
func (r *eventReader) date(p property, value string) (occurrence, error) {
	from, to, period := strings.Cut(value, "/")
	start, err := r.listed(p, from)
	if err != nil {
		return occurrence{}, err
	}
	if start.date != r.start.date {
		return occurrence{}, fmt.Errorf("RDATE %q and DTSTART must both be days or both be times", shown(value))
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

// recurs reports whether the event has occurrences, which then have ids of their own.
func (e *event) recurs() bool { return e.rule != nil || len(e.dates) > 0 || e.recurrence != nil }

// newer compares two versions of one event: by SEQUENCE, then by DTSTAMP. Of equal
// ones the later in the file counts.
func (e *event) newer(than *event) bool {
	return than == nil || cmp.Or(cmp.Compare(e.sequence, than.sequence), cmp.Compare(e.stamp, than.stamp)) >= 0
}

func (e Event) title() string { return text.OneLine(e.Summary) }

func (e Event) in(category string) bool {
	return slices.ContainsFunc(e.Categories, func(c string) bool { return strings.EqualFold(c, category) })
}
