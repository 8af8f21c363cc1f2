package maintenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maxWindowFile bounds a file of windows: 100 000 of them fit.
const maxWindowFile = 32 << 20

// LoadCalendarFile reads a calendar from a file as LoadCalendar does. The path
// becomes the Source of the windows and rules.
func LoadCalendarFile(path string) (*Calendar, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("connect: windows file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	return loadCalendar(f, path)
}

// LoadCalendar reads a calendar from JSON:
//
//	{
//	  "windows": [
//	    {"id": "2026-01", "title": "Upgrade", "start": "2026-01-10T02:00:00Z", "end": "2026-01-10T05:00:00Z"},
//	    {"id": "2026-02", "start": "2026-02-14T02:00:00", "duration": "3h", "timezone": "Europe/Berlin",
//	     "actualStart": "2026-02-14T02:05:00", "actualEnd": "2026-02-14T06:10:00"},
//	    {"id": "weekly@2026-02-21", "start": "2026-02-21T02:00:00Z", "duration": "3h", "cancelled": true}
//	  ],
//	  "recurring": [
//	    {"id": "weekly", "title": "Weekly", "weekday": "saturday", "time": "02:00", "duration": "3h",
//	     "timezone": "Europe/Berlin", "except": ["2026-12-26"], "from": "2026-02-01", "until": "2026-12-31"}
//	  ]
//	}
//
// A time has an offset or is local to the timezone of its window; a local time that
// the clocks of the zone skip or show twice is refused. A window has either an
// end or a duration, in Go's form ("2h30m"), of at most 7 days. See Weekly for
// the recurring ones. A null is as good as leaving the key out.
//
// Whatever is doubtful is refused with an error on one line that names the place:
// unknown, missing and repeated keys, ids that occur twice, unknown zones, and a
// window that stands for an occurrence ("weekly@2026-02-21") on a day that its
// rule does not have.
func LoadCalendar(r io.Reader) (*Calendar, error) { return loadCalendar(r, "") }

func loadCalendar(r io.Reader, source string) (*Calendar, error) {
	name := source
	if name == "" {
		name = "windows file"
	}
	c, err := parseCalendar(r, source)
	if err != nil {
		return nil, fmt.Errorf("connect: %s: %w", name, err)
	}
	return c, nil
}

func parseCalendar(r io.Reader, source string) (*Calendar, error) {
	data, err := readJSON(r)
	if err != nil {
		return nil, err
	}
	p := &parser{source: source, ids: make(map[string]string)}
	top := p.object("", data, "windows", "recurring")
	if p.err == nil && len(top.raw) == 0 {
		return nil, errors.New(`has neither windows nor recurring: write {"windows": []} if there are none`)
	}
	var rules []Weekly
	for i, raw := range p.array(top, "recurring") {
		rules = append(rules, p.rule(fmt.Sprintf("recurring[%d]", i), raw))
	}
	var windows []Window
	for i, raw := range p.array(top, "windows") {
		w := p.window(fmt.Sprintf("windows[%d]", i), raw)
		p.checkStandIn(fmt.Sprintf("windows[%d].id", i), w.ID, rules)
		windows = append(windows, w)
	}
	if p.err != nil {
		return nil, p.err
	}
	return NewCalendar(windows, rules...)
}

// readJSON reads one JSON value and nothing after it.
func readJSON(r io.Reader) (json.RawMessage, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxWindowFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxWindowFile {
		return nil, fmt.Errorf("is larger than %d MiB: split it and merge the calendars", maxWindowFile>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows write it
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8: save it in that encoding")
	}
	if err := number.CheckJSON(data); err != nil {
		return nil, err
	}
	var value json.RawMessage
	err = json.Unmarshal(data, &value)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := data[:min(int(syntax.Offset), len(data))]
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
		return nil, fmt.Errorf("line %d, column %d: is not JSON: %w", line, column, err)
	}
	return value, err
}

// parser reads the values of a file. The first error sticks, and what it returns
// after one is of no use.
type parser struct {
	source string
	ids    map[string]string // id → path of the value that has it
	err    error
}

func (p *parser) fail(path, format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...))
	}
}

// fields are the values of an object that are not null.
type fields struct {
	path string
	raw  map[string]json.RawMessage
}

func (f fields) at(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

func (f fields) has(key string) bool { return f.raw[key] != nil }

// object reads an object that has none but the known keys, each once.
func (p *parser) object(path string, raw json.RawMessage, known ...string) fields {
	f := fields{path: path, raw: make(map[string]json.RawMessage)}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		if path == "" {
			path = "the top level"
		}
		p.fail(path, "must be an object in braces, is %s", excerpt(raw))
		return f
	}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		key, _ := token.(string)
		var value json.RawMessage
		if err = errors.Join(err, dec.Decode(&value)); err != nil {
			p.fail(path, "%v", err)
			return f
		}
		switch {
		case !slices.Contains(known, key):
			p.fail(f.at(oneWord(key)), "is not a key that is known here%s", suggestion(key, known))
		case seen[key]:
			p.fail(f.at(key), "is there twice: remove one")
		case string(value) != "null":
			f.raw[key] = value
		}
		seen[key] = true
	}
	return f
}

// read decodes the value of a key into v, if there is one.
func (p *parser) read(f fields, key string, v any, kind string) {
	if f.has(key) && json.Unmarshal(f.raw[key], v) != nil {
		p.fail(f.at(key), "must be %s, is %s", kind, excerpt(f.raw[key]))
	}
}

func (p *parser) array(f fields, key string) (values []json.RawMessage) {
	p.read(f, key, &values, "an array in square brackets")
	return values
}

func (p *parser) text(f fields, key string) (s string) {
	p.read(f, key, &s, "text in quotes")
	return s
}

func (p *parser) duration(f fields) time.Duration {
	text := p.text(f, "duration")
	d, err := time.ParseDuration(text)
	if err != nil {
		p.fail(f.at("duration"), "%q is not a duration: write it like 3h or 2h30m", text)
	} else if err := checkDuration(d); err != nil {
		p.fail(f.at("duration"), "%w", err)
	}
	return d
}

// id reads the id that every window and rule must have for itself.
func (p *parser) id(f fields) string {
	id := p.text(f, "id")
	if err := checkID(id); err != nil {
		p.fail(f.at("id"), "%w", err)
	} else if other, taken := p.ids[id]; taken {
		p.fail(f.at("id"), "%q is also the id of %s: an id names one", id, other)
	}
	p.ids[id] = f.path
	return id
}

func (p *parser) window(path string, raw json.RawMessage) Window {
	f := p.object(path, raw,
		"id", "title", "start", "end", "duration", "timezone", "actualStart", "actualEnd", "cancelled")
	w := Window{ID: p.id(f), Title: p.text(f, "title"), Zone: p.text(f, "timezone"), Source: p.source}
	if _, err := loadZone(w.Zone); err != nil {
		p.fail(f.at("timezone"), "%w", err)
		return w
	}
	p.read(f, "cancelled", &w.Cancelled, "true or false")
	if !f.has("start") {
		p.fail(f.at("start"), "is missing")
	}
	w.Start = p.time(f, "start", w.Zone)
	w.End = p.end(f, w)
	w.ActualStart = p.time(f, "actualStart", w.Zone)
	w.ActualEnd = p.time(f, "actualEnd", w.Zone)
	if err := w.check(); err != nil {
		p.fail(path, "%w", err)
	}
	return w
}

func (p *parser) end(f fields, w Window) time.Time {
	switch {
	case f.has("end") == f.has("duration"):
		p.fail(f.path, "must have either an end or a duration")
		return time.Time{}
	case f.has("duration"):
		return w.Start.Add(p.duration(f))
	}
	end := p.time(f, "end", w.Zone)
	if !end.After(w.Start) {
		p.fail(f.at("end"), "%s is not after the start, %s", stamp(end), stamp(w.Start))
	} else if err := checkDuration(end.Sub(w.Start)); err != nil {
		p.fail(f.at("end"), "is too far from the start: %w", err)
	}
	return end
}

func (p *parser) time(f fields, key, zone string) time.Time {
	text := p.text(f, key)
	if !f.has(key) {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC()
	}
	local, err := time.Parse("2006-01-02T15:04:05", text)
	if err != nil {
		local, err = time.Parse("2006-01-02T15:04", text)
	}
	if err != nil {
		p.fail(f.at(key), "%q is not a time: write it like 2026-01-10T02:00:00Z, "+
			"or like 2026-01-10T02:00:00 beside a timezone", text)
		return time.Time{}
	}
	if zone == "" {
		p.fail(f.at(key), `%q has no offset: add one, such as Z, or a "timezone"`, text)
		return time.Time{}
	}
	loc, _ := loadZone(zone) // was loaded before
	t, n := wall(local).instants(loc)
	switch n {
	case 0:
		p.fail(f.at(key), "%q does not exist in %s, where clocks go forward then: write it with an offset", text, zone)
	case 2:
		p.fail(f.at(key), "%q happens twice in %s, where clocks go back then: write it with an offset", text, zone)
	}
	return t
}

func (p *parser) rule(path string, raw json.RawMessage) Weekly {
	f := p.object(path, raw,
		"id", "title", "weekday", "time", "duration", "timezone", "except", "from", "until")
	r := Weekly{
		ID: p.id(f), Title: p.text(f, "title"), Weekday: p.weekday(f), Time: p.text(f, "time"),
		Duration: p.duration(f), Zone: p.text(f, "timezone"),
		From: p.text(f, "from"), Until: p.text(f, "until"), Source: p.source,
	}
	p.read(f, "except", &r.Except, "an array of dates in quotes")
	if p.err == nil {
		if _, key, err := r.check(); err != nil {
			p.fail(f.at(key), "%w", err)
		}
	}
	return r
}

func (p *parser) weekday(f fields) time.Weekday {
	day, err := parseWeekday(p.text(f, "weekday"))
	if err != nil {
		p.fail(f.at("weekday"), "%w", err)
	}
	return day
}

func parseWeekday(text string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(text, day.String()) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%q is not a day of the week: write it like saturday", text)
}

// checkStandIn refuses a window whose id names an occurrence that its rule cannot
// have: who means to cancel or move one would not.
func (p *parser) checkStandIn(path, id string, rules []Weekly) {
	of, date, ok := cutOccurrence(id)
	i := slices.IndexFunc(rules, func(r Weekly) bool { return r.ID == of })
	if !ok || i < 0 {
		return
	}
	day, err := parseDate(date)
	if err != nil {
		p.fail(path, "%q is to stand for an occurrence of %q, but %w", id, of, err)
	} else if weekday := dayStart(day).Weekday(); weekday != rules[i].Weekday {
		p.fail(path, "%q is to stand for an occurrence of %q, but %s is a %s: correct the date or use another id",
			id, of, date, weekday)
	}
}

// excerpt is the beginning of a value, on one line.
func excerpt(raw json.RawMessage) string {
	const limit = 40
	line := strings.Join(strings.Fields(string(raw)), " ")
	if runes := []rune(line); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return line
}

// oneWord is a key as it may stand in a path.
func oneWord(key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }) {
		return strconv.Quote(key)
	}
	return key
}

// suggestion names the known key that was probably meant, or else all of them.
func suggestion(key string, known []string) string {
	key = strings.ToLower(key[:min(len(key), 20)])
	for _, k := range known {
		if lower := strings.ToLower(k); len(key) > 2 && strings.Contains(lower, key) || text.Distance(key, lower) <= 2 {
			return fmt.Sprintf(": did you mean %s?", k)
		}
	}
	return ": known are " + strings.Join(known, ", ")
}

// The shape of the file, for writing.
type (
	calendarFile struct {
		Windows   []windowFile `json:"windows"`
		Recurring []weeklyFile `json:"recurring,omitempty"`
	}
	windowFile struct {
		ID          string `json:"id"`
		Title       string `json:"title,omitempty"`
		Start       string `json:"start"`
		End         string `json:"end"`
		Timezone    string `json:"timezone,omitempty"`
		ActualStart string `json:"actualStart,omitempty"`
		ActualEnd   string `json:"actualEnd,omitempty"`
		Cancelled   bool   `json:"cancelled,omitempty"`
	}
	weeklyFile struct {
		ID       string   `json:"id"`
		Title    string   `json:"title,omitempty"`
		Weekday  string   `json:"weekday"`
		Time     string   `json:"time"`
		Duration string   `json:"duration"`
		Timezone string   `json:"timezone"`
		Except   []string `json:"except,omitempty"`
		From     string   `json:"from,omitempty"`
		Until    string   `json:"until,omitempty"`
	}
)

// SaveCalendar writes a calendar in the form that LoadCalendar reads, or writes
// nothing and says why it cannot: the form has no margins and no window of more
// than 7 days. The Source of windows and rules is not part of it.
func SaveCalendar(w io.Writer, c *Calendar) error {
	file := calendarFile{Windows: []windowFile{}}
	if c.hasMargins() {
		return errors.New("connect: a file of windows has no margins: save the calendar without, and add them when it is loaded")
	}
	for _, window := range c.Windows() {
		file.Windows = append(file.Windows, window.file())
	}
	for _, rule := range c.Rules() {
		file.Recurring = append(file.Recurring, rule.file())
	}
	var buf bytes.Buffer
	enc := text.JSONEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(file); err != nil {
		return fmt.Errorf("connect: windows: %w", err)
	}
	if _, err := parseCalendar(bytes.NewReader(buf.Bytes()), ""); err != nil {
		return fmt.Errorf("connect: a file of windows cannot hold the calendar: %w", err)
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("connect: write windows: %w", err)
	}
	return nil
}

func (w Window) file() windowFile {
	loc := zoneOrUTC(w.Zone)
	return windowFile{
		ID: w.ID, Title: w.Title, Start: written(w.Start, loc), End: written(w.End, loc), Timezone: w.Zone,
		ActualStart: written(w.ActualStart, loc), ActualEnd: written(w.ActualEnd, loc), Cancelled: w.Cancelled,
	}
}

func (r Weekly) file() weeklyFile {
	return weeklyFile{
		ID: r.ID, Title: r.Title, Weekday: strings.ToLower(r.Weekday.String()), Time: r.Time,
		Duration: r.Duration.String(), Timezone: r.Zone, Except: r.Except, From: r.From, Until: r.Until,
	}
}

// written is the time as the clocks of loc show it, with the offset. Offsets of
// long ago have seconds, which RFC 3339 cannot write.
func written(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if offset(t, loc)%time.Minute != 0 {
		loc = time.UTC
	}
	return t.In(loc).Format(time.RFC3339Nano)
}
