package maintenance

import "time"

// Announced returns the calendar as announced: without actual times and without observed
// windows. It keeps margins.
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

// Filter returns the calendar with the single windows for which keep returns true and
// all weekly rules. It keeps margins.
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
