package ical_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

// plain is an event with more lines.
func plain(lines ...string) string {
	return strings.Join(append([]string{"UID:a", "SUMMARY:Work"}, lines...), "\n")
}

func TestEvents(t *testing.T) {
	t.Parallel()
	berlin := ical.WithFloatingZone("Europe/Berlin")
	for _, tc := range []struct {
		name   string
		events []string
		opts   []ical.Option
		want   []string
	}{
		{"a time that clocks skip is as much later", []string{plain("DTSTART;TZID=Europe/Berlin:20260329T023000",
			"DURATION:PT1H")}, nil,
			[]string{"2026-03-29T01:30:00Z 1h0m0s a Work [Europe/Berlin]"}},
		{"a time that they show twice is the first", []string{plain("DTSTART;TZID=Europe/Berlin:20261025T023000",
			"DURATION:PT1H")}, nil,
			[]string{"2026-10-25T00:30:00Z 1h0m0s a Work [Europe/Berlin]"}},
		{"what recurs keeps the clock over both", []string{plain("DTSTART;TZID=Europe/Berlin:20260328T023000",
			"DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3")}, nil,
			[]string{
				"2026-03-28T01:30:00Z 1h0m0s a@20260328T013000Z Work [Europe/Berlin]",
				"2026-03-29T01:30:00Z 1h0m0s a@20260329T013000Z Work [Europe/Berlin]",
				"2026-03-30T00:30:00Z 1h0m0s a@20260330T003000Z Work [Europe/Berlin]",
			}},
		{"a duration in days follows the clock, one in hours does not",
			[]string{
				"UID:days\nDTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:P1D",
				"UID:hours\nDTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:PT24H",
				"UID:all\nDTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:+P1W",
			}, nil,
			[]string{
				"2026-03-28T11:00:00Z 167h0m0s all  [Europe/Berlin]",
				"2026-03-28T11:00:00Z 23h0m0s days  [Europe/Berlin]",
				"2026-03-28T11:00:00Z 24h0m0s hours  [Europe/Berlin]",
			}},
		{"a day without an end is one day, of 23 hours when clocks go forward",
			[]string{plain("DTSTART;VALUE=DATE:20260329")}, []ical.Option{berlin},
			[]string{"2026-03-28T23:00:00Z 23h0m0s a Work [Europe/Berlin]"}},
		{"days that recur are days, whatever their hours",
			[]string{plain("DTSTART;VALUE=DATE:20260328", "DTEND;VALUE=DATE:20260329", "RRULE:FREQ=DAILY;COUNT=2;BYHOUR=7")},
			[]ical.Option{berlin},
			[]string{
				"2026-03-27T23:00:00Z 24h0m0s a@20260328 Work [Europe/Berlin]",
				"2026-03-28T23:00:00Z 23h0m0s a@20260329 Work [Europe/Berlin]",
			}},
		{"UTC has no zone to show", []string{plain("DTSTART:20260110T020000Z", "DTEND:20260110T050000Z")}, nil,
			[]string{"2026-01-10T02:00:00Z 3h0m0s a Work"}},
		{"DTSTART is the first occurrence though the rule has other days",
			[]string{plain("DTSTART:20260107T020000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=SA;COUNT=2")}, nil,
			[]string{
				"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Work",
				"2026-01-10T02:00:00Z 1h0m0s a@20260110T020000Z Work",
			}},
		{"an UNTIL that is a day has all its hours",
			[]string{plain("DTSTART;TZID=Europe/Berlin:20260109T233000", "DURATION:PT1H", "RRULE:FREQ=DAILY;UNTIL=20260110")},
			nil,
			[]string{
				"2026-01-09T22:30:00Z 1h0m0s a@20260109T223000Z Work [Europe/Berlin]",
				"2026-01-10T22:30:00Z 1h0m0s a@20260110T223000Z Work [Europe/Berlin]",
			}},
		{"an UNTIL in UTC is an instant",
			[]string{plain("DTSTART;TZID=America/New_York:20260109T233000", "DURATION:PT1H",
				"RRULE:FREQ=DAILY;UNTIL=20260111T043000Z")}, nil,
			[]string{
				"2026-01-10T04:30:00Z 1h0m0s a@20260110T043000Z Work [America/New_York]",
				"2026-01-11T04:30:00Z 1h0m0s a@20260111T043000Z Work [America/New_York]",
			}},
		{"an UNTIL before DTSTART leaves nothing", []string{plain("DTSTART:20260107T020000Z", "DURATION:PT1H",
			"RRULE:FREQ=DAILY;UNTIL=20260106T235959Z")}, nil,
			[]string{}},
		{"COUNT counts what EXDATE takes out, and RDATE is beside it",
			[]string{plain("DTSTART:20260107T020000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2", "EXDATE:20260108T020000Z",
				"RDATE:20260107T020000Z,20260120T020000Z")}, nil,
			[]string{
				"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Work",
				"2026-01-20T02:00:00Z 1h0m0s a@20260120T020000Z Work",
			}},
		{"an EXDATE may be a day, may be in another zone, may have none",
			[]string{plain("DTSTART;TZID=Europe/Berlin:20260107T003000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4",
				"EXDATE;VALUE=DATE:20260108",
				"EXDATE:20260108T233000Z", "EXDATE:20260110T003000")}, nil,
			[]string{"2026-01-06T23:30:00Z 1h0m0s a@20260106T233000Z Work [Europe/Berlin]"}},
		{"an EXDATE of a day may be its midnight",
			[]string{plain("DTSTART;VALUE=DATE:20260107", "RRULE:FREQ=DAILY;COUNT=2",
				"EXDATE;TZID=Europe/Berlin:20260107T000000")}, []ical.Option{berlin},
			[]string{"2026-01-07T23:00:00Z 24h0m0s a@20260108 Work [Europe/Berlin]"}},
		{"the highest SEQUENCE of a UID counts, wherever it is",
			[]string{
				plain("SEQUENCE:2", "DTSTART:20260109T020000Z", "DURATION:PT1H"),
				plain("SEQUENCE:10", "DTSTART:20260110T020000Z", "DURATION:PT1H"),
				plain("SEQUENCE:9", "DTSTART:20260111T020000Z", "DURATION:PT1H"),
			}, nil,
			[]string{"2026-01-10T02:00:00Z 1h0m0s a Work"}},
		{"of the same SEQUENCE the newest DTSTAMP, then the last",
			[]string{
				plain("DTSTAMP:20260102T000000Z", "DTSTART:20260110T020000Z", "DURATION:PT2H"),
				"UID:a\nSUMMARY:Last\nDTSTAMP:20260102T000000Z\nDTSTART:20260110T020000Z\nDURATION:PT2H",
				plain("DTSTAMP:20260101T000000Z", "DTSTART:20260110T020000Z", "DURATION:PT1H"),
			}, nil,
			[]string{"2026-01-10T02:00:00Z 2h0m0s a Last"}},
		{"one that does not recur may have a change too",
			[]string{
				plain("DTSTART:20260107T020000Z", "DURATION:PT1H"),
				plain("RECURRENCE-ID:20260107T020000Z", "DTSTART:20260108T060000Z", "DURATION:PT1H"),
			}, nil,
			[]string{"2026-01-08T06:00:00Z 1h0m0s a@20260107T020000Z Work"}},
		{"an occurrence has versions too",
			[]string{
				plain("RECURRENCE-ID:20260108T020000Z", "SEQUENCE:3", "DTSTART:20260108T060000Z", "DURATION:PT1H"),
				plain("RECURRENCE-ID:20260108T020000Z", "SEQUENCE:2", "DTSTART:20260108T070000Z", "DURATION:PT1H"),
				plain("DTSTART:20260107T020000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2"),
			}, nil,
			[]string{
				"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Work",
				"2026-01-08T06:00:00Z 1h0m0s a@20260108T020000Z Work",
			}},
		{"a cancelled occurrence need not repeat its time",
			[]string{
				plain("DTSTART:20260107T020000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2"),
				"UID:a\nRECURRENCE-ID:20260108T020000Z\nSTATUS:CANCELLED",
			}, nil,
			[]string{
				"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Work",
				"2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z Work cancelled",
			}},
		{"cancelled in any spelling", []string{
			"UID:a\nDTSTART:20260107T020000Z\nDURATION:PT1H\nSTATUS:Canceled",
			"UID:b\nDTSTART:20260107T020000Z\nDURATION:PT1H\nSTATUS:cancelled",
		}, nil, []string{"2026-01-07T02:00:00Z 1h0m0s a  cancelled", "2026-01-07T02:00:00Z 1h0m0s b  cancelled"}},
		{"an occurrence whose event is not there stands for itself",
			[]string{plain("RECURRENCE-ID:20260108T020000Z", "DTSTART:20260109T020000Z", "DURATION:PT1H")}, nil,
			[]string{"2026-01-09T02:00:00Z 1h0m0s a@20260108T020000Z Work"}},
		{"text is unescaped and on one line",
			[]string{"UID:a\nSUMMARY:One\\, two\\; three\\\\ and\\nfour\nDTSTART:20260110T020000Z\nDURATION:PT1H"}, nil,
			[]string{`2026-01-10T02:00:00Z 1h0m0s a One, two; three\ and four`}},
		{"names in any case",
			[]string{"uid:a\nsummary:Work\ndtstart;tzid=Europe/Berlin:20260110T020000\nduration:pt1h\nrrule:freq=daily;count=1"},
			nil,
			[]string{"2026-01-10T01:00:00Z 1h0m0s a@20260110T010000Z Work [Europe/Berlin]"}},
		{"a zone whose name is unique in the world",
			[]string{plain("DTSTART;TZID=/example.org/20260101_1/America/Argentina/Salta:20260110T020000", "DURATION:PT1H")},
			nil,
			[]string{"2026-01-10T05:00:00Z 1h0m0s a Work [America/Argentina/Salta]"}},
		{"a zone that the user names", []string{plain(`DTSTART;TZID="W. Europe Standard Time":20260110T020000`,
			"DURATION:PT1H")},
			[]ical.Option{ical.WithZoneName("W. Europe Standard Time", "Europe/Berlin")},
			[]string{"2026-01-10T01:00:00Z 1h0m0s a Work [Europe/Berlin]"}},
		{"lines that do not matter may be broken", []string{plain("DTSTART:20260110T020000Z", "DURATION:PT1H",
			"ATTENDEE;CN=A \"B\" C", "no colon here", "X-FOO")}, nil,
			[]string{"2026-01-10T02:00:00Z 1h0m0s a Work"}},
		{"all of the filters have to agree",
			[]string{
				"UID:a\nSUMMARY:Connect MAINTENANCE\nCATEGORIES:Work,Planned\nDTSTART:20260110T020000Z\nDURATION:PT1H",
				"UID:b\nSUMMARY:Connect maintenance\nCATEGORIES:Work\nDTSTART:20260110T020000Z\nDURATION:PT1H",
				"UID:c\nSUMMARY:Connect\nCATEGORIES:planned\nDTSTART:20260110T020000Z\nDURATION:PT1H",
				"UID:d\nSUMMARY:maintenance\nLOCATION:elsewhere\nCATEGORIES:planned\nDTSTART:20260110T020000Z\nDURATION:PT1H",
				"UID:e\nSUMMARY:Birthday, in a form that nobody can read\nDTSTART:tomorrow",
			},
			[]ical.Option{
				ical.WithSummary("upgrade", "maintenance"), ical.WithCategory("Planned"),
				ical.WithFilter(func(e ical.Event) bool { return e.Location == "" }),
			},
			[]string{"2026-01-10T02:00:00Z 1h0m0s a Connect MAINTENANCE"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			windows, err := in2026(t, parse(t, calendar(tc.events...), tc.opts...))
			require.NoError(t, err)
			require.Equal(t, tc.want, lines(windows))
		})
	}
}

func TestInvalidEventIsLeftOut(t *testing.T) {
	t.Parallel()
	good := "UID:good\nDTSTART:20260110T020000Z\nDURATION:PT1H"
	at := "DTSTART:20260110T020000Z"
	for _, tc := range []struct{ name, event, want string }{
		{"no UID", "DTSTART:20260110T020000Z\nDURATION:PT1H", `has no UID`},
		{"a UID that breaks lines", "UID:a\\nb\nDTSTART:20260110T020000Z\nDURATION:PT1H",
			`id "a\nb" has control characters: remove them`},
		{"no start", "UID:a\nDURATION:PT1H", "has no DTSTART"},
		{"no end", plain(at), "has neither DTEND nor DURATION, so it has no length"},
		{"both ends", plain(at, "DURATION:PT1H", "DTEND:20260110T040000Z"), "has both DTEND and DURATION, which differ"},
		{"two starts", plain(at, "DTSTART:20260110T030000Z", "DURATION:PT1H"), "has DTSTART more than once"},
		{"an end before its start", plain(at, "DTEND:20260110T020000Z"),
			"ends at 20260110T020000Z, which is not after its start at 20260110T020000Z"},
		{"an end that is a day", plain(at, "DTEND;VALUE=DATE:20260111"),
			"DTSTART and DTEND must both be days or both be times"},
		{"a local time", plain("DTSTART:20260110T020000", "DURATION:PT1H"), "DTSTART has no time zone: set WithFloatingZone"},
		{"a zone that does not exist", plain("DTSTART;TZID=Mars/Olympus:20260110T020000", "DURATION:PT1H"),
			`DTSTART has the unknown time zone "Mars/Olympus", which the calendar does not define: map it to an IANA zone by ` +
				`WithZoneName`},
		{"the machine's zone", plain("DTSTART;TZID=Local:20260110T020000", "DURATION:PT1H"),
			`DTSTART has the unknown time zone "Local"`},
		{"no time", plain("DTSTART:2026-01-10T02:00:00Z", "DURATION:PT1H"),
			`DTSTART "2026-01-10T02:00:00Z" is not a time: it must look like 20260110, 20260110T020000 or 20260110T020000Z`},
		{"a day that no month has", plain("DTSTART:20260230T020000Z", "DURATION:PT1H"),
			`DTSTART "20260230T020000Z" is not a time`},
		{"a year that is none", plain("DTSTART:00260110T020000Z", "DURATION:PT1H"),
			`DTSTART "00260110T020000Z" is not between the years 1601 and 2199`},
		{"no value", plain("DTSTART", "DURATION:PT1H"), "line 11: DTSTART has no colon before its value"},
		{"a parameter without a value", plain("DTSTART;TZID:20260110T020000", "DURATION:PT1H"),
			"line 11: DTSTART cannot be read: it must look like DTSTART;PARAMETER=…:value"},
		{"a parameter without a name", plain("DTSTART;=DATE:20260110", "DURATION:PT1H"), "line 11: DTSTART cannot be read"},
		{"an empty parameter", plain("DTSTART;;VALUE=DATE:20260110", "DURATION:PT1H"), "line 11: DTSTART cannot be read"},
		{"a blank before the colon", plain("DTSTART :20260110T020000Z", "DURATION:PT1H"), "line 11: DTSTART cannot be read"},
		{"no duration", plain(at, "DURATION:3 hours"),
			`DURATION "3 hours" is invalid: it must look like PT3H, P1DT2H30M or P2W`},
		{"a duration backwards", plain(at, "DURATION:-PT3H"), `DURATION "-PT3H" is invalid`},
		{"a duration of nothing", plain(at, "DURATION:PT0S"), `DURATION "PT0S" is zero`},
		{"a duration of years", plain(at, "DURATION:P367D"), "lasts more than 366 days"},
		{"an end in years", plain(at, "DTEND:20270112T020000Z"), "lasts more than 366 days"},
		{"hours without their T", plain(at, "DURATION:P3H"), `DURATION "P3H" is invalid`},
		{"EXRULE", plain(at, "DURATION:PT1H", "EXRULE:FREQ=DAILY"), "has an EXRULE, which RFC 5545 removed: use EXDATE"},
		{"two rules", plain(at, "DURATION:PT1H", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "has RRULE more than once"},
		{"an occurrence that takes no time", plain("RECURRENCE-ID:20260110T020000Z", at),
			"has neither DTEND nor DURATION, so it has no length"},
		{"an EXDATE in no zone", plain(at, "DURATION:PT1H", "EXDATE;TZID=Mars/Olympus:20260110T020000"),
			`EXDATE has the unknown time zone "Mars/Olympus"`},
		{"a rule finer than daily", plain(at, "DURATION:PT1H", "RRULE:FREQ=HOURLY"),
			`RRULE "FREQ=HOURLY": FREQ=HOURLY is finer than DAILY, which is refused: write the hours of a day with BYHOUR`},
		{"a rule without an end", plain(at, "DURATION:PT1H", "RRULE:FREQ=DAILY;BYHOUR=0,1,2,3,4,5"),
			"has more than 2000 occurrences between 2026-01-01 and 2027-01-01: " +
				"set an UNTIL, use a shorter range or raise WithMaxOccurrences"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			windows, err := in2026(t, parse(t, calendar(good, tc.event), ical.WithMaxOccurrences(2000)))
			require.Equal(t, []string{"2026-01-10T02:00:00Z 1h0m0s good "}, lines(windows))
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "\n")
			warnings, failure := maintenance.SplitWarnings(err)
			require.NoError(t, failure)
			require.Len(t, warnings, 1)
			require.ErrorIs(t, err, maintenance.ErrIncomplete)
			require.Equal(t, "test", warnings[0].Source)
		})
	}
}

func TestRuleRejected(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC)
	for rule, want := range map[string]string{
		"":                                  "FREQ= is none of DAILY, WEEKLY, MONTHLY and YEARLY",
		"FREQ":                              `"FREQ" is not of the form NAME=VALUE`,
		"COUNT=3":                           "FREQ= is none of DAILY, WEEKLY, MONTHLY and YEARLY",
		"FREQ=FORTNIGHTLY":                  "FREQ=FORTNIGHTLY is none of DAILY, WEEKLY, MONTHLY and YEARLY",
		"FREQ=MINUTELY":                     "FREQ=MINUTELY is finer than DAILY, which is refused",
		"FREQ=SECONDLY":                     "FREQ=SECONDLY is finer than DAILY, which is refused",
		"FREQ=DAILY;FREQ=WEEKLY":            "has FREQ twice",
		"FREQ=DAILY;COUNT=0":                "COUNT=0 is not a number from 1 to 2147483647",
		"FREQ=DAILY;COUNT=2;UNTIL=20260120": "has both COUNT and UNTIL, of which a rule may have one",
		"FREQ=DAILY;INTERVAL=0":             "INTERVAL=0 is not a number from 1 to 1000",
		"FREQ=YEARLY;INTERVAL=9999999999":   "INTERVAL=9999999999 is not a number from 1 to 1000",
		"FREQ=DAILY;UNTIL=tomorrow": "UNTIL=TOMORROW is not a time: it must look like 20261231T235959Z " +
			"or 20261231",
		"FREQ=YEARLY;BYEASTER=0":            `"BYEASTER" is not a part of a rule in RFC 5545`,
		"FREQ=YEARLY;RSCALE=HEBREW":         `"RSCALE" is not a part of a rule in RFC 5545`,
		"FREQ=MONTHLY;BYDAY=6MO":            "BYDAY=+6MO is more than 5 weeks",
		"FREQ=MONTHLY;BYDAY=-53MO":          "BYDAY=-53MO is more than 5 weeks",
		"FREQ=YEARLY;BYMONTH=2;BYDAY=53MO":  "BYDAY=+53MO is more than 5 weeks",
		"FREQ=YEARLY;BYDAY=54MO":            "BYDAY=+54MO is more than 53 weeks",
		"FREQ=WEEKLY;BYDAY=2MO":             "BYDAY with numbers is for FREQ=MONTHLY and YEARLY only",
		"FREQ=YEARLY;BYWEEKNO=2;BYDAY=2MO":  "BYDAY with numbers is not for rules with BYWEEKNO",
		"FREQ=YEARLY;BYWEEKNO=2;INTERVAL=2": "BYWEEKNO cannot go with INTERVAL or BYSETPOS",
		"FREQ=MONTHLY;BYWEEKNO=2":           "BYWEEKNO is for FREQ=YEARLY only",
		"FREQ=YEARLY;BYWEEKNO=54": "BYWEEKNO has a week that is not from 1 to 53 or from " +
			"-1 to -53",
		"FREQ=MONTHLY;BYYEARDAY=2":                                 "BYYEARDAY is for FREQ=YEARLY only",
		"FREQ=WEEKLY;BYMONTHDAY=2":                                 "BYMONTHDAY is not for FREQ=WEEKLY",
		"FREQ=MONTHLY;BYMONTHDAY=32":                               "bymonthday must be between 1 and 31",
		"FREQ=MONTHLY;BYMONTHDAY=0":                                "bymonthday must be between 1 and 31",
		"FREQ=YEARLY;BYMONTH=13":                                   "bymonth must be between 1 and 12",
		"FREQ=WEEKLY;BYDAY=XX":                                     "undefined weekday: XX",
		"FREQ=WEEKLY;WKST=2MO":                                     "WKST is not a day of the week",
		"FREQ=DAILY;BYHOUR=24":                                     "byhour must be between 0 and 23",
		"FREQ=DAILY;BYSETPOS=0":                                    "bysetpos must be between 1 and 366",
		"FREQ=DAILY;BYHOUR=1,2;BYMINUTE=" + list(13):               "is 26 times a day, more than 24",
		"FREQ=DAILY;BYMONTHDAY=" + strings.Repeat("1,", 500) + "1": "is longer than 1000 bytes",
	} {
		_, err := ical.Walls(rule, start, start)
		require.ErrorContains(t, err, want, rule)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 300)
	}
}

func list(n int) string {
	text := "0"
	for i := 1; i < n; i++ {
		text += fmt.Sprintf(",%d", i)
	}
	return text
}

func TestThisAndFutureEndsTheRule(t *testing.T) {
	t.Parallel()
	s := parse(t, calendar(
		plain("DTSTART:20260107T020000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=5"),
		plain("RECURRENCE-ID;RANGE=THISANDFUTURE:20260109T020000Z", "DTSTART:20260109T080000Z", "DURATION:PT1H"),
	))
	windows, err := in2026(t, s)
	require.Equal(t, []string{
		"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Work",
		"2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z Work",
	}, lines(windows))
	require.ErrorIs(t, err, maintenance.ErrIncomplete)
	require.ErrorContains(t, err,
		"changes all occurrences from 2026-01-09T02:00:00Z on (RANGE=THISANDFUTURE), which is not supported")
}

func TestInvalidLatestVersionHidesOlderOne(t *testing.T) {
	t.Parallel()
	windows, err := in2026(t, parse(t, calendar(
		plain("SEQUENCE:1", "DTSTART:20260107T020000Z", "DURATION:PT1H"),
		plain("SEQUENCE:2", "DTSTART;TZID=Mars:20260107T020000", "DURATION:PT1H"),
		"UID:b\nDTSTART:20260107T020000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=1",
		"UID:b\nRECURRENCE-ID:20260107T020000Z\nDTSTART;TZID=Mars:20260107T020000",
	)))
	require.Equal(t, []string{"2026-01-07T02:00:00Z 1h0m0s b@20260107T020000Z "}, lines(windows),
		"of an occurrence it is better to know when it was to be")
	warnings, failure := maintenance.SplitWarnings(err)
	require.NoError(t, failure)
	require.Len(t, warnings, 2)
	require.Equal(t, "a", warnings[0].WindowID)
	require.Equal(t, "b@20260107T020000Z", warnings[1].WindowID)
}

func TestMethodCancel(t *testing.T) {
	t.Parallel()
	text := strings.Replace(calendar(plain("DTSTART:20260107T020000Z", "DURATION:PT1H")), "VERSION:2.0", "METHOD:CANCEL",
		1)
	windows, err := in2026(t, parse(t, text+strings.Replace(calendar(plain("DTSTART:20260108T020000Z", "DURATION:PT1H")),
		"UID:a", "UID:b", 1)))
	require.NoError(t, err)
	require.Equal(t, []string{"2026-01-07T02:00:00Z 1h0m0s a Work cancelled", "2026-01-08T02:00:00Z 1h0m0s b Work"},
		lines(windows))
}

func TestLongWindowIsAWarning(t *testing.T) {
	t.Parallel()
	s := parse(t, calendar(plain("DTSTART:20260101T000000Z", "DURATION:P40D")))
	windows, err := in2026(t, s)
	require.Len(t, windows, 1)
	require.ErrorIs(t, err, maintenance.ErrUncertain)
	require.NotErrorIs(t, err, maintenance.ErrIncomplete)
	require.ErrorContains(t, err, "lasts 960h0m0s, more than 7 days: check that this is intended")
}

func TestWindowsOfTheRange(t *testing.T) {
	t.Parallel()
	s := parse(t, calendar(plain("DTSTART:20260107T020000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")))
	for _, tc := range []struct {
		from, to string
		want     int
	}{
		{"2026-01-07T02:59:59Z", "2026-01-08T02:00:01Z", 2},
		{"2026-01-07T03:00:00Z", "2026-01-08T02:00:00Z", 0},
		{"2026-01-09T03:00:00Z", "2026-01-08T02:00:00Z", 0},
		{"2026-01-09T00:00:00Z", "2026-01-09T00:00:00Z", 0},
		{"1900-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 0},
		{"2398-01-01T00:00:00Z", "2399-01-01T00:00:00Z", 365}, // rrule-go by itself ends after 290 years
	} {
		windows, err := s.Windows(t.Context(), instant(t, tc.from), instant(t, tc.to))
		require.NoError(t, err)
		require.Len(t, windows, tc.want, "%s %s", tc.from, tc.to)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := in2026(t, contextual{s, ctx})
	require.ErrorIs(t, err, context.Canceled)
}

// contextual asks under another context.
type contextual struct {
	maintenance.WindowSource
	ctx context.Context
}

func (c contextual) Windows(_ context.Context, from, to time.Time) ([]maintenance.Window, error) {
	return c.WindowSource.Windows(c.ctx, from, to)
}

func TestWindowsOfTenYears(t *testing.T) {
	t.Parallel()
	s := parse(t, calendar(plain("DTSTART;TZID=Europe/Berlin:20200104T020000", "DURATION:PT3H", "RRULE:FREQ=WEEKLY")))
	windows, err := s.Windows(t.Context(), instant(t, "2020-01-01T00:00:00Z"), instant(t, "2030-01-01T00:00:00Z"))
	require.NoError(t, err)
	require.Len(t, windows, 522)
	loc, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, w := range windows {
		require.Equal(t, "Sat 02:00", w.Start.In(loc).Format("Mon 15:04"))
	}
}
