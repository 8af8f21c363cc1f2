package fields

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// ParseTime parses a time, converts it to UTC, and reports whether it has seconds. It reads RFC
// 3339, which was seen, and likely variants: a blank for the T, no colons in the offset, no minutes
// in it, no seconds, a date alone, RFC 1123, and the milliseconds since 1970, as a number or a text. A
// time without a zone counts as UTC (inferred). A zone must be an offset or UTC, because other
// abbreviations are ambiguous. An empty text is the zero time, which is exact.
func ParseTime(raw json.RawMessage) (t time.Time, exact bool, err error) {
	s, err := Scalar(raw)
	if err != nil || s == "" {
		return time.Time{}, true, err
	}
	t, exact, err = parseText(strings.TrimSpace(s))
	_, offset := t.Zone()
	// time.Parse accepts +24:00, RFC 3339 does not.
	if err != nil || (time.Duration(offset)*time.Second).Abs() >= 24*time.Hour {
		return time.Time{}, false, fmt.Errorf("must be a time such as 2026-11-01T10:00:00Z, not %s", Excerpt(raw))
	}
	// Other years cannot be formatted.
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, false, fmt.Errorf("has the year %d, which cannot be right", t.Year())
	}
	return t, exact, nil
}

var spellings = strings.NewReplacer(" UTC", "Z", " GMT", "Z", " +", "+")

func parseText(s string) (t time.Time, exact bool, err error) {
	if len(s) == 12 || len(s) == 13 { // from 1973 to 2286
		if n, err := number.ParseInt(s, 10, 64); err == nil && n > 0 {
			return time.UnixMilli(n), true, nil
		}
	}
	s = spellings.Replace(strings.ToUpper(s))
	date, clock := s[:min(len(s), len(time.DateOnly))], s[min(len(s), len(time.DateOnly)):]
	if t, err = time.Parse(time.DateOnly, date); err != nil {
		t, err = time.Parse("Mon, 2 Jan 2006 15:04:05Z0700", s)
		return t, true, err
	}
	if clock == "" {
		return t, false, nil
	}
	zone := ""
	if i := strings.IndexAny(clock, "Z+-"); i >= 0 {
		clock, zone = clock[:i], clock[i:]
	}
	layout, exact := "T15:04", strings.Count(clock, ":") > 1
	if exact {
		layout += ":05" // a fraction may follow
	}
	layout = time.DateOnly + layout + map[int]string{1: "Z07", 3: "Z07", 5: "Z0700", 6: "Z07:00"}[len(zone)]
	t, err = time.Parse(layout, date+"T"+strings.Trim(clock, "T ")+zone)
	return t, exact, err
}
