package fields_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/fields"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC)
	for raw, want := range map[string]time.Time{
		`"2026-11-19T08:00:00Z"`: want, `"2026-11-19T10:00:00+02:00"`: want, `"2026-11-19T10:00:00+0200"`: want,
		`"2026-11-19T10:00:00+02"`: want, `"2026-11-19T08:00:00+00"`: want, `"2026-11-19T00:30:00-0730"`: want,
		`"2026-11-19 10:00:00+02:00"`: want, `"2026-11-19 08:00:00+00"`: want, `"2026-11-19 10:00:00 +0200"`: want,
		`"2026-11-19T08:00:00"`: want, `"2026-11-19 08:00:00"`: want, `"2026-11-19t08:00:00z"`: want,
		`"2026-11-19 08:00:00 UTC"`: want, `" 2026-11-19T08:00:00Z "`: want,
		`"2026-11-19T08:00:00.5+00"`:          want.Add(500 * time.Millisecond),
		`"2026-11-19 08:00:00.123456+00"`:     want.Add(123456 * time.Microsecond),
		`"2026-11-19T08:00:00,25Z"`:           want.Add(250 * time.Millisecond),
		`"Thu, 19 Nov 2026 08:00:00 GMT"`:     want,
		`"Thu, 19 Nov 2026 08:00:00 UTC"`:     want,
		`"Thu, 19 Nov 2026 10:00:00 +0200"`:   want,
		`1795075200000`:                       want,
		`"1795075200123"`:                     want.Add(123 * time.Millisecond),
		`123456789012`:                        time.UnixMilli(123456789012).UTC(),
		`"0001-01-01T00:00:00Z"`:              {},
		`"9999-12-31T23:59:59.999999999999Z"`: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		`""`:                                  {},
	} {
		got, exact, err := fields.ParseTime(json.RawMessage(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
		require.True(t, exact, raw)
	}
	for raw, want := range map[string]time.Time{
		`"2026-11-19T08:00Z"`: want, `"2026-11-19T10:00+02:00"`: want, `"2026-11-19T10:00+0200"`: want,
		`"2026-11-19T08:00"`: want, `"2026-11-19 08:00+00"`: want, `"2026-11-19"`: want.Truncate(24 * time.Hour),
	} {
		got, exact, err := fields.ParseTime(json.RawMessage(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
		require.False(t, exact, raw)
	}
	for _, raw := range []string{
		`"2026-11-19T08:00:00+24:00"`, `"2026-11-19T08:00:00-2400"`, `"2026-11-19 08:00:00+24"`, `"yesterday"`, `"20261119"`,
		`"2026-11-19T08"`, `"2026-11-19Z"`, `"2026-13-19T08:00:00Z"`, `"2026-11-19T08:00:00 CET"`, `"2026-11-19T08:00:00+2"`,
		`"Thu, 19 Nov 2026 08:00:00 CET"`, `"2026-11-19T08:00:00ZZ"`, `1795075200`, `179507520000000`, `1795075200.5`,
		`-1795075200000`, `12345678.1234`, `"0x12345678901"`,
	} {
		_, _, err := fields.ParseTime(json.RawMessage(raw))
		require.ErrorContains(t, err, "must be a time such as", raw)
	}
	for raw, says := range map[string]string{
		`{}`: "must be a text or a number", `"0001-01-01T00:00:00+01:00"`: "has the year 0",
		`"9999-12-31T23:59:59-01:00"`: "has the year 10000",
	} {
		_, _, err := fields.ParseTime(json.RawMessage(raw))
		require.ErrorContains(t, err, says, raw)
	}
}
