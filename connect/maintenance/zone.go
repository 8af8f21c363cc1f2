package maintenance

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wallclock"
)

// zones caches time.LoadLocation, which reads a file on every call: a calendar names the
// same few zones thousands of times.
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
		return nil, fmt.Errorf("time zone %q is unknown: use an IANA name such as Europe/Berlin"+
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

// wall is a local clock reading, stored as the same reading in UTC.
type wall time.Time

// instants returns the instants at which the clocks of loc show w, see
// [wallclock.Instants].
func (w wall) instants(loc *time.Location) (first time.Time, n int) {
	return wallclock.Instants(time.Time(w), func(t time.Time) time.Duration { return offset(t, loc) })
}

func offset(t time.Time, loc *time.Location) time.Duration { return wallclock.Offset(t, loc) }
