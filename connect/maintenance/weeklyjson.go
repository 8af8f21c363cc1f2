package maintenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// weeklyJSON is a rule as in a calendar file, with its source.
type weeklyJSON struct {
	weeklyFile
	Source string `json:"source,omitempty"`
}

var weeklyFormat = jsonfile.Format[weeklyJSON]{Name: "maintenance: weekly rule"}

// MarshalJSON encodes the rule as in a calendar file (see [LoadCalendar]), and its Source.
func (r Weekly) MarshalJSON() ([]byte, error) {
	if r.Weekday < time.Sunday || r.Weekday > time.Saturday {
		return nil, fmt.Errorf("maintenance: weekly rule %q: weekday %d is out of range: use 0 (Sunday) to 6 (Saturday)",
			r.ID, int(r.Weekday))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the outer encoder decides
	err := enc.Encode(weeklyJSON{weeklyFile: r.file(), Source: r.Source})
	return b.Bytes(), err
}

// UnmarshalJSON decodes what MarshalJSON encodes. Unknown keys are errors. Validate and
// NewCalendar check the rule as a whole, with time zone data.
func (r *Weekly) UnmarshalJSON(data []byte) error {
	in, err := weeklyFormat.Unmarshal(data)
	if err != nil {
		return err
	}
	rule, err := in.weekly()
	if err != nil {
		return fmt.Errorf("maintenance: weekly rule %q: %w", in.ID, err)
	}
	*r = rule
	r.Source = in.Source
	return nil
}
