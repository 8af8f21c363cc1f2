package ical_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

// expectation is what a calendar has: windows, and one warning for each text.
type expectation struct {
	name     string
	calendar string
	opts     []ical.Option
	windows  []string
	warnings []string
}

func (e expectation) check(t *testing.T) {
	t.Helper()
	windows, err := in2026(t, parse(t, e.calendar, e.opts...))
	require.Equal(t, e.windows, lines(windows))
	warnings, failure := maintenance.SplitWarnings(err)
	require.NoError(t, failure)
	require.Len(t, warnings, len(e.warnings), "%v", err)
	for i, w := range warnings {
		require.ErrorContains(t, w, e.warnings[i])
		require.NotContains(t, w.Error(), "\n")
	}
}

// daily is a series of two days, at 02:00Z.
const daily = "UID:a\nSUMMARY:Maintenance\nCATEGORIES:Planned\nLOCATION:EU\nDTSTART:20260107T020000Z\n" +
	"DURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2"

// change is a change of the second day.
func change(more ...string) string {
	return strings.Join(append([]string{"UID:a", "SEQUENCE:1", "RECURRENCE-ID:20260108T020000Z"}, more...), "\n")
}

func TestFilterAppliesToTheLatestVersion(t *testing.T) {
	t.Parallel()
	summary := []ical.Option{ical.WithSummary("maintenance")}
	first := "2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Maintenance"
	one := "UID:a\nSUMMARY:Maintenance\nDTSTART:20260107T020000Z\nDURATION:PT1H"
	moved := change("SUMMARY:Upgrade", "DTSTART:20260108T060000Z", "DURATION:PT1H")
	for _, tc := range []expectation{
		{"a moved occurrence with another summary", calendar(daily, moved), summary,
			[]string{first, "2026-01-08T06:00:00Z 1h0m0s a@20260108T020000Z Upgrade"}, nil},
		{"a moved occurrence without the category", calendar(daily, moved), []ical.Option{ical.WithCategory("planned")},
			[]string{first, "2026-01-08T06:00:00Z 1h0m0s a@20260108T020000Z Upgrade"}, nil},
		{"a moved occurrence at another location", calendar(moved+"\nLOCATION:US", daily),
			[]ical.Option{ical.WithFilter(func(e ical.Event) bool { return e.Location == "EU" })},
			[]string{first, "2026-01-08T06:00:00Z 1h0m0s a@20260108T020000Z Upgrade"}, nil},
		{"a cancelled occurrence without a summary", calendar(daily, change("STATUS:CANCELLED")), summary,
			[]string{first, "2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z Maintenance cancelled"}, nil},
		{"an occurrence that alone has the summary",
			calendar(strings.Replace(daily, "Maintenance", "Meeting", 1),
				change("SUMMARY:Maintenance", "DTSTART:20260108T020000Z", "DURATION:PT1H")), summary,
			[]string{"2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z Maintenance"}, nil},
		{"an older version of a changed occurrence",
			calendar(daily, moved, strings.Replace(moved, "Upgrade\nDTSTART:20260108T06", "Maintenance\nDTSTART:20260108T05", 1),
				strings.NewReplacer("SEQUENCE:1", "SEQUENCE:2", "T06", "T07").Replace(moved)), summary,
			[]string{first, "2026-01-08T07:00:00Z 1h0m0s a@20260108T020000Z Upgrade"}, nil},
		{"an occurrence that cannot be read", calendar(daily, change("SUMMARY:Upgrade", "DTSTART:soon")), summary,
			[]string{first, "2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z Maintenance"},
			[]string{`line 12: DTSTART "soon" is not a time`}},
		{"a newer version with another summary",
			calendar(one, strings.NewReplacer("Maintenance", "Upgrade\nSEQUENCE:1", "T02", "T06").Replace(one)), summary,
			[]string{}, nil},
		{"a newer version without a summary",
			calendar(one, strings.NewReplacer("SUMMARY:Maintenance", "SEQUENCE:1", "T02", "T06").Replace(one)), summary,
			[]string{"2026-01-07T06:00:00Z 1h0m0s a Maintenance"}, nil},
		{"a newer version that is cancelled and has nothing else", calendar("UID:a\nSEQUENCE:1\nSTATUS:CANCELLED", one),
			summary, []string{"2026-01-07T02:00:00Z 1h0m0s a Maintenance cancelled"}, nil},
		{"a cancellation in a calendar of its own",
			calendar(one) + strings.Replace(calendar("UID:a\nSEQUENCE:1"), "VERSION:2.0", "METHOD:CANCEL", 1),
			summary, []string{"2026-01-07T02:00:00Z 1h0m0s a Maintenance cancelled"}, nil},
		{"a cancelled series and nothing else", calendar("UID:a\nSEQUENCE:1\nSTATUS:CANCELLED", daily), summary,
			[]string{first + " cancelled", "2026-01-08T02:00:00Z 1h0m0s a@20260108T020000Z Maintenance cancelled"}, nil},
		{"a summary that cannot be read", calendar("UID:a\nSUMMARY;X=\"y:Maintenance\nDTSTART:20260107T020000Z\nDURATION:PT1H",
			"UID:b\nSUMMARY Maintenance\nDTSTART:20260107T020000Z\nDURATION:PT1H"), summary,
			[]string{"2026-01-07T02:00:00Z 1h0m0s a Maintenance", "2026-01-07T02:00:00Z 1h0m0s b SUMMARY Maintenance"}, nil},
		{"categories that cannot be read",
			calendar(one + "\nCATEGORIES;X:Planned,Other"), []ical.Option{ical.WithCategory("other")},
			[]string{"2026-01-07T02:00:00Z 1h0m0s a Maintenance"}, nil},
		{"an event of which a part may be missing", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:b\n" +
			strings.TrimPrefix(calendar(one), "BEGIN:VCALENDAR\n"), summary,
			[]string{"2026-01-07T02:00:00Z 1h0m0s a Maintenance"}, []string{"the VEVENT of line 2 has no end"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// A Multi keeps old windows by the ids of such warnings.
func TestWarningsNameTheWindowThatIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ calendar, id string }{
		"an event":      {calendar("UID:a\nDTSTART:soon"), "a"},
		"an occurrence": {calendar(daily, change("DTSTART:soon")), "a@20260108T020000Z"},
		"an RDATE":      {calendar(daily + "\nRDATE;VALUE=DATE:20260110"), "a@20260110"},
		"an event that may be another": {calendar("UID:a\nDTSTART:20260106T020000Z\nDURATION:PT1H",
			daily+"\nDTSTAMP:20260101T000000Z"), "a@20260106T020000Z"},
		"a calendar": {calendar(daily) + "BEGIN:VEVENT\nEND:VEVENT\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := in2026(t, parse(t, tc.calendar))
			warnings, failure := maintenance.SplitWarnings(err)
			require.NoError(t, failure)
			require.Len(t, warnings, 1)
			require.ErrorIs(t, warnings[0], maintenance.ErrIncomplete)
			require.Equal(t, tc.id, warnings[0].WindowID)
		})
	}
}

func TestEventsThatShareAUID(t *testing.T) {
	t.Parallel()
	at := func(day string, more ...string) string {
		return strings.Join(append([]string{"UID:a\nDTSTART:202601" + day + "T020000Z\nDURATION:PT1H"}, more...), "\n")
	}
	all := []string{
		"2026-01-10T02:00:00Z 1h0m0s a@20260110T020000Z ", "2026-01-11T02:00:00Z 1h0m0s a@20260111T020000Z ",
		"2026-01-12T02:00:00Z 1h0m0s a@20260112T020000Z ",
	}
	const shared = "line 8: has the same UID and version as the event of line 3, which has other times: all of them are " +
		"used"
	for _, tc := range []expectation{
		{"in a calendar", calendar(at("10"), at("11"), at("12")), nil, all, []string{shared}},
		{"in several", calendar(at("10")) + calendar(at("11")) + calendar(at("12")), nil, all, []string{"of line 3, which has"}},
		{"one of them twice", calendar(at("10"), at("11"), at("10"), at("12")), nil, all, []string{"of line 8"}},
		{"with other lengths", calendar(at("10"), strings.Replace(at("10"), "PT1H", "PT2H", 1)), nil,
			[]string{"2026-01-10T02:00:00Z 1h0m0s a@20260110T020000Z "}, []string{"another window has the id", shared}},
		{"a series and a single event", calendar(at("10", "RRULE:FREQ=DAILY;COUNT=2"), at("12")), nil, all,
			[]string{"line 9: has the same UID and version"}},
		{"of the same SEQUENCE and an older DTSTAMP",
			calendar(at("10", "DTSTAMP:20260101T000000Z"), at("11", "DTSTAMP:20260102T000000Z")), nil,
			[]string{"2026-01-11T02:00:00Z 1h0m0s a "},
			[]string{"line 3: has the same UID and SEQUENCE as the event of line 9, whose DTSTAMP is newer"}},
		{"and one of them is cancelled", calendar(at("10", "STATUS:CANCELLED"), at("10", "STATUS:CONFIRMED")), nil,
			[]string{"2026-01-10T02:00:00Z 1h0m0s a  cancelled"}, nil},
		{"and an older version was cancelled",
			calendar(at("10", "STATUS:CANCELLED"), at("10", "STATUS:CONFIRMED", "DTSTAMP:20260101T000000Z")), nil,
			[]string{"2026-01-10T02:00:00Z 1h0m0s a "}, nil},
		{"of a lower SEQUENCE", calendar(at("11", "SEQUENCE:2"), at("10", "SEQUENCE:1")), nil,
			[]string{"2026-01-11T02:00:00Z 1h0m0s a "}, nil},
		{"and an occurrence changed twice",
			calendar(daily, change("DTSTART:20260108T060000Z"), change("DTSTART:20260108T070000Z")), nil,
			[]string{"2026-01-07T02:00:00Z 1h0m0s a@20260107T020000Z Maintenance",
				"2026-01-08T07:00:00Z 1h0m0s a@20260108T020000Z Maintenance"},
			[]string{"line 12: has the same version as the event of line 18, which has other times"}},
		{"and the filter selects one",
			calendar(at("10", "SUMMARY:Maintenance"), at("11", "SUMMARY:Meeting")),
			[]ical.Option{ical.WithSummary("maintenance")},
			[]string{"2026-01-10T02:00:00Z 1h0m0s a@20260110T020000Z Maintenance"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}
