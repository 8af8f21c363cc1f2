package maintenance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestWeeklyOverClockChanges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, zone, clock, day string
		weekday                time.Weekday
		want                   string // start in UTC
	}{
		{"an ordinary winter night in Berlin", "Europe/Berlin", "02:30", "2026-03-22", time.Sunday, "2026-03-22T01:30:00Z"},
		{"Berlin skips 02:30 and it begins at 03:30", "Europe/Berlin", "02:30", "2026-03-29", time.Sunday,
			"2026-03-29T01:30:00Z"},
		{"just before Berlin skips an hour", "Europe/Berlin", "01:59", "2026-03-29", time.Sunday, "2026-03-29T00:59:00Z"},
		{"just after Berlin skipped an hour", "Europe/Berlin", "03:00", "2026-03-29", time.Sunday, "2026-03-29T01:00:00Z"},
		{"an ordinary summer night in Berlin", "Europe/Berlin", "02:30", "2026-04-05", time.Sunday, "2026-04-05T00:30:00Z"},
		{"Berlin has 02:30 twice and it begins the first time", "Europe/Berlin", "02:30", "2026-10-25", time.Sunday,
			"2026-10-25T00:30:00Z"},
		{"after the hour that Berlin has twice", "Europe/Berlin", "03:00", "2026-10-25", time.Sunday, "2026-10-25T02:00:00Z"},
		{"New York skips 02:30 and it begins at 03:30", "America/New_York", "02:30", "2026-03-08", time.Sunday,
			"2026-03-08T07:30:00Z"},
		{"New York has 01:30 twice and it begins the first time", "America/New_York", "01:30", "2026-11-01", time.Sunday,
			"2026-11-01T05:30:00Z"},
		{"after the hour that New York has twice", "America/New_York", "02:00", "2026-11-01", time.Sunday,
			"2026-11-01T07:00:00Z"},
		{"Lord Howe skips half an hour, 02:15 becomes 02:45", "Australia/Lord_Howe", "02:15", "2026-10-04", time.Sunday,
			"2026-10-03T15:45:00Z"},
		{"just after Lord Howe skipped half an hour", "Australia/Lord_Howe", "02:30", "2026-10-04", time.Sunday,
			"2026-10-03T15:30:00Z"},
		{"Lord Howe has 01:45 twice and it begins the first time", "Australia/Lord_Howe", "01:45", "2026-04-05", time.Sunday,
			"2026-04-04T14:45:00Z"},
		{"just before the half hour that Lord Howe has twice", "Australia/Lord_Howe", "01:29", "2026-04-05", time.Sunday,
			"2026-04-04T14:29:00Z"},
		{"Samoa skipped the whole of a Friday", "Pacific/Apia", "12:00", "2011-12-30", time.Friday, "2011-12-30T22:00:00Z"},
		{"a midnight that São Paulo skipped", "America/Sao_Paulo", "00:00", "2018-11-04", time.Sunday,
			"2018-11-04T03:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := calendarOf(t, nil, maintenance.Weekly{ID: "r", Weekday: tc.weekday, Time: tc.clock, Duration: 3 * time.Hour,
				Zone: tc.zone})
			start := instant(t, tc.want)
			want := maintenance.Window{ID: "r@" + tc.day, Start: start, End: start.Add(3 * time.Hour), Zone: tc.zone}
			for at, holds := range map[time.Time]bool{
				start.Add(-1): false, start: true, want.End.Add(-1): true, want.End: false,
			} {
				got, ok := c.At(at)
				require.Equal(t, holds, ok, "%s", at)
				require.True(t, !ok || got == want, "%s", got)
			}
			got, _ := c.Next(start.Add(-time.Hour))
			require.Equal(t, want, got)
			got, _ = c.Last(want.End)
			require.Equal(t, want, got)
			require.Equal(t, []maintenance.Window{want}, c.Overlapping(start.Add(time.Hour), start.Add(2*time.Hour)))
		})
	}
}

func TestWeeklyCrossesMidnightAndClockChanges(t *testing.T) {
	t.Parallel()
	c := calendarOf(t, nil, maintenance.Weekly{ID: "r", Title: "Upgrade", Source: "test", Weekday: time.Saturday,
		Time: "23:00", Duration: 6 * time.Hour, Zone: "Europe/Berlin"})
	got, ok := c.At(instant(t, "2026-03-29T03:59:59Z"))
	require.True(t, ok, "six hours pass although the clocks show seven")
	require.Equal(t, maintenance.Window{
		ID: "r@2026-03-28", Title: "Upgrade", Source: "test", Zone: "Europe/Berlin",
		Start: instant(t, "2026-03-28T22:00:00Z"), End: instant(t, "2026-03-29T04:00:00Z"),
	}, got)
}

func TestWeeklyFarAway(t *testing.T) {
	t.Parallel()
	c := calendarOf(t, nil, maintenance.Weekly{ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour,
		Zone: "Europe/Berlin"})
	for at, want := range map[string][2]string{ // last and next
		"0001-01-01T00:00:00Z": {"", "r@0001-01-13"},
		"1969-12-31T23:59:59Z": {"r@1969-12-27", "r@1970-01-03"},
		"2626-01-01T00:00:00Z": {"r@2625-12-31", "r@2626-01-07"},
		"9999-12-31T00:00:00Z": {"r@9999-12-18", ""},
	} {
		last, _ := c.Last(instant(t, at))
		next, _ := c.Next(instant(t, at))
		require.Equal(t, want, [2]string{last.ID, next.ID}, at)
	}
	for _, far := range []time.Time{time.Unix(1<<62, 0), time.Unix(-1<<62, 0)} {
		_, ok := c.At(far)
		require.False(t, ok)
	}
}

func TestWeeklyWithExceptionsAndBounds(t *testing.T) {
	t.Parallel()
	c := calendarOf(t, nil, maintenance.Weekly{
		ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC",
		Except: []string{"2026-01-24", "2026-01-17"}, From: "2026-01-10", Until: "2026-02-07",
	})
	all := c.Overlapping(instant(t, "2025-01-01T00:00:00Z"), instant(t, "2027-01-01T00:00:00Z"))
	require.Equal(t, []string{"r@2026-01-10", "r@2026-01-31", "r@2026-02-07"}, windowIDs(all))
	_, ok := c.At(instant(t, "2026-01-17T02:30:00Z"))
	require.False(t, ok)
	next, _ := c.Next(instant(t, "2026-01-10T02:00:01Z"))
	require.Equal(t, "r@2026-01-31", next.ID)
	last, _ := c.Last(instant(t, "2026-01-31T02:30:00Z"))
	require.Equal(t, "r@2026-01-10", last.ID)
	_, ok = c.Next(instant(t, "2026-02-07T02:00:01Z"))
	require.False(t, ok)
	_, ok = c.Last(instant(t, "2026-01-10T02:59:59Z"))
	require.False(t, ok)
}

func TestWeeklyWithoutOccurrenceBetweenBounds(t *testing.T) {
	t.Parallel()
	c := calendarOf(t, nil, maintenance.Weekly{
		ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC", From: "2026-01-11",
		Until: "2026-01-16",
	})
	require.Empty(t, c.Overlapping(instant(t, "2025-01-01T00:00:00Z"), instant(t, "2027-01-01T00:00:00Z")))
	for _, find := range []func(time.Time) (maintenance.Window, bool){c.At, c.Next, c.Last} {
		_, ok := find(instant(t, "2026-01-10T02:30:00Z"))
		require.False(t, ok)
	}
}

func TestWeeklyOccurrenceReplacedByWindow(t *testing.T) {
	t.Parallel()
	rule := maintenance.Weekly{ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC"}
	cancelled := windowAt(t, "r@2026-01-17", "2026-01-17T02:00:00Z", "2026-01-17T03:00:00Z")
	cancelled.Cancelled = true
	overrun := windowAt(t, "r@2026-01-31", "2026-01-31T02:00:00Z", "2026-01-31T03:00:00Z")
	overrun.ActualStart, overrun.ActualEnd = overrun.Start, instant(t, "2026-01-31T06:00:00Z")
	c := calendarOf(t, []maintenance.Window{
		cancelled, overrun, windowAt(t, "r@2026-01-24", "2026-01-25T04:00:00Z", "2026-01-25T05:00:00Z"),
	}, rule)

	require.Equal(t, []maintenance.Span{
		{Start: instant(t, "2026-01-10T02:00:00Z"), End: instant(t, "2026-01-10T03:00:00Z")},
		{Start: instant(t, "2026-01-25T04:00:00Z"), End: instant(t, "2026-01-25T05:00:00Z")},
		{Start: instant(t, "2026-01-31T02:00:00Z"), End: instant(t, "2026-01-31T06:00:00Z")},
	}, c.Spans(instant(t, "2026-01-10T00:00:00Z"), instant(t, "2026-02-01T00:00:00Z")))
	merged := calendarOf(t, nil, rule).Merge(calendarOf(t, []maintenance.Window{cancelled}))
	_, ok := merged.At(cancelled.Start)
	require.False(t, ok)
}

func TestWeeklyValidate(t *testing.T) {
	t.Parallel()
	valid := maintenance.Weekly{ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC"}
	require.NoError(t, valid.Validate())
	for _, tc := range []struct {
		name, want string
		change     func(*maintenance.Weekly)
	}{
		{"no id", `maintenance: weekly rule "": id is missing: set a unique one`, func(r *maintenance.Weekly) { r.ID = "" }},
		{"no day of the week", `maintenance: weekly rule "r": weekday 7 is out of range: use 0 (Sunday) to 6 (Saturday)`,
			func(r *maintenance.Weekly) { r.Weekday = 7 }},
		{"no time", `maintenance: weekly rule "r": time "" is not a time of day: write it like "02:00"`,
			func(r *maintenance.Weekly) { r.Time = "" }},
		{"no duration", `maintenance: weekly rule "r": duration 0s is not positive`,
			func(r *maintenance.Weekly) { r.Duration = 0 }},
		{"a zone of the machine",
			`maintenance: weekly rule "r": timezone time zone "Local" depends on the machine: use an IANA name such as ` +
				`Europe/Berlin`, func(r *maintenance.Weekly) { r.Zone = "Local" }},
		{"a bound that is no date", `maintenance: weekly rule "r": until "soon" is not a date: write it like "2026-12-26"`,
			func(r *maintenance.Weekly) { r.Until = "soon" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := valid
			tc.change(&r)
			require.EqualError(t, r.Validate(), tc.want)
		})
	}
}
