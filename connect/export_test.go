package connect

import "time"

// What the tests outside the package look at from inside.
var (
	ParseContentRange = parseContentRange
	DecodeRequest     = decodeRequest
	DecodeHub         = decodeHub
)

// OnSteadyClock is the probe as taken at an instant of a clock that nobody sets.
func OnSteadyClock(p Probe, steady time.Time) Probe {
	p.begun = steady
	return p
}
