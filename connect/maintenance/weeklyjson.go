package maintenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// weeklyJSON is a rule as in a file of windows, with its source.
type weeklyJSON struct {
	weeklyFile
	Source string `json:"source,omitempty"`
}

// MarshalJSON writes the rule with the keys and the forms of a file of windows (see
// LoadCalendar), and its Source.
func (r Weekly) MarshalJSON() ([]byte, error) {
	if r.Weekday < time.Sunday || r.Weekday > time.Saturday {
		return nil, fmt.Errorf("connect: weekly rule %q: weekday %d is none: use 0 (Sunday) to 6 (Saturday)", r.ID, int(r.Weekday))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // whether to escape is the outer encoder's choice
	err := enc.Encode(weeklyJSON{weeklyFile: r.file(), Source: r.Source})
	return b.Bytes(), err
}

// UnmarshalJSON reads what MarshalJSON writes. Unknown keys are errors. The rule is
// checked as a whole by Validate and NewCalendar, which need time zone data.
func (r *Weekly) UnmarshalJSON(data []byte) error {
	var in weeklyJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return fmt.Errorf("connect: weekly rule: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	day, err := parseWeekday(in.Weekday)
	if err != nil {
		return fmt.Errorf("connect: weekly rule %q: weekday %w", in.ID, err)
	}
	duration, err := time.ParseDuration(in.Duration)
	if err != nil {
		return fmt.Errorf("connect: weekly rule %q: duration %q is not a duration: write it like 3h or 2h30m", in.ID, in.Duration)
	}
	*r = Weekly{
		ID: in.ID, Title: in.Title, Weekday: day, Time: in.Time, Duration: duration, Zone: in.Timezone,
		Except: in.Except, From: in.From, Until: in.Until, Source: in.Source,
	}
	return nil
}
