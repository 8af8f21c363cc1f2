package wallclock_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/wallclock"
)

func TestInstants(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, zone, reading, want string
		n                         int
	}{
		{"an hour of any day", "Europe/Berlin", "2026-01-10T02:00:00Z", "2026-01-10T01:00:00Z", 1},
		{"a time that clocks skip is as much later", "Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z", 0},
		{"a time that they show twice is the first", "Europe/Berlin", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z", 2},
		{"just before the second of these", "Europe/Berlin", "2026-10-25T01:59:59Z", "2026-10-24T23:59:59Z", 1},
		{"just after them", "Europe/Berlin", "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z", 1},
		{"a half-hour step", "Australia/Lord_Howe", "2026-04-05T01:45:00Z", "2026-04-04T14:45:00Z", 2},
		{"a day that Samoa skipped", "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00Z", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			loc, err := time.LoadLocation(tc.zone)
			require.NoError(t, err)
			reading, err := time.Parse(time.RFC3339, tc.reading)
			require.NoError(t, err)
			got, n := wallclock.Instants(reading, func(at time.Time) time.Duration { return wallclock.Offset(at, loc) })
			require.Equal(t, tc.want, got.Format(time.RFC3339))
			require.Equal(t, tc.n, n)
		})
	}
}
