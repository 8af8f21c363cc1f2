// Package wallclock turns what a clock on the wall shows into the instants at which
// it does so. Everything in it is pure.
package wallclock

import "time"

// Offset is how far the clocks of loc are ahead of UTC at an instant.
func Offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}

// Instants returns the instants at which clocks show the reading, which is given
// as if it were UTC: one as a rule, two when clocks go back over it, none when
// they skip it. The first return is then where the clock would have got to had it
// not been set forward, so that 02:30 becomes 03:30 (as RFC 5545 3.3.5 has it).
// time.Date does not promise which of two readings it takes, hence this. The
// offset of the clocks is asked for up to 26 hours round the reading; the clocks
// must not change twice within two days.
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
