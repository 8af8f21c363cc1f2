package input

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestTimesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	window := func(id string, hour int) maintenance.Window {
		return maintenance.Window{ID: id, Start: time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC),
			End: time.Date(2026, 11, 21, hour+1, 0, 0, 0, time.UTC)}
	}
	over, twice, again, still := window("CHG-2041", 2), window("a/CHG-7", 4), window("b/CHG-7", 6), window("feed/CHG-8", 8)
	still.ActualStart = still.Start
	calendar, err := maintenance.NewCalendar([]maintenance.Window{over, twice, again, still})
	require.NoError(t, err)
	r := Times{Now: now, Location: berlin, Windows: calendar}
	for text, want := range map[string]string{
		"2026-11-21":           "2026-11-20T23:00:00Z",
		"2026-07-21":           "2026-07-20T22:00:00Z",
		"2026-11-21 02:00":     "2026-11-21T01:00:00Z",
		"2026-11-21T02:00:30":  "2026-11-21T01:00:30Z",
		"2026-11-21T02:00:00Z": "2026-11-21T02:00:00Z",
		"02:00":                "2026-11-21T01:00:00Z",
		"2h ago":               "2026-11-21T10:00:00Z",
		"1h30m ago":            "2026-11-21T10:30:00Z",
		"3d ago":               "2026-11-18T12:00:00Z",
		"window:CHG-2041":      "2026-11-21T02:00:00Z",
		"window:CHG-8":         "2026-11-21T08:00:00Z",
		"window:a/CHG-7":       "2026-11-21T04:00:00Z",
	} {
		got, err := r.Read(text, false)
		require.NoError(t, err, text)
		require.Equal(t, want, got.Format(time.RFC3339), text)
	}
	end, err := r.Read("window:CHG-2041", true)
	require.NoError(t, err)
	require.Equal(t, over.End, end)
	end, err = r.Read("window:CHG-8", true)
	require.NoError(t, err)
	require.Equal(t, now, end, "it is not over")
	for text, says := range map[string]string{
		"":                 "is not a time",
		"yesterday":        "is not a time",
		"21.11.2026":       "is not a time",
		"2026-02-30":       "is not a time",
		"-2h ago":          "is not a time",
		"12h1d ago":        "is not a time",
		"window:CHG-2042":  `there is no maintenance window "CHG-2042" (did you mean "CHG-2041"?)`,
		"window:CHG-7":     `is the id of several windows: give one of a/CHG-7 and b/CHG-7`,
		"2026-03-29 02:30": "does not exist in Europe/Berlin",
		"2026-10-25 02:30": "happens twice in Europe/Berlin",
	} {
		_, err := r.Read(text, false)
		require.ErrorContains(t, err, says, text)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"4": 4, "4/s": 4, "0.5/s": 0.5, "120/min": 2, "3600/h": 1, " 4 / s": 4} {
		got, err := Rate(text)
		require.NoError(t, err, text)
		require.InDelta(t, want, got, 1e-9, text)
	}
	for _, text := range []string{"", "0", "-1", "NaN", "Inf", "1e9", "4/", "4/d", "fast", "4/s/s"} {
		_, err := Rate(text)
		require.ErrorContains(t, err, "is not a rate", text)
	}
	d, err := Duration("1.5d")
	require.NoError(t, err)
	require.Equal(t, 36*time.Hour, d)
	for _, text := range []string{"12h1d", "1d12h", "-1d", "d", "1.2.3d", "200000d", "1e2d", "1 d"} {
		_, err := Duration(text)
		require.Error(t, err, text)
	}
	steps, err := Steps("1,2, 5")
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 5}, steps)
	steps, err = Steps("off")
	require.NoError(t, err)
	require.NotNil(t, steps)
	require.Empty(t, steps)
	for _, text := range []string{"", "0", "1,,2", "1,x", "-1", "none"} {
		_, err := Steps(text)
		require.Error(t, err, text)
	}
}
