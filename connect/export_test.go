package connect

import (
	"io"
	"time"
)

// What the tests outside the package look at from inside.
var (
	ParseContentRange = parseContentRange
	DecodeRequest     = decodeRequest
	DecodeHub         = decodeHub
)

// ReadAnswer is the decoder of the files in which Multi keeps answers.
func ReadAnswer(r io.Reader, name string) ([]Window, error) {
	answer, err := readAnswer(r, name)
	if err != nil {
		return nil, err
	}
	return answer.Windows, nil
}

// OnSteadyClock is the probe as taken at an instant of a clock that nobody sets.
func OnSteadyClock(p Probe, steady time.Time) Probe {
	p.begun = steady
	return p
}
