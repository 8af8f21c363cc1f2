package ical_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

// withZone is a calendar with an hour at some local times of a zone of its own.
func withZone(zone string, times ...string) string {
	text := "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Ours\n" + zone + "\nEND:VTIMEZONE\n"
	for i, at := range times {
		text += fmt.Sprintf("BEGIN:VEVENT\nUID:%d\nDTSTART;TZID=Ours:%s\nDURATION:PT1H\nEND:VEVENT\n", i, at)
	}
	return text + "END:VCALENDAR\n"
}

func observance(kind, start, from, to string, more ...string) string {
	return fmt.Sprintf("BEGIN:%[1]s\nDTSTART:%[2]s\nTZOFFSETFROM:%[3]s\nTZOFFSETTO:%[4]s\n%[5]s\nEND:%[1]s", kind, start,
		from, to, strings.Join(more, "\n"))
}

func TestZonesDefinedInTheCalendar(t *testing.T) {
	t.Parallel()
	ours := map[string]string{
		// As Outlook writes them.
		"Europe/Berlin": observance("STANDARD", "16011028T030000", "+0200", "+0100",
			"RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10") + "\n" +
			observance("DAYLIGHT", "16010325T020000", "+0100", "+0200", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3"),
		"America/New_York": observance("DAYLIGHT", "20070311T020000", "-0500", "-0400",
			"RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU") + "\n" +
			observance("STANDARD", "20071104T020000", "-0400", "-0500", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU"),
		"Australia/Lord_Howe": observance("STANDARD", "20080406T020000", "+1100", "+1030",
			"RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU") + "\n" +
			observance("DAYLIGHT", "20081005T020000", "+1030", "+1100", "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=1SU"),
		"Asia/Kolkata": observance("STANDARD", "16010101T000000", "+0530", "+0530"),
	}
	rapid.Check(t, func(t *rapid.T) {
		for name, rules := range ours {
			at := time.Date(2010, 1, 1, 0, rapid.IntRange(0, 15*365*24*60).Draw(t, "minute"), 0, 0, time.UTC)
			if rapid.Bool().Draw(t, "near a change") {
				at = time.Date(at.Year(), time.Month(rapid.SampledFrom([]int{3, 4, 10, 11}).Draw(t, "month")), 1, 0, 0, 0, 0,
					time.UTC)
				for at.Weekday() != time.Sunday {
					at = at.AddDate(0, 0, 1)
				}
				at = at.AddDate(0, 0, 7*rapid.IntRange(0, 4).Draw(t,
					"week")).Add(time.Duration(rapid.IntRange(0, 240).Draw(t, "after midnight")) * time.Minute)
			}
			local := at.Format("20060102T150405")
			want := startOf(t, calendar("UID:0\nDTSTART;TZID="+name+":"+local+"\nDURATION:PT1H"))
			require.Equal(t, want, startOf(t, withZone(rules, local)), "%s %s", name, local)
		}
	})
}

// startOf is when the only event of a calendar begins.
func startOf(t *rapid.T, text string) time.Time {
	s, err := ical.Parse(strings.NewReader(text), "test")
	require.NoError(t, err)
	windows, err := s.Windows(t.Context(), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Len(t, windows, 1)
	return windows[0].Start
}

func TestZoneRulesWithAnEnd(t *testing.T) {
	t.Parallel()
	// Summer time to 2024 by a rule, in 2026 by a date, and never again.
	zone := observance("STANDARD", "20001029T030000", "+0200", "+0100",
		"RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10;UNTIL=20241027T010000Z", "RDATE:20261025T030000") + "\n" +
		observance("DAYLIGHT", "20000326T020000", "+0100", "+0200",
			"RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3;UNTIL=20240331T010000Z", "RDATE:20260329T020000")
	s := parse(t, withZone(zone, "19990701T120000", "20240701T120000", "20250701T120000", "20260701T120000",
		"20261201T120000", "20270701T120000"))
	windows, err := s.Windows(t.Context(), instant(t, "1990-01-01T00:00:00Z"), instant(t, "2050-01-01T00:00:00Z"))
	require.NoError(t, err)
	require.Equal(t, []string{
		"1999-07-01T11:00:00Z 1h0m0s 0 ", "2024-07-01T10:00:00Z 1h0m0s 1 ", "2025-07-01T11:00:00Z 1h0m0s 2 ",
		"2026-07-01T10:00:00Z 1h0m0s 3 ", "2026-12-01T11:00:00Z 1h0m0s 4 ", "2027-07-01T11:00:00Z 1h0m0s 5 ",
	}, lines(windows))
}

func TestZonesWithInvalidDefinition(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ zone, want string }{
		"no rules": {"X-LIC-LOCATION:Mars", "has neither STANDARD nor DAYLIGHT"},
		"no start": {"BEGIN:STANDARD\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD",
			"line 4: STANDARD needs DTSTART, TZOFFSETFROM and TZOFFSETTO"},
		"an offset that is none": {observance("STANDARD", "20260101T000000", "+0100", "1 hour"),
			`line 4: TZOFFSETTO "1 hour" cannot be read`},
		"a start that is none": {observance("STANDARD", "tomorrow", "+0100", "+0100"),
			`line 4: DTSTART "tomorrow" cannot be read`},
		"a rule finer than daily": {observance("STANDARD", "20260101T000000", "+0100", "+0100", "RRULE:FREQ=HOURLY"),
			"FREQ=HOURLY is finer than DAILY"},
		"a change every day": {observance("STANDARD", "20260101T000000", "+0100", "+0100", "RRULE:FREQ=DAILY"),
			"line 4: has more than 5000 changes"},
		"many dates": {observance("STANDARD", "20260101T000000", "+0100", "+0100",
			strings.Repeat("RDATE:20260101T000000\n", 5001)), "line 4: has more than 5000 changes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			windows, err := in2026(t, parse(t, withZone(tc.zone, "20260701T120000")))
			require.Empty(t, windows)
			require.ErrorContains(t, err, `DTSTART has the time zone "Ours", whose definition cannot be used (`)
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, "): map it to an IANA zone by WithZoneName")
		})
	}
}

func inZone(tzid string) string {
	return calendar("UID:0\nDTSTART;TZID=\"" + tzid + "\":20260701T020000\nDURATION:PT1H")
}

func TestZonesThatTheCalendarDoesNotDefine(t *testing.T) {
	t.Parallel()
	for tzid, want := range map[string]string{
		"W. Europe Standard Time":               "2026-07-01T00:00:00Z 1h0m0s 0  [Europe/Berlin]",
		"eastern standard time":                 "2026-07-01T06:00:00Z 1h0m0s 0  [America/New_York]",
		"tzone://Microsoft/Utc":                 "2026-07-01T02:00:00Z 1h0m0s 0  [Etc/UTC]",
		"tzone://Microsoft/Tokyo Standard Time": "2026-06-30T17:00:00Z 1h0m0s 0  [Asia/Tokyo]",
		"/example.org/2026/UTC":                 "2026-07-01T02:00:00Z 1h0m0s 0  [UTC]",
		"/example.org/Europe/Berlin":            "2026-07-01T00:00:00Z 1h0m0s 0  [Europe/Berlin]",
	} {
		windows, err := in2026(t, parse(t, inZone(tzid)))
		require.NoError(t, err)
		require.Equal(t, []string{want}, lines(windows))
	}
	unquoted := strings.ReplaceAll(inZone("tzone://Microsoft/Utc"), `"`, "")
	windows, err := in2026(t, parse(t, unquoted+"\n"))
	require.NoError(t, err)
	require.Len(t, windows, 1)
	for _, tzid := range []string{"tzone://Microsoft/Custom", "Customized Time Zone", "/example.org", "/", "Local", ""} {
		windows, err := in2026(t, parse(t, inZone(tzid)))
		require.Empty(t, windows, tzid)
		require.ErrorContains(t, err, "DTSTART has ", tzid)
		if tzid != "" {
			require.ErrorContains(t, err, "map it to an IANA zone by WithZoneName (a machine without time zone data "+
				`needs import _ "time/tzdata")`)
		}
	}
}

func TestWindowsZonesExist(t *testing.T) {
	t.Parallel()
	require.Greater(t, len(ical.WindowsZones), 130)
	for name, zone := range ical.WindowsZones {
		require.Equal(t, strings.ToLower(name), name)
		_, err := time.LoadLocation(zone)
		require.NoError(t, err, name)
	}
}

func TestZonesDefinedOtherwiseThanNamed(t *testing.T) {
	t.Parallel()
	fixed := observance("STANDARD", "19700101T000000", "+0100", "+0100")
	summer := observance("STANDARD", "20001029T020000", "+0100", "+0000", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10") +
		"\n" + observance("DAYLIGHT", "20000326T010000", "+0000", "+0100", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3")
	named := func(tzid, zone string, times ...string) string {
		return strings.ReplaceAll(withZone(zone, times...), "Ours", tzid)
	}
	const july, january = "20260701T120000", "20260101T120000"
	conflict := func(tzid, name, used string) []string {
		return []string{fmt.Sprintf("the calendar defines the time zone %q, but not as %s: %s is used; if it is wrong, "+
			"use WithZoneName", tzid, name, used)}
	}
	for _, tc := range []expectation{
		{"a place", named("Europe/Berlin", fixed, july, january, july), nil, []string{
			"2026-01-01T11:00:00Z 1h0m0s 1  [Europe/Berlin]",
			"2026-07-01T10:00:00Z 1h0m0s 0  [Europe/Berlin]", "2026-07-01T10:00:00Z 1h0m0s 2  [Europe/Berlin]",
		}, conflict("Europe/Berlin", "Europe/Berlin", "the zone of that name")},
		{"a place, when both agree", named("Europe/Berlin", fixed, january), nil,
			[]string{"2026-01-01T11:00:00Z 1h0m0s 0  [Europe/Berlin]"}, nil},
		{"a place, when they agree at the start only", strings.Replace(named("Europe/Berlin", fixed, "20260329T013000"),
			"PT1H", "PT2H", 1), nil, []string{"2026-03-29T00:30:00Z 2h0m0s 0  [Europe/Berlin]"},
			conflict("Europe/Berlin", "Europe/Berlin", "the zone of that name")},
		{"a place with a prefix", named("/x/Europe/Berlin", fixed, july), nil,
			[]string{"2026-07-01T10:00:00Z 1h0m0s 0  [Europe/Berlin]"},
			conflict("/x/Europe/Berlin", "Europe/Berlin", "the zone of that name")},
		{"GMT", named("GMT", summer, july), nil, []string{"2026-07-01T11:00:00Z 1h0m0s 0 "},
			conflict("GMT", "GMT", "the definition")},
		{"GMT in winter", named("GMT", summer, january), nil, []string{"2026-01-01T12:00:00Z 1h0m0s 0 "}, nil},
		{"UTC", named("UTC", fixed, january), nil, []string{"2026-01-01T11:00:00Z 1h0m0s 0 "},
			conflict("UTC", "UTC", "the definition")},
		{"EST", named("EST", observance("STANDARD", "19700101T000000", "-0400", "-0400"), january), nil,
			[]string{"2026-01-01T16:00:00Z 1h0m0s 0 "}, conflict("EST", "EST", "the definition")},
		{"a name of Windows", named("W. Europe Standard Time", fixed, july), nil,
			[]string{"2026-07-01T11:00:00Z 1h0m0s 0 "}, conflict("W. Europe Standard Time", "Europe/Berlin", "the definition")},
		{"one that the user names", named("GMT", summer, july), []ical.Option{ical.WithZoneName("GMT", "Europe/London")},
			[]string{"2026-07-01T11:00:00Z 1h0m0s 0  [Europe/London]"}, nil},
		{"a definition that cannot be used", named("Europe/Berlin", "X-A:b", july), nil,
			[]string{"2026-07-01T10:00:00Z 1h0m0s 0  [Europe/Berlin]"}, nil},
		{"two calendars", named("Ours", fixed, july) +
			strings.Replace(named("Ours", summer, july), "UID:0", "UID:1", 1), nil,
			[]string{"2026-07-01T11:00:00Z 1h0m0s 0 ", "2026-07-01T11:00:00Z 1h0m0s 1 "}, nil},
		{"two calendars that differ", named("Ours", fixed, january) +
			strings.Replace(named("Ours", summer, january), "UID:0", "UID:1", 1), nil,
			[]string{"2026-01-01T11:00:00Z 1h0m0s 0 ", "2026-01-01T12:00:00Z 1h0m0s 1 "}, nil},
		{"one definition twice", strings.Replace(named("Ours", fixed, january), "BEGIN:VTIMEZONE",
			"BEGIN:VTIMEZONE\nTZID:Ours\n"+fixed+"\nEND:VTIMEZONE\nBEGIN:VTIMEZONE", 1), nil,
			[]string{"2026-01-01T11:00:00Z 1h0m0s 0 "}, nil},
		{"two definitions in one calendar", strings.Replace(named("Ours", fixed, january), "BEGIN:VTIMEZONE",
			"BEGIN:VTIMEZONE\nTZID:Ours\n"+summer+"\nEND:VTIMEZONE\nBEGIN:VTIMEZONE", 1), nil,
			[]string{}, []string{`"Ours", whose definition cannot be used (line 2 defines it differently)`}},
		{"empty values in a definition", named("Ours", fixed+"\n"+strings.Replace(fixed, "END:", "RDATE:\nRDATE:,\nEND:", 1),
			january), nil, []string{"2026-01-01T11:00:00Z 1h0m0s 0 "}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
	_, err := in2026(t, parse(t, withZone(observance("STANDARD", "20260101T000000", "+0100", "+2400"), july)))
	require.ErrorContains(t, err, `TZOFFSETTO "+2400" cannot be read`)
}

func TestZonesOfSeveralCalendarsAreTheirOwn(t *testing.T) {
	t.Parallel()
	text := withZone(observance("STANDARD", "19700101T000000", "+0100", "+0100"), "20260101T120000")
	expectation{calendar: text + calendar("UID:b\nDTSTART;TZID=Ours:20260101T120000\nDURATION:PT1H"),
		windows: []string{"2026-01-01T11:00:00Z 1h0m0s 0 "}, warnings: []string{`has the unknown time zone "Ours"`},
	}.check(t)
	first := strings.Replace(calendar(), "VERSION:2.0", "X-WR-TIMEZONE:Europe/Berlin", 1)
	_, err := in2026(t, parse(t, first+calendar("UID:b\nDTSTART:20260101T120000\nDURATION:PT1H")))
	require.ErrorContains(t, err, "has no time zone: set WithFloatingZone")
	require.NotContains(t, err.Error(), "X-WR-TIMEZONE")
}
