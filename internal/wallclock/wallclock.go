// Package wallclock converts local times to instants, also when clocks change.
//
//	offset := func(t time.Time) time.Duration { return wallclock.Offset(t, berlin) }
//	first, n := wallclock.Instants(reading, offset) // n is 0 if clocks skip the reading
//
// All functions are pure.
package wallclock

import "time"

// Offset returns how far loc is ahead of UTC at an instant.
func Offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}

// Instants returns the first instant at which local clocks show a reading, and how many such
// instants there are: usually one, two if clocks are set back over the reading, none if they
// skip it. A skipped reading counts from before the change, so that 02:30 becomes 03:30
// (RFC 5545 3.3.5). The reading is given as if it were UTC. offset returns how far local time is
// ahead of UTC; it is called for up to 26 hours around the reading, and must not change twice
// within two days. time.Date does not guarantee which of two instants it returns.
func Instants(reading time.Time, offset func(time.Time) time.Duration) (first time.Time, n int) {
	before, after := offset(reading.Add(-24*time.Hour)), offset(reading.Add(24*time.Hour))
	early, late := reading.Add(-before), reading.Add(-after)
	earlyOK, lateOK := offset(early) == before, offset(late) == after
	switch {
	case before == after:
		return early, 1
	case earlyOK && lateOK:
		return early, 2
	case lateOK:
		return late, 1
	case earlyOK:
		return early, 1
	default:
		return early, 0
	}
}
