package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// locationOf returns the time zone for people: that of -tz, of TZ, or of this machine.
func locationOf(name string, getenv func(string) string) (*time.Location, error) {
	flag := "-tz"
	if name == "" {
		flag, name = "TZ", strings.TrimPrefix(getenv("TZ"), ":")
	}
	if name == "" {
		return time.Local, nil //nolint:gosmopolitan // it is for people at this machine
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%s: there is no time zone %q: give a name such as Europe/Berlin, or UTC", flag,
			text.Short(name))
	}
	return loc, nil
}

// timeReader reads times as people write them.
type timeReader struct {
	now      time.Time
	location *time.Location
	windows  *maintenance.Calendar // nil: window:ID is an error
}

// read returns the time that a text means. window:ID is the beginning of a maintenance or, if end is true, its end.
func (r timeReader) read(s string, end bool) (time.Time, error) {
	s = strings.TrimSpace(s)
	if id, ok := strings.CutPrefix(s, "window:"); ok {
		return r.ofWindow(id, end)
	}
	if ago, ok := strings.CutSuffix(s, " ago"); ok {
		if d, err := parseDuration(strings.TrimSpace(ago)); err == nil && d >= 0 {
			return r.now.Add(-d).UTC(), nil
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04",
		"2006-01-02T15:04:05"} {
		wall, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		return r.local(s, wall)
	}
	for _, layout := range []string{"15:04", time.TimeOnly} {
		if wall, err := time.Parse(layout, s); err == nil {
			y, m, d := r.now.In(r.location).Date()
			return r.local(s, time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, time.UTC))
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: give a date as 2026-11-21, a time as \"2026-11-21 02:00\", "+
		"02:00 or 2026-11-21T02:00:00Z, \"2h ago\", or window:ID", text.Short(s))
}

// local returns the instant at which clocks of the zone show a time, and rejects a time that they skip or show twice.
func (r timeReader) local(s string, wall time.Time) (time.Time, error) {
	y, m, d := wall.Date()
	t := time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, r.location)
	shows := func(t time.Time) bool { return t.In(r.location).Format(time.DateTime) == wall.Format(time.DateTime) }
	for _, shift := range []time.Duration{-2 * time.Hour, -time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour,
		2 * time.Hour} {
		if shows(t) && shows(t.Add(shift)) {
			return t, fmt.Errorf("%q happens twice in %s, where clocks go back then: write it with an offset, as %s", s,
				r.location, t.Format(time.RFC3339))
		}
	}
	if !shows(t) {
		return t, fmt.Errorf("%q does not exist in %s, where clocks go forward then: write it with an offset, as %s", s,
			r.location, t.Format(time.RFC3339))
	}
	return t.UTC(), nil
}

func (r timeReader) ofWindow(id string, end bool) (time.Time, error) {
	w, err := findWindow(r.windows, id, r.now)
	if err != nil {
		return time.Time{}, err
	}
	switch span := w.Span(); {
	case !end:
		return span.Start, nil
	case span.End.IsZero():
		return r.now.UTC(), nil // it is not over
	default:
		return span.End, nil
	}
}

// findWindow returns the window with an id, which may lack the name of its source.
func findWindow(c *maintenance.Calendar, id string, now time.Time) (maintenance.Window, error) {
	const year = 366 * 24 * time.Hour
	var found []maintenance.Window
	var ids []string
	for w := range c.OverlappingSeq(now.Add(-year), now.Add(year)) {
		ids = append(ids, w.ID)
		if w.ID == id {
			return w, nil
		}
		if strings.HasSuffix(w.ID, "/"+id) {
			found = append(found, w)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return maintenance.Window{}, fmt.Errorf("there is no maintenance window %q%s", text.Short(id), text.DidYouMean(id,
			ids))
	default:
		return maintenance.Window{}, fmt.Errorf("%q is the id of several windows: give one of %s and %s", text.Short(id),
			found[0].ID, found[1].ID)
	}
}

// parseDuration is [time.ParseDuration] with a number of days, such as 30d.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok && strings.Trim(days, "0123456789.") == "" {
		d, err := time.ParseDuration(days + "h")
		if err == nil && d > math.MaxInt64/24 {
			err = fmt.Errorf("%q is too long", text.Short(s))
		}
		return 24 * d, err
	}
	return time.ParseDuration(s)
}

// clock is a time for people. The date is left out if it is today.
func (p *program) clock(t time.Time) string {
	if t.IsZero() {
		return "(not known)"
	}
	local, now := t.In(p.location), time.Now().In(p.location)
	if local.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return local.Format("15:04 MST")
	}
	return local.Format("2006-01-02 15:04 MST")
}

// span is a time for how long something takes or took.
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < 0:
		return "0 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
