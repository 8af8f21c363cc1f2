package maintenance_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestWindowState(t *testing.T) {
	t.Parallel()
	planned := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	with := func(start, end string) maintenance.Window {
		w := planned
		if start != "" {
			w.ActualStart = instant(t, "2026-01-10T"+start+"Z")
		}
		if end != "" {
			w.ActualEnd = instant(t, "2026-01-10T"+end+"Z")
		}
		return w
	}
	cancelled := planned
	cancelled.Cancelled = true
	for _, tc := range []struct {
		name   string
		window maintenance.Window
		now    string
		want   maintenance.WindowState
	}{
		{"before its start it is planned", planned, "01:59:59", maintenance.Planned},
		{"from its start it is ongoing", planned, "02:00:00", maintenance.Ongoing},
		{"until just before its end", planned, "04:59:59", maintenance.Ongoing},
		{"at its end it is finished", planned, "05:00:00", maintenance.Finished},
		{"cancelled it is cancelled at any time", cancelled, "03:00:00", maintenance.Cancelled},
		{"it began late", with("02:30:00", ""), "02:15:00", maintenance.Planned},
		{"it began early", with("01:30:00", ""), "01:45:00", maintenance.Ongoing},
		{"it began and its planned end is ahead", with("02:30:00", ""), "04:59:59", maintenance.Ongoing},
		{"it began and its planned end is here", with("02:30:00", ""), "05:00:00", maintenance.Overrun},
		{"it began only after its planned end", with("06:00:00", ""), "06:00:00", maintenance.Overrun},
		{"it overran and has ended", with("02:30:00", "06:00:00"), "05:30:00", maintenance.Ongoing},
		{"at its real end it is finished", with("02:30:00", "06:00:00"), "06:00:00", maintenance.Finished},
		{"it ended early and nobody wrote down when it began", with("", "03:00:00"), "03:00:00", maintenance.Finished},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, tc.window.Validate())
			require.Equal(t, tc.want, tc.window.State(instant(t, "2026-01-10T"+tc.now+"Z")))
		})
	}
}

func TestSpanContains(t *testing.T) {
	t.Parallel()
	start := instant(t, "2026-01-10T02:00:00Z")
	require.False(t, maintenance.Span{Start: start, End: start}.Contains(start), "an empty span contains nothing")
	open := maintenance.Span{Start: start}
	require.False(t, open.Contains(start.Add(-1)))
	require.True(t, open.Contains(start.AddDate(100, 0, 0)))
}

func TestWindowValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		change     func(*maintenance.Window)
	}{
		{"no id", `maintenance: window " ": id is missing: set a unique one`, func(w *maintenance.Window) { w.ID = " " }},
		{"an id that breaks lines", `maintenance: window "a\nb": id "a\nb" has control characters: remove them`,
			func(w *maintenance.Window) { w.ID = "a\nb" }},
		{"no start", `maintenance: window "a": has no start`, func(w *maintenance.Window) { w.Start = time.Time{} }},
		{"no end", `maintenance: window "a": has no end`, func(w *maintenance.Window) { w.End = time.Time{} }},
		{"an end at the start",
			`maintenance: window "a": ends at 2026-01-10T02:00:00Z, which is not after its start at 2026-01-10T02:00:00Z`,
			func(w *maintenance.Window) { w.End = w.Start }},
		{"a real end before the real start",
			`maintenance: window "a": actual end 2026-01-10T03:00:00Z is not after the start 2026-01-10T04:00:00Z: set the ` +
				`actual start too`, func(w *maintenance.Window) {
				w.ActualStart, w.ActualEnd = w.Start.Add(2*time.Hour), w.Start.Add(time.Hour)
			}},
		{"an unknown zone",
			`maintenance: window "a": time zone "Mars" is unknown: use an IANA name such as Europe/Berlin (a machine without ` +
				`time zone data needs import _ "time/tzdata")`, func(w *maintenance.Window) { w.Zone = "Mars" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
			require.NoError(t, w.Validate())
			tc.change(&w)
			require.EqualError(t, w.Validate(), tc.want)
		})
	}
}

func TestWindowString(t *testing.T) {
	t.Parallel()
	w := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:30Z")
	require.Equal(t, "a: 2026-01-10 02:00 UTC to 2026-01-10 05:00:30 UTC", w.String())
	w.Title, w.Zone, w.ActualStart = "Upgrade", "America/New_York", w.Start.Add(time.Hour)
	require.Equal(t,
		`a "Upgrade": 2026-01-09 21:00 EST to 2026-01-10 00:00:30 EST, actually 2026-01-09 22:00 EST to (not known)`,
		w.String())
	w.Zone, w.Title, w.ActualStart, w.Cancelled = "Mars", "", time.Time{}, true
	require.Equal(t, "a: 2026-01-10 02:00 UTC to 2026-01-10 05:00:30 UTC, cancelled", w.String())
}

func TestWindowJSONOmitsUnknown(t *testing.T) {
	t.Parallel()
	w := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	data, err := json.Marshal(w)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"a","start":"2026-01-10T02:00:00Z","end":"2026-01-10T05:00:00Z"}`, string(data))
	var back maintenance.Window
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, w, back)
}
