package maintenance

import (
	"time"
)

// Announced is the calendar as it was announced: its windows without what is known
// of how they really went, and without those that a tracker of package availability saw. What was
// announced still speaks where less was observed, since a look sees only the
// moment at which it is taken. Margins are kept.
func (c *Calendar) Announced() *Calendar {
	if c == nil {
		return nil
	}
	entries := make([]entry, 0, len(c.entries))
	for _, e := range c.entries {
		if e.Source == SourceObserved || e.Source == SourceUnreachable {
			continue
		}
		e.ActualStart, e.ActualEnd = time.Time{}, time.Time{}
		entries = append(entries, e)
	}
	return index(entries, c.rules)
}

// Filter is the calendar with those of its single windows for which keep is true,
// and with all its weekly rules. Margins are kept.
func (c *Calendar) Filter(keep func(Window) bool) *Calendar {
	if c == nil {
		return nil
	}
	entries := make([]entry, 0, len(c.entries))
	for _, e := range c.entries {
		if keep(e.Window) {
			entries = append(entries, e)
		}
	}
	return index(entries, c.rules)
}
