package maintenance

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// The format of a calendar file.
type (
	calendarFile struct {
		Windows []windowFile `json:"windows"`
		Weekly  []weeklyFile `json:"weekly,omitempty"`

		windows []Window // both set by check
		rules   []Weekly
	}
	windowFile struct {
		ID          string `json:"id"`
		Title       string `json:"title,omitempty"`
		Start       string `json:"start"`
		End         string `json:"end,omitempty"`
		Duration    string `json:"duration,omitempty"` // instead of end
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

// calendarFormat has room for 100 000 windows.
var calendarFormat = jsonfile.Format[calendarFile]{
	Name: "maintenance: windows", MaxBytes: 32 << 20, AllowNull: true, Check: (*calendarFile).check,
}

// LoadCalendarFile reads a calendar from a JSON file, see [LoadCalendar]. The path becomes the Source of
// the windows and rules.
func LoadCalendarFile(path string) (*Calendar, error) {
	f, err := calendarFormat.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return f.calendar(path)
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
//	  "weekly": [
//	    {"id": "weekly", "title": "Weekly", "weekday": "saturday", "time": "02:00", "duration": "3h",
//	     "timezone": "Europe/Berlin", "except": ["2026-12-26"], "from": "2026-02-01", "until": "2026-12-31"}
//	  ]
//	}
//
// A time has an offset or is local to the timezone of its window; a local time that clocks
// skip or show twice is rejected. A window has either an end or a duration, as
// [time.ParseDuration] reads it, of at most 7 days. See [Weekly] for the rules.
// null and "" mean that the key is absent.
//
// Anything ambiguous is rejected with an error of one line that names the line and the
// key: unknown, missing and repeated keys, repeated ids, unknown zones, and a window that
// replaces an occurrence ("weekly@2026-02-21") which its rule does not have.
func LoadCalendar(r io.Reader) (*Calendar, error) {
	f, err := calendarFormat.Read(r)
	if err != nil {
		return nil, err
	}
	return f.calendar("")
}

// SaveCalendar writes a calendar as JSON for [LoadCalendar]. It returns an error, and writes nothing,
// if the calendar has margins or a window longer than 7 days. The Source of windows and
// rules is not written.
func SaveCalendar(w io.Writer, c *Calendar) error {
	if c.hasMargins() {
		return errors.New(
			"maintenance: windows: a file has no margins: save the calendar without, and add them when it is loaded")
	}
	file := calendarFile{Windows: []windowFile{}}
	for _, window := range c.Windows() {
		file.Windows = append(file.Windows, window.file())
	}
	for _, rule := range c.Weekly() {
		file.Weekly = append(file.Weekly, rule.file())
	}
	return calendarFormat.Write(w, file)
}

func (f *calendarFile) calendar(source string) (*Calendar, error) {
	for i := range f.windows {
		f.windows[i].Source = source
	}
	for i := range f.rules {
		f.rules[i].Source = source
	}
	return NewCalendar(f.windows, f.rules...)
}

func (f *calendarFile) check() error {
	if f.Windows == nil && f.Weekly == nil {
		return errors.New(`has neither windows nor weekly: write {"windows": []} if there are none`)
	}
	taken := make(map[string]string) // id → path
	for i, in := range f.Weekly {
		path := fmt.Sprintf("weekly[%d]", i)
		if err := takeID(taken, in.ID, path); err != nil {
			return jsonfile.At(path, err)
		}
		rule, err := in.weekly()
		if err != nil {
			return jsonfile.At(path, err)
		}
		if _, key, err := rule.check(); err != nil {
			return jsonfile.At(path+"."+key, err)
		}
		f.rules = append(f.rules, rule)
	}
	for i, in := range f.Windows {
		path := fmt.Sprintf("windows[%d]", i)
		if err := takeID(taken, in.ID, path); err != nil {
			return jsonfile.At(path, err)
		}
		window, err := in.window()
		if err == nil {
			err = jsonfile.At("id", checkStandIn(in.ID, f.rules))
		}
		if err != nil {
			return jsonfile.At(path, err)
		}
		f.windows = append(f.windows, window)
	}
	return nil
}

// takeID checks that an id is valid and unique.
func takeID(taken map[string]string, id, path string) error {
	if err := checkID(id); err != nil {
		return jsonfile.At("id", err)
	}
	if other, ok := taken[id]; ok {
		return jsonfile.Errorf("id", "%q is also the id of %s: ids must be unique", id, other)
	}
	taken[id] = path
	return nil
}

// checkStandIn rejects a window whose id names an occurrence that its rule does not have:
// it would not replace one.
func checkStandIn(id string, rules []Weekly) error {
	of, date, ok := cutOccurrence(id)
	i := slices.IndexFunc(rules, func(r Weekly) bool { return r.ID == of })
	if !ok || i < 0 {
		return nil
	}
	day, err := parseDate(date)
	if err != nil {
		return fmt.Errorf("%q is to stand for an occurrence of %q, but %w", id, of, err)
	}
	if weekday := dayStart(day).Weekday(); weekday != rules[i].Weekday {
		return fmt.Errorf("%q is to stand for an occurrence of %q, but %s is a %s: correct the date or use another id",
			id, of, date, weekday)
	}
	return nil
}

func (in windowFile) window() (Window, error) {
	w := Window{ID: in.ID, Title: in.Title, Zone: in.Timezone, Cancelled: in.Cancelled}
	if _, err := loadZone(w.Zone); err != nil {
		return w, jsonfile.At("timezone", err)
	}
	if in.Start == "" {
		return w, jsonfile.Errorf("start", "is missing")
	}
	var err error
	for _, t := range []struct {
		key, text string
		to        *time.Time
	}{
		{"start", in.Start, &w.Start}, {"end", in.End, &w.End},
		{"actualStart", in.ActualStart, &w.ActualStart}, {"actualEnd", in.ActualEnd, &w.ActualEnd},
	} {
		if *t.to, err = parseFileTime(t.text, w.Zone); err != nil {
			return w, jsonfile.At(t.key, err)
		}
	}
	if w.End, err = in.end(w); err != nil {
		return w, err
	}
	return w, w.check()
}

// end returns the end of w, which has all else, and its end if that is not a duration.
func (in windowFile) end(w Window) (time.Time, error) {
	switch {
	case (in.End == "") == (in.Duration == ""):
		return w.End, errors.New("must have either an end or a duration")
	case in.Duration != "":
		d, err := parseFileDuration(in.Duration)
		return w.Start.Add(d), err
	case !w.End.After(w.Start):
		return w.End, jsonfile.Errorf("end", "%s is not after the start, %s", stamp(w.End), stamp(w.Start))
	}
	if err := checkDuration(w.End.Sub(w.Start)); err != nil {
		return w.End, jsonfile.Errorf("end", "is too far from the start: %w", err)
	}
	return w.End, nil
}

func parseFileDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, jsonfile.Errorf("duration", "%q is not a duration: write it like 3h or 2h30m", s)
	}
	return d, jsonfile.At("duration", checkDuration(d))
}

// timeForm rejects what time.Parse accepts beyond RFC 3339: offsets such as +24:00 and +01:60, hours
// of one digit, and a comma.
var timeForm = regexp.MustCompile(`T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?$`)

// parseFileTime reads a time with an offset, or one that is local to a zone. "" is none.
func parseFileTime(s, zone string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil && timeForm.MatchString(s) {
		return t.UTC(), nil
	}
	local, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		local, err = time.Parse("2006-01-02T15:04", s)
	}
	if err != nil || !timeForm.MatchString(s) {
		return time.Time{}, fmt.Errorf("%q is not a time: write it like 2026-01-10T02:00:00Z, "+
			"or like 2026-01-10T02:00:00 beside a timezone", s)
	}
	if zone == "" {
		return time.Time{}, fmt.Errorf(`%q has no offset: add one, such as Z, or a "timezone"`, s)
	}
	loc, err := loadZone(zone)
	if err != nil {
		return time.Time{}, err
	}
	t, n := wall(local).instants(loc)
	switch n {
	case 0:
		err = fmt.Errorf("%q does not exist in %s, where clocks go forward then: write it with an offset", s, zone)
	case 2:
		err = fmt.Errorf("%q happens twice in %s, where clocks go back then: write it with an offset", s, zone)
	}
	return t, err
}

// weekly returns the rule, which is still to be checked.
func (in weeklyFile) weekly() (Weekly, error) {
	r := Weekly{
		ID: in.ID, Title: in.Title, Time: in.Time, Zone: in.Timezone,
		Except: in.Except, From: in.From, Until: in.Until,
	}
	var err error
	if r.Weekday, err = parseWeekday(in.Weekday); err != nil {
		return r, jsonfile.At("weekday", err)
	}
	r.Duration, err = parseFileDuration(in.Duration)
	return r, err
}

func parseWeekday(text string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(text, day.String()) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%q is not a day of the week: write it like saturday", text)
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

// written formats the time in loc with its offset. RFC 3339 cannot write the seconds that
// historical offsets have.
func written(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if offset(t, loc)%time.Minute != 0 {
		loc = time.UTC
	}
	return t.In(loc).Format(time.RFC3339Nano)
}
