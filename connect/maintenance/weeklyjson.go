package maintenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// weeklyJSON is a rule as in a file of windows, with its source.
type weeklyJSON struct {
	weeklyFile
	Source string `json:"source,omitempty"`
}

var weeklyFormat = jsonfile.Format[weeklyJSON]{Name: "connect: weekly rule"}

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
	in, err := weeklyFormat.Unmarshal(data)
	if err != nil {
		return err
	}
	rule, err := in.weekly()
	if err != nil {
		return fmt.Errorf("connect: weekly rule %q: %w", in.ID, err)
	}
	*r = rule
	r.Source = in.Source
	return nil
}
