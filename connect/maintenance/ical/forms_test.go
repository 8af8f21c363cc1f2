package ical_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

func TestUntilOfWholeDays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ zone, until, last string }{
		// Outlook writes the last midnight, in UTC.
		{"Europe/Berlin", "20260108T230000Z", "20260109"},
		{"Europe/Berlin", "20260107T230000Z", "20260108"},
		{"Asia/Tokyo", "20260108T150000Z", "20260109"},
		{"Pacific/Auckland", "20260108T110000Z", "20260109"},
		{"America/New_York", "20260109T050000Z", "20260109"},
		{"UTC", "20260109T000000Z", "20260109"},
		// Other programs write a date in the form of a time.
		{"Europe/Berlin", "20260109T000000Z", "20260109"},
		{"Europe/Berlin", "20260109T235959Z", "20260109"},
		{"America/New_York", "20260109T000000Z", "20260109"},
		{"America/New_York", "20260109T235959Z", "20260109"},
		{"Pacific/Auckland", "20260109T235959Z", "20260109"},
		{"Europe/Berlin", "20260109", "20260109"},
		{"Europe/Berlin", "20260109T000000", "20260109"},
		{"Europe/Berlin", "20260109T120000Z", "20260109"},
		// The only day, and none.
		{"Europe/Berlin", "20260106T230000Z", "20260107"},
		{"Europe/Berlin", "20260105T230000Z", ""},
	} {
		windows, err := in2026(t, parse(t, calendar("UID:a\nDTSTART;VALUE=DATE:20260107\nRRULE:FREQ=DAILY;UNTIL="+tc.until),
			ical.WithFloatingZone(tc.zone)))
		require.NoError(t, err)
		if tc.last == "" {
			require.Empty(t, windows)
			continue
		}
		require.NotEmpty(t, windows)
		require.Equal(t, "a@"+tc.last, windows[len(windows)-1].ID, "%s %s", tc.zone, tc.until)
	}
}

const (
	berlin  = ";TZID=Europe/Berlin:"
	twoDays = "UID:a\nDTSTART" + berlin + "20260107T020000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2"
	allDay  = "UID:a\nDTSTART;VALUE=DATE:20260107\nRRULE:FREQ=DAILY;COUNT=2"
)

func TestTimesInAnotherFormThanTheEvent(t *testing.T) {
	t.Parallel()
	floatingUTC, floatingBerlin := []ical.Option{ical.WithFloatingZone("UTC")},
		[]ical.Option{ical.WithFloatingZone("Europe/Berlin")}
	first := "2026-01-07T01:00:00Z 1h0m0s a@20260107T010000Z  [Europe/Berlin]"
	second := "2026-01-08T01:00:00Z 1h0m0s a@20260108T010000Z  [Europe/Berlin]"
	moved := "2026-01-08T05:00:00Z 1h0m0s a@20260108T010000Z  [Europe/Berlin]"
	firstDay := "2026-01-07T00:00:00Z 24h0m0s a@20260107  [UTC]"
	event := func(start, end string) string { return calendar("UID:a\nDTSTART" + start + "\nDTEND" + end) }
	changed := func(id, start string) string {
		return calendar(twoDays, "UID:a\nRECURRENCE-ID"+id+"\nDTSTART"+start+"\nDURATION:PT1H")
	}
	whole := func(more string) string { return calendar(allDay + "\n" + more) }
	for _, tc := range []expectation{
		{"DTEND without a zone", event(berlin+"20260107T020000", ":20260107T030000"), floatingUTC,
			[]string{"2026-01-07T01:00:00Z 1h0m0s a  [Europe/Berlin]"}, nil},
		{"DTEND without a zone, and DTSTART in UTC", event(":20260107T020000Z", ":20260107T040000"), floatingBerlin,
			[]string{}, []string{"has a time without a zone and one with: its length is uncertain"}},
		{"DTSTART without a zone, and DTEND in another", event(":20260107T020000", berlin+"20260107T040000"), floatingUTC,
			[]string{}, []string{"has a time without a zone and one with: its length is uncertain"}},
		{"DTSTART without a zone, and DTEND in the same", event(":20260107T020000", berlin+"20260107T030000"), floatingBerlin,
			[]string{"2026-01-07T01:00:00Z 1h0m0s a  [Europe/Berlin]"}, nil},
		{"DTEND in UTC", event(berlin+"20260107T020000", ":20260107T020000Z"), nil,
			[]string{"2026-01-07T01:00:00Z 1h0m0s a  [Europe/Berlin]"}, nil},
		{"DTEND of the same whole day", event(";VALUE=DATE:20260107", ";VALUE=DATE:20260107"), floatingUTC,
			[]string{"2026-01-07T00:00:00Z 24h0m0s a  [UTC]"}, nil},
		{"RDATE without a zone", calendar(twoDays + "\nRDATE:20260109T020000"), floatingUTC,
			[]string{first, second, "2026-01-09T01:00:00Z 1h0m0s a@20260109T010000Z  [Europe/Berlin]"}, nil},
		{"RDATE that is a day", calendar(twoDays + "\nRDATE:20260109,20260110T020000Z"), nil,
			[]string{first, second, "2026-01-10T02:00:00Z 1h0m0s a@20260110T020000Z "},
			[]string{`RDATE "20260109" and DTSTART must both be dates or both be times: that date is left out`}},
		{"RDATE with a period in two forms",
			calendar(twoDays + "\nRDATE;VALUE=PERIOD:20260109T020000/20260109T030000Z,20260110T020000/20260110T030000"), nil,
			[]string{first, second, "2026-01-10T01:00:00Z 1h0m0s a@20260110T010000Z  [Europe/Berlin]"},
			[]string{"RDATE has a time without a zone and one with: its length is uncertain: that date is left out"}},
		{"EXDATE without a zone", calendar(twoDays + "\nEXDATE:20260108T020000"), floatingUTC, []string{first}, nil},
		{"EXDATE in UTC", calendar(twoDays + "\nEXDATE:20260108T010000Z"), floatingUTC, []string{first}, nil},
		{"EXDATE that is a day", calendar(twoDays + "\nEXDATE;VALUE=DATE:20260108"), nil, []string{first}, nil},
		{"EXDATE at midnight", calendar(twoDays + "\nEXDATE" + berlin + "20260108T000000"), nil, []string{first, second},
			[]string{`an EXDATE or RECURRENCE-ID on 2026-01-08 is at another time than the occurrence of that day`}},
		{"EXDATE read in UTC though it is local", calendar(twoDays + "\nEXDATE:20260108T020000Z"), nil,
			[]string{first, second}, []string{"EXDATE or RECURRENCE-ID on 2026-01-08 is at another time"}},
		{"EXDATE of a day without an occurrence", calendar(twoDays + "\nEXDATE:20260109T040000Z"), nil,
			[]string{first, second}, nil},
		{"EXDATE of an occurrence that is also moved",
			calendar(twoDays+"\nEXDATE:20260108T010000Z", "UID:a\nRECURRENCE-ID:20260108T010000Z\nDTSTART"+berlin+
				"20260108T060000"), nil, []string{first, moved}, nil},
		{"EXDATE of one of two on a day", calendar(twoDays + ";BYHOUR=2,14\nEXDATE" + berlin + "20260107T020000"), nil,
			[]string{"2026-01-07T13:00:00Z 1h0m0s a@20260107T130000Z  [Europe/Berlin]"}, nil},
		{"RECURRENCE-ID without a zone", changed(":20260108T020000", berlin+"20260108T060000"), nil,
			[]string{first, moved}, nil},
		{"RECURRENCE-ID without a zone, and the zone of whole days",
			changed(":20260108T020000", berlin+"20260108T060000"), floatingUTC, []string{first, moved}, nil},
		{"RECURRENCE-ID in UTC", changed(":20260108T010000Z", berlin+"20260108T060000"), nil, []string{first, moved}, nil},
		{"RECURRENCE-ID that is a day", changed(":20260108", berlin+"20260108T060000"), nil, []string{first, moved}, nil},
		{"a change without zones", changed(":20260108T020000", ":20260108T060000"), floatingUTC, []string{first, moved}, nil},
		{"RECURRENCE-ID at no start", changed(":20260108T020000Z", berlin+"20260108T060000"), nil,
			[]string{first, second, "2026-01-08T05:00:00Z 1h0m0s a@20260108T020000Z  [Europe/Berlin]"},
			[]string{"EXDATE or RECURRENCE-ID on 2026-01-08 is at another time"}},
		{"a change written twice, in two forms",
			calendar(twoDays, "UID:a\nRECURRENCE-ID:20260108\nSEQUENCE:1\nDTSTART"+berlin+"20260108T050000",
				"UID:a\nRECURRENCE-ID:20260108T010000Z\nSEQUENCE:2\nDTSTART"+berlin+"20260108T060000"), nil,
			[]string{first, moved}, nil},
		{"EXDATE of whole days at local midnight", whole("EXDATE" + berlin + "20260108T000000"), floatingUTC,
			[]string{firstDay}, nil},
		{"EXDATE of whole days without a zone", whole("EXDATE:20260108T000000"), floatingUTC, []string{firstDay}, nil},
		{"EXDATE of whole days in UTC", whole("EXDATE:20260108T000000Z"), floatingUTC, []string{firstDay}, nil},
		{"EXDATE of whole days in UTC, as a date",
			whole("EXDATE:20260107T000000Z"), []ical.Option{ical.WithFloatingZone("America/New_York")},
			[]string{"2026-01-08T05:00:00Z 24h0m0s a@20260108  [America/New_York]"}, nil},
		{"EXDATE of whole days that is midnight elsewhere", whole("EXDATE:20260108T230000Z"), floatingUTC,
			[]string{firstDay}, []string{"EXDATE 20260108T230000Z is not midnight in the zone of whole days, where it " +
				"counts as 20260108: check WithFloatingZone"}},
		{"RECURRENCE-ID of whole days at midnight",
			calendar(allDay, "UID:a\nRECURRENCE-ID"+berlin+"20260108T000000\nDTSTART;VALUE=DATE:20260110"), floatingUTC,
			[]string{firstDay, "2026-01-10T00:00:00Z 24h0m0s a@20260108  [UTC]"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestHarmlessOdditiesKeepTheEvent(t *testing.T) {
	t.Parallel()
	at := "UID:a\nDTSTART:20260107T020000Z\n"
	hour := at + "DURATION:PT1H\n"
	window := []string{"2026-01-07T02:00:00Z 1h0m0s a "}
	both := []string{
		"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z ", "2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z ",
	}
	for name, tc := range map[string]struct {
		event    string
		windows  []string
		warnings []string
	}{
		"empty values": {"SEQUENCE:\nRRULE:\nEXDATE:\nEXDATE;TZID=Europe/Berlin:\nRDATE: \nEXRULE:\nDTEND:\nSTATUS:\n" + hour,
			window, nil},
		"commas at the ends of lists": {hour + "EXDATE:20260109T020000Z,\nRDATE:,20260108T020000Z, ", both, nil},
		"empty parts of a rule":       {hour + "RRULE:;FREQ=DAILY;;COUNT=2;BYDAY=;BYMONTH=1,;", both, nil},
		"a property twice":            {hour + hour + "SEQUENCE:1\nSEQUENCE:1", window, nil},
		"an EXDATE of the year 1":     {hour + "RRULE:FREQ=DAILY;COUNT=2\nEXDATE:00010101T000000", both, nil},
		"an EXDATE of the year 9999":  {hour + "RRULE:FREQ=DAILY;COUNT=2\nEXDATE:99991231T235959Z", both, nil},
		"a DTSTAMP of the year 1":     {hour + "DTSTAMP:00010101T000000Z", window, nil},
		"an RDATE of the year 1": {hour + "RDATE:00010101T000000Z,20260108T020000Z", both,
			[]string{`RDATE "00010101T000000Z" is not between the years 1601 and 2199: that date is left out`}},
		"an RDATE that is none": {hour + "RDATE:soon\nRDATE:20260108T020000Z", both,
			[]string{`RDATE "soon" is not a time`}},
		"a period backwards": {hour + "RDATE:20260110T020000Z/20260110T010000Z,20260108T020000Z", both,
			[]string{"RDATE ends at 20260110T010000Z, which is not after its start at 20260110T020000Z"}},
		"a SEQUENCE that is none": {hour + "SEQUENCE:-1", window, []string{`SEQUENCE "-1" is not a number: it counts as 0`}},
		"two SEQUENCEs":           {hour + "SEQUENCE:1\nSEQUENCE:2", window, []string{"has SEQUENCE more than once"}},
		"a DURATION that is none": {at + "DTEND:20260107T030000Z\nDuration: 3 hours", window,
			[]string{`DURATION "3 hours" is invalid`}},
		"a DURATION that repeats DTEND": {hour + "DTEND:20260107T030000Z", window, nil},
		"an occurrence that recurs by nothing": {"RECURRENCE-ID:20260107T020000Z\n" + hour + "RRULE:\nRDATE:",
			[]string{"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z "}, nil},
		"an occurrence that recurs": {"RECURRENCE-ID:20260107T020000Z\n" + hour + "RRULE:FREQ=DAILY\nRDATE:20260108T020000Z",
			[]string{"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z "},
			[]string{"cannot recur itself: its RRULE and RDATE are ignored"}},
		// Not harmless.
		"an UNTIL of the year 1": {hour + "RRULE:FREQ=DAILY;UNTIL=00010101T000000Z", []string{},
			[]string{"UNTIL=00010101T000000Z is before the year 1601: does the rule have no end?"}},
		"an empty RECURRENCE-ID": {hour + "RECURRENCE-ID:", []string{}, []string{"has an empty RECURRENCE-ID"}},
		"an EXDATE that is none": {hour + "EXDATE:soon", []string{}, []string{`EXDATE "soon" is not a time`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectation{calendar: calendar(tc.event), windows: tc.windows, warnings: tc.warnings}.check(t)
		})
	}
}

func TestStrayLinesKeepTheCalendar(t *testing.T) {
	t.Parallel()
	begin, end := "BEGIN:VCALENDAR\n", "END:VCALENDAR\n"
	event := func(uid string) string {
		return "BEGIN:VEVENT\nUID:" + uid + "\nDTSTART:20260107T020000Z\nDURATION:PT1H\nEND:VEVENT\n"
	}
	with := func(uid, lines string) string {
		return strings.Replace(event(uid), "END:VEVENT", lines+"\nEND:VEVENT", 1)
	}
	a, b := "2026-01-07T02:00:00Z 1h0m0s a ", "2026-01-07T02:00:00Z 1h0m0s b "
	for _, tc := range []expectation{
		{"a text that is not folded",
			begin + with("a", "DESCRIPTION:Work\nBegin: 02:00 CET\nEnd: 05:00 CET\nEND\nThanks: \n\x00") + event("b") + end,
			nil, []string{a, b}, nil},
		{"an END that ends nothing", begin + with("a", "End: tomorrow") + event("b") + "END:VEVENT\n" + end, nil,
			[]string{a, b}, []string{"line 6: END:TOMORROW without a BEGIN", "line 13: END:VEVENT without a BEGIN"}},
		{"a BEGIN that has no END", begin + with("a", "Begin: tomorrow\nSTATUS:CANCELLED") + event("b") + end, nil, []string{b},
			[]string{`event "a" of line 2: the TOMORROW of line 6 in it has no end`}},
		{"an alarm that has no END", begin + with("a", "BEGIN:VALARM") + event("b") + end, nil, []string{b},
			[]string{`event "a" of line 2: the VALARM of line 6 in it has no end`}},
		{"an event that has no END", begin + strings.TrimSuffix(event("a"), "END:VEVENT\n") + event("b") + end, nil,
			[]string{b}, []string{`event "a" of line 2: the VEVENT of line 2 has no end`}},
		{"the last event has no END", begin + event("b") + strings.TrimSuffix(event("a"), "END:VEVENT\n") + end, nil,
			[]string{b}, []string{`event "a" of line 7: the VEVENT of line 7 has no end`}},
		{"lines after the end", begin + event("a") + end + "<!-- cached -->\nEND:VCALENDAR\nX\n" + begin + event("b") + end,
			nil, []string{a, b},
			[]string{`uncertain: line 8: "<!-- cached -->" and what follows is outside of any calendar and ignored`}},
		{"an event after the end", begin + event("a") + end + event("b"), nil, []string{a},
			[]string{"windows may be missing: line 8: BEGIN:VEVENT is outside of any calendar and ignored"}},
		{"a calendar that has no END before another", begin + event("a") + begin + event("b") + end, nil, []string{a, b},
			[]string{"line 1: the VCALENDAR has no end: is a part of it missing?"}},
		{"a time zone that has no END", begin + "BEGIN:VTIMEZONE\nTZID:Ours\n" + event("a") +
			strings.Replace(event("b"), ":20260107T020000Z", ";TZID=Ours:20260107T020000", 1) + end, nil, []string{a},
			[]string{`has the time zone "Ours", whose definition cannot be used (the VTIMEZONE of line 2 has no end)`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// TestExceptionsInAnyForm excludes or moves one of five occurrences, written in any form, and never has both the old and
// the new one.
func TestExceptionsInAnyForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zones := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Auckland"})
		zone := zones.Draw(t, "zone")
		floating := rapid.SampledFrom([]string{"UTC", zone, "Asia/Kolkata"}).Draw(t, "floating")
		date := time.Date(2026, 3, 1, 0, 30*rapid.IntRange(0, 47+48*240).Draw(t, "start"), 0, 0, time.UTC)
		start, all := ";TZID="+zone+":"+date.Format("20060102T150405"), rapid.Bool().Draw(t, "whole days")
		if all {
			start, floating = ";VALUE=DATE:"+date.Format("20060102"), zone
		}
		series := "UID:a\nSUMMARY:Maintenance\nDTSTART" + start + "\nDURATION:P1D\nRRULE:FREQ=DAILY;COUNT=5"
		windowsOf := func(events ...string) []maintenance.Window {
			s, err := ical.Parse(strings.NewReader(calendar(events...)), "test", ical.WithFloatingZone(floating),
				ical.WithSummary("maintenance"))
			require.NoError(t, err)
			windows, err := s.Windows(t.Context(), date.AddDate(0, 0, -9), date.AddDate(0, 0, 30))
			require.NoError(t, err)
			return windows
		}
		plain := windowsOf(series)
		require.Len(t, plain, 5)
		i := rapid.IntRange(0, 4).Draw(t, "occurrence")
		local := date.AddDate(0, 0, i)
		if all {
			local = local.Truncate(24 * time.Hour)
		}
		tokyo := plain[i].Start.Add(9 * time.Hour).Format("20060102T150405")
		forms := []string{
			":" + plain[i].Start.Format("20060102T150405Z"), ":" + local.Format("20060102T150405"),
			";TZID=" + zone + ":" + local.Format("20060102T150405"), ";VALUE=DATE:" + local.Format("20060102"),
			";TZID=Asia/Tokyo:" + tokyo,
		}
		if all { // a time in another zone is the day that it shows
			forms = forms[:4]
		}
		form := rapid.SampledFrom(forms).Draw(t, "form")

		want := slices.Delete(slices.Clone(plain), i, i+1)
		require.Equal(t, want, windowsOf(series+"\nEXDATE"+form))

		moved := plain[i].Start.Add(10 * 24 * time.Hour)
		got := windowsOf(series, "UID:a\nSUMMARY:Upgrade\nRECURRENCE-ID"+form+"\nDTSTART:"+
			moved.Format("20060102T150405Z")+"\nDURATION:PT1H")
		require.Equal(t, want, got[:4])
		require.Equal(t, plain[i].ID, got[4].ID)
		require.Equal(t, moved, got[4].Start)

		got = windowsOf(series, "UID:a\nRECURRENCE-ID"+form+"\nSTATUS:CANCELLED")
		require.Equal(t, lines(want), lines(slices.DeleteFunc(got, func(w maintenance.Window) bool { return w.Cancelled })))
	})
}
