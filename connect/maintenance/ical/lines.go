package ical

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	// maxDepth is how deeply components may be nested: an alarm in an event in a
	// calendar is three deep.
	maxDepth = 16
	// maxParams bounds the name and parameters of a line.
	maxParams = 2048
)

// line is an unfolded content line with the number of its first physical line.
type line struct {
	number int
	topic  string // its name, if wanted
	text   string
}

// name returns the property name in capitals; "" if there is none.
func (l line) name() string {
	end := strings.IndexFunc(l.text, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(l.text)
	}
	return strings.ToUpper(l.text[:end])
}

// plainValue returns the value of a line without parameters, in capitals.
func (l line) plainValue() string {
	_, value, _ := strings.Cut(l.text, ":")
	return strings.ToUpper(strings.TrimSpace(value))
}

// unfold iterates over the content lines. Physical lines end in CRLF, LF or CR; one that
// starts with a space or a tab continues the one before, even inside a UTF-8 sequence
// (RFC 5545 3.1).
func unfold(data []byte) iter.Seq[line] {
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	return func(yield func(line) bool) {
		var current line
		var more [][]byte
		number := 0
		emit := func() bool {
			l := current
			if len(more) > 1 {
				l.text = string(bytes.Join(more, nil))
			} else if len(more) == 1 {
				l.text = string(more[0])
			}
			more = more[:0]
			return l.text == "" || yield(l)
		}
		for physical := range bytes.SplitSeq(data, []byte("\n")) {
			number++
			if len(physical) > 0 && (physical[0] == ' ' || physical[0] == '\t') {
				more = append(more, physical[1:])
				continue
			}
			if !emit() {
				return
			}
			current = line{number: number}
			more = append(more, physical)
		}
		emit()
	}
}

// component is a part of a calendar with its wanted lines.
type component struct {
	name   string
	line   int
	method string // of the calendar that it is in
	lines  []line
	parts  []*component
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

// document is a stream of calendars, split into components.
type document struct {
	events   []*component
	zones    []*component
	zoneName string // X-WR-TIMEZONE, which Google and Apple write
}

// reader builds a document from lines.
type reader struct {
	document
	open      []*component // from the calendar down to the innermost
	begun     bool         // a calendar has started
	maxEvents int
}

// read splits calendars into components.
func read(data []byte, maxEvents int) (*document, error) {
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
	if !r.begun {
		return nil, errNoCalendar
	}
	if len(r.open) > 0 {
		return nil, fmt.Errorf("is truncated: the %s of line %d has no end", r.open[0].name, r.open[0].line)
	}
	return &r.document, nil
}

var errNoCalendar = errors.New("is not a calendar: one starts with BEGIN:VCALENDAR")

// checkBeginning rejects inputs that cannot be a calendar.
func checkBeginning(data []byte) error {
	switch beginning := bytes.TrimLeft(data, " \t\r\n"); {
	case len(beginning) == 0:
		return errors.New("is empty: a calendar starts with BEGIN:VCALENDAR")
	case rest.IsPage(beginning):
		return errors.New("is a web page, not a calendar: does the address require a login?")
	case bytes.IndexByte(data, 0) >= 0:
		return errors.New("is not text in UTF-8: save it in that encoding")
	default:
		return nil
	}
}

func (r *reader) take(l line) error {
	name := l.name()
	switch {
	case name == "BEGIN":
		return r.begin(l)
	case name == "END":
		return r.end(l)
	case len(r.open) == 0:
		if strings.TrimSpace(l.text) == "" {
			return nil
		}
		return r.outside(shown(l.text))
	}
	in := r.open[len(r.open)-1]
	if i := slices.Index(wanted[in.name], name); i >= 0 {
		l.topic = wanted[in.name][i]
		in.lines = append(in.lines, l)
	}
	return nil
}

// outside returns the error for a line outside of a calendar.
func (r *reader) outside(what string) error {
	if !r.begun {
		return errNoCalendar
	}
	return fmt.Errorf("%q is outside of any calendar", what)
}

func (r *reader) begin(l line) error {
	c := &component{name: l.plainValue(), line: l.number}
	if len(r.open) == 0 && c.name != "VCALENDAR" {
		return r.outside("BEGIN:" + shown(c.name))
	}
	if len(r.open) == maxDepth {
		return fmt.Errorf("components are nested more than %d deep", maxDepth)
	}
	if len(r.open) > 0 {
		in := r.open[len(r.open)-1]
		switch {
		case in.name == "VCALENDAR" && c.name == "VEVENT":
			r.events = append(r.events, c)
		case in.name == "VCALENDAR" && c.name == "VTIMEZONE":
			r.zones = append(r.zones, c)
		case in.name == "VTIMEZONE":
			in.parts = append(in.parts, c)
		}
	}
	if len(r.events) > r.maxEvents {
		return fmt.Errorf("has more than %d events: use a smaller calendar or raise WithMaxEvents", r.maxEvents)
	}
	r.begun = true
	r.open = append(r.open, c)
	return nil
}

func (r *reader) end(l line) error {
	if len(r.open) == 0 {
		return errors.New("END without a BEGIN")
	}
	c := r.open[len(r.open)-1]
	if name := l.plainValue(); name != c.name {
		return fmt.Errorf("ends a %s, but the %s of line %d is open", shown(name), shown(c.name), c.line)
	}
	r.open = r.open[:len(r.open)-1]
	if c.name == "VCALENDAR" {
		r.endCalendar(c)
	}
	return nil
}

// endCalendar applies the properties of a calendar to its events.
func (r *reader) endCalendar(c *component) {
	for _, l := range c.lines {
		switch p, err := l.property(); {
		case err != nil: // neither property is essential
		case p.name == "X-WR-TIMEZONE":
			r.zoneName = p.value
		case p.name == "METHOD":
			for _, e := range r.events {
				if e.line > c.line {
					e.method = strings.ToUpper(p.value)
				}
			}
		}
	}
}

func shown(s string) string { return text.Excerpt(s, 80) }

// property is a parsed content line.
type property struct {
	name   string
	params map[string]string // by name in capitals
	value  string
}

// all iterates over the properties of a name. They are parsed one by one, since they need
// much more memory than their lines.
func (c *component) all(name string) iter.Seq2[property, error] {
	return func(yield func(property, error) bool) {
		for _, l := range c.lines {
			if l.topic == name && !yield(l.property()) {
				return
			}
		}
	}
}

func (c *component) has(name string) bool {
	return slices.ContainsFunc(c.lines, func(l line) bool { return l.topic == name })
}

// one returns the property of a name that may occur once.
func (c *component) one(name string) (p property, found bool, err error) {
	for another, err := range c.all(name) {
		switch {
		case err != nil:
			return p, false, err
		case found:
			return p, false, fmt.Errorf("has %s more than once", name)
		}
		p, found = another, true
	}
	return p, found, nil
}

// property parses the line (RFC 5545 3.1) and unescapes its text.
func (l line) property() (property, error) {
	p := property{name: l.topic}
	head, value, found := cutUnquoted(l.text, ':')
	if !found {
		return p, fmt.Errorf("line %d: %s has no colon before its value", l.number, p.name)
	}
	if len(head) >= maxParams {
		return p, fmt.Errorf("line %d: %s has more than %d bytes of parameters", l.number, p.name, maxParams)
	}
	name, params, _ := strings.Cut(head, ";")
	var ok bool
	if p.params, ok = parseParams(params); !ok || !strings.EqualFold(name, p.name) {
		return p, fmt.Errorf("line %d: %s cannot be read: it must look like %s;PARAMETER=…:value", l.number, p.name, p.name)
	}
	p.value = strings.TrimSpace(strings.ToValidUTF8(unescape.Replace(value), "\ufffd"))
	return p, nil
}

// parseParams reads KEY=value;KEY="value". Of a repeated parameter the first counts.
func parseParams(text string) (params map[string]string, ok bool) {
	for more := text != ""; more; {
		var param string
		param, text, more = cutUnquoted(text, ';')
		key, value, found := strings.Cut(param, "=")
		if key == "" || !found {
			return nil, false
		}
		if params == nil {
			params = make(map[string]string)
		}
		key = strings.ToUpper(key)
		params[key] = cmp.Or(params[key], unescape.Replace(strings.ReplaceAll(value, `"`, "")))
	}
	return params, true
}

// unescape decodes TEXT (RFC 5545 3.3.11). Values of other types have no backslashes.
var unescape = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\N`, "\n", `\;`, `;`, `\,`, `,`)

// cutUnquoted is strings.Cut at the first sep that is not in quotes.
func cutUnquoted(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
