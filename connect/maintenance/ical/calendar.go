package ical

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// maxDepth is how deeply components may be nested: an alarm in an event in a calendar is
// three deep.
const maxDepth = 16

// component is a part of a calendar with its wanted lines.
type component struct {
	name  string
	line  int
	lines []line
	parts []*component
	torn  error // why lines of it may be missing
}

// wanted lists the properties that are used, by component. All others are ignored, even if
// they are invalid.
var wanted = map[string][]string{
	"VCALENDAR": {"METHOD", "X-WR-TIMEZONE"},
	"VEVENT": {
		"UID", "SEQUENCE", "DTSTAMP", "STATUS", "SUMMARY", "DESCRIPTION", "LOCATION", "CATEGORIES",
		"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID",
	},
	"VTIMEZONE": {"TZID"},
	"STANDARD":  {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO", "RRULE", "RDATE"},
	"DAYLIGHT":  {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO", "RRULE", "RDATE"},
}

// calendar is a VCALENDAR. A stream may have several, each with time zones of its own
// (RFC 5545 3.2.19).
type calendar struct {
	*component
	events []*component
	zones  []*component
}

// text returns a property of the calendar itself: METHOD, or X-WR-TIMEZONE, which Google and
// Apple write.
func (c *calendar) text(name string) string {
	for value := range c.texts(name) {
		return value
	}
	return ""
}

// reader splits a stream into calendars.
type reader struct {
	calendars []*calendar
	open      []*component // from the calendar down to the innermost
	events    int
	maxEvents int
	ended     bool // a calendar has ended, and no other line was seen outside of any
	odd       []oddity
}

// read splits a stream into calendars. It fails if the stream may be truncated.
func read(data []byte, maxEvents int) (*reader, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := checkBeginning(data); err != nil {
		return nil, err
	}
	r := &reader{maxEvents: maxEvents}
	for l := range unfold(data) {
		if err := r.take(l); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
	}
	if len(r.calendars) == 0 {
		return nil, errNoCalendar
	}
	if len(r.open) > 0 {
		return nil, fmt.Errorf("is truncated: the %s of line %d has no end", r.open[0].name, r.open[0].line)
	}
	return r, nil
}

var errNoCalendar = errors.New("is not a calendar: one starts with BEGIN:VCALENDAR")

// checkBeginning rejects inputs that cannot be a calendar.
func checkBeginning(data []byte) error {
	switch beginning := bytes.TrimLeft(data, " \t\r\n"); {
	case len(beginning) == 0:
		return errors.New("is empty: a calendar starts with BEGIN:VCALENDAR")
	case rest.IsPage(beginning):
		return errors.New("is a web page, not a calendar: does the address require a login?")
	case bytes.IndexByte(data[:min(len(data), 64)], 0) >= 0:
		return errors.New("is not text in UTF-8: save it in that encoding")
	default:
		return nil
	}
}

// take handles a line. A line without a meaning, such as one of a text that was not folded, is
// ignored.
func (r *reader) take(l line) error {
	name := l.name()
	marks := (name == "BEGIN" || name == "END") && isName(l.plainValue())
	switch {
	case len(r.open) == 0:
		return r.outside(l)
	case marks && name == "BEGIN":
		return r.begin(l)
	case marks:
		r.end(l)
		return nil
	}
	in := r.open[len(r.open)-1]
	if i := slices.Index(wanted[in.name], name); i >= 0 {
		l.topic = wanted[in.name][i]
		in.lines = append(in.lines, l)
	}
	return nil
}

// isName reports whether a text can be the name of a component (RFC 5545 3.6).
func isName(s string) bool {
	return s != "" && line{text: s}.name() == s
}

// outside handles a line outside of any calendar. Of several lines without a meaning the first is
// reported.
func (r *reader) outside(l line) error {
	switch {
	case l.name() == "BEGIN" && l.plainValue() == "VCALENDAR":
		return r.begin(l)
	case strings.TrimSpace(l.text) == "":
	case len(r.calendars) == 0:
		return errNoCalendar
	case l.name() == "BEGIN":
		r.ended = false
		r.warn(maintenance.ErrIncomplete, l.number, "%s is outside of any calendar and ignored", shown(l.text))
	case r.ended && l.name() != "END":
		r.ended = false
		r.warn(maintenance.ErrUncertain, l.number, "%q and what follows is outside of any calendar and ignored",
			shown(l.text))
	}
	return nil
}

func (r *reader) warn(kind error, number int, format string, args ...any) {
	if len(r.odd) < 2*maxWarnings { // the others are not shown
		err := fmt.Errorf("line %d: %w", number, fmt.Errorf(format, args...))
		r.odd = append(r.odd, oddity{kind: kind, err: err})
	}
}

// level is how deep components are that cannot be nested deeper. One at another place means that
// the END of another is missing.
var level = map[string]int{"VCALENDAR": 0, "VEVENT": 1, "VTIMEZONE": 1}

func (r *reader) begin(l line) error {
	c := &component{name: l.plainValue(), line: l.number}
	if depth, known := level[c.name]; known {
		r.tear(depth)
	}
	if len(r.open) == maxDepth {
		return fmt.Errorf("components are nested more than %d deep", maxDepth)
	}
	r.open = append(r.open, c)
	switch in := r.open[max(0, len(r.open)-2)]; {
	case c.name == "VCALENDAR":
		r.calendars = append(r.calendars, &calendar{component: c})
	case c.name == "VEVENT":
		of := r.calendars[len(r.calendars)-1]
		of.events = append(of.events, c)
		r.events++
	case c.name == "VTIMEZONE":
		of := r.calendars[len(r.calendars)-1]
		of.zones = append(of.zones, c)
	case in.name == "VTIMEZONE":
		in.parts = append(in.parts, c)
	}
	if r.events > r.maxEvents {
		return fmt.Errorf("has more than %d events: use a smaller calendar or raise WithMaxEvents", r.maxEvents)
	}
	return nil
}

// tear closes the components from a depth on. Their lines may be missing, or be those of others.
func (r *reader) tear(depth int) {
	for _, c := range r.open[min(depth, len(r.open)):] {
		c.torn = fmt.Errorf("the %s of line %d has no end", c.name, c.line)
		if c.name == "VCALENDAR" {
			r.warn(maintenance.ErrIncomplete, c.line, "the VCALENDAR has no end: is a part of it missing?")
		}
	}
	r.open = r.open[:min(depth, len(r.open))]
}

// end closes the innermost component of the name.
func (r *reader) end(l line) {
	name := l.plainValue()
	depth := len(r.open) - 1
	for depth >= 0 && r.open[depth].name != name {
		depth--
	}
	if depth < 0 {
		r.warn(maintenance.ErrIncomplete, l.number, "END:%s without a BEGIN", shown(name))
		return
	}
	if c := r.open[depth]; depth < len(r.open)-1 && depth > 0 {
		inner := r.open[depth+1]
		c.torn = fmt.Errorf("the %s of line %d in it has no end", inner.name, inner.line)
	}
	r.tear(depth + 1)
	r.open = r.open[:depth]
	r.ended = depth == 0
}

// all iterates over the properties of a name. They are parsed one by one, since they need
// much more memory than their lines. A property without a value is as good as absent.
func (c *component) all(name string) iter.Seq2[property, error] {
	return func(yield func(property, error) bool) {
		for _, l := range c.lines {
			if l.topic != name {
				continue
			}
			p, err := l.property()
			if (err != nil || p.value != "") && !yield(p, err) {
				return
			}
		}
	}
}

// texts iterates over the texts of a name, which are not empty.
func (c *component) texts(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range c.lines {
			if l.topic != name {
				continue
			}
			if text := l.readable(); text != "" && !yield(text) {
				return
			}
		}
	}
}

// equal reports whether two components have the same lines.
func (c *component) equal(other *component) bool {
	same := func(a, b line) bool { return a.text == b.text }
	return c.name == other.name && slices.EqualFunc(c.lines, other.lines, same) &&
		slices.EqualFunc(c.parts, other.parts, (*component).equal)
}

func (c *component) has(name string) bool {
	_, found, err := c.one(name)
	return found || err != nil
}

// one returns the property of a name that may occur once, or several times with the same value.
func (c *component) one(name string) (p property, found bool, err error) {
	for another, err := range c.all(name) {
		switch {
		case err != nil:
			return p, false, err
		case found && (another.value != p.value || !maps.Equal(another.params, p.params)):
			return p, false, fmt.Errorf("has %s more than once", name)
		}
		p, found = another, true
	}
	return p, found, nil
}
