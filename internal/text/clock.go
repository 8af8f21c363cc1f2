package text

import "time"

// Clock formats a time for people, in a time zone: to the minute, or to the second where
// it has seconds. A zero time is "(not known)".
func Clock(t time.Time, loc *time.Location) string {
	switch {
	case t.IsZero():
		return "(not known)"
	case t.Second() != 0:
		return t.In(loc).Format("2006-01-02 15:04:05 MST")
	default:
		return t.In(loc).Format("2006-01-02 15:04 MST")
	}
}
