// Package input reads what people write as values of flags: times, durations, rates and lists.
package input

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Location returns the time zone for people: that of -tz, of TZ, or of this machine.
func Location(name string, getenv func(string) string) (*time.Location, error) {
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

// Times reads times as people write them.
type Times struct {
	Now      time.Time
	Location *time.Location
	Windows  *maintenance.Calendar // nil: window:ID is an error
}

// Read returns the time that a text means. window:ID is the beginning of a maintenance or, if end is true, its end.
func (r Times) Read(s string, end bool) (time.Time, error) {
	s = strings.TrimSpace(s)
	if id, ok := strings.CutPrefix(s, "window:"); ok {
		return r.ofWindow(id, end)
	}
	if ago, ok := strings.CutSuffix(s, " ago"); ok {
		if d, err := Duration(strings.TrimSpace(ago)); err == nil && d >= 0 {
			return r.Now.Add(-d).UTC(), nil
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
			y, m, d := r.Now.In(r.Location).Date()
			return r.local(s, time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, time.UTC))
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: give a date as 2026-11-21, a time as \"2026-11-21 02:00\", "+
		"02:00 or 2026-11-21T02:00:00Z, \"2h ago\", or window:ID", text.Short(s))
}

// local returns the instant at which clocks of the zone show a time, and rejects a time that they skip or show twice.
func (r Times) local(s string, wall time.Time) (time.Time, error) {
	y, m, d := wall.Date()
	t := time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, r.Location)
	shows := func(t time.Time) bool { return t.In(r.Location).Format(time.DateTime) == wall.Format(time.DateTime) }
	for _, shift := range []time.Duration{-2 * time.Hour, -time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour,
		2 * time.Hour} {
		if shows(t) && shows(t.Add(shift)) {
			return t, fmt.Errorf("%q happens twice in %s, where clocks go back then: write it with an offset, as %s", s,
				r.Location, t.Format(time.RFC3339))
		}
	}
	if !shows(t) {
		return t, fmt.Errorf("%q does not exist in %s, where clocks go forward then: write it with an offset, as %s", s,
			r.Location, t.Format(time.RFC3339))
	}
	return t.UTC(), nil
}

func (r Times) ofWindow(id string, end bool) (time.Time, error) {
	w, err := FindWindow(r.Windows, id, r.Now)
	if err != nil {
		return time.Time{}, err
	}
	switch span := w.Span(); {
	case !end:
		return span.Start, nil
	case span.End.IsZero():
		return r.Now.UTC(), nil // it is not over
	default:
		return span.End, nil
	}
}

// FindWindow returns the window with an id, which may lack the name of its source.
func FindWindow(c *maintenance.Calendar, id string, now time.Time) (maintenance.Window, error) {
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

// Duration is [time.ParseDuration] with a number of days, such as 30d.
func Duration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok && strings.Trim(days, "0123456789.") == "" {
		d, err := time.ParseDuration(days + "h")
		if err == nil && d > math.MaxInt64/24 {
			err = fmt.Errorf("%q is too long", text.Short(s))
		}
		return 24 * d, err
	}
	return time.ParseDuration(s)
}
