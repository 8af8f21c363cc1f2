package connect

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// zones keeps what time.LoadLocation returned: it reads a file on every call,
// and a calendar names the same few zones thousands of times.
var zones sync.Map // string → *time.Location

// loadZone returns the zone of an IANA name; "" is UTC.
func loadZone(name string) (*time.Location, error) {
	known, _ := zones.Load(name)
	if loc, ok := known.(*time.Location); ok {
		return loc, nil
	}
	if name == "Local" {
		return nil, errors.New(`time zone "Local" depends on the machine: use an IANA name such as Europe/Berlin`)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known: use an IANA name such as Europe/Berlin"+
			` (a machine without time zone data needs import _ "time/tzdata")`, name)
	}
	zones.Store(name, loc)
	return loc, nil
}

func zoneOrUTC(name string) *time.Location {
	loc, err := loadZone(name)
	if err != nil {
		return time.UTC
	}
	return loc
}

// wall is what a clock on the wall shows, as the same reading in UTC.
type wall time.Time

// instants returns the instants at which the clocks of loc show w: one as a rule,
// two when clocks go back over it, none when they skip it. The first return is
// then where the clock would have got to had it not been set forward, so that
// 02:30 becomes 03:30 (as RFC 5545 3.3.5 has it). time.Date does not promise which of
// two readings it takes, hence this.
func (w wall) instants(loc *time.Location) (first time.Time, n int) {
	u := time.Time(w)
	// Zones do not change twice within two days.
	before, after := offset(u.Add(-24*time.Hour), loc), offset(u.Add(24*time.Hour), loc)
	early, late := u.Add(-before), u.Add(-after)
	earlyOK, lateOK := offset(early, loc) == before, offset(late, loc) == after
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

func offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}
