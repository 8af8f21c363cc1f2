package ical_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		`TZID=Europe/Berlin`, `tzid="Europe/Berlin"`, `X-A="a:b;c";TZID=Europe/Berlin`, `TZID=Europe/Berlin;X-A=`,
		`X-A="a","b";TZID=Europe/Berlin`, `TZID=Europe/Berlin;TZID=Asia/Tokyo`, `TZID=(UTC+1)\, Berlin`,
		`TZID="(UTC+1), Berlin"`, `TZID=UTC+01:00`, `TZID=UTC+01:00;X-A=b`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, calendar(plain("DTSTART;"+name+":20260110T020000", "DURATION:PT1H")),
				ical.WithZoneName("(UTC+1), Berlin", "Europe/Berlin"), ical.WithZoneName("UTC+01:00", "Europe/Berlin"))
			windows, err := in2026(t, s)
			require.NoError(t, err)
			require.Len(t, windows, 1)
			require.Equal(t, instant(t, "2026-01-10T01:00:00Z"), windows[0].Start)
		})
	}
}
