package ical_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

// FuzzParse goes the whole way from bytes to windows. Whatever they are, what comes
// out keeps the contract of a WindowSource.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"google.ics", "outlook.ics", "apple.ics"} {
		data, err := os.ReadFile("testdata/" + name)
		require.NoError(f, err)
		f.Add(data)
	}
	for _, rule := range []string{
		"FREQ=MONTHLY;BYDAY=MO,2TU,-1FR;BYSETPOS=-1", "FREQ=YEARLY;BYWEEKNO=1,53;WKST=SU",
		"FREQ=WEEKLY;INTERVAL=3;COUNT=5;BYDAY=SU,SA",
		"FREQ=YEARLY;BYYEARDAY=-366;BYHOUR=1,2", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;UNTIL=20260110T020000",
	} {
		f.Add([]byte(calendar(plain("DTSTART;TZID=Europe/Berlin:20260110T020000", "DURATION:P1DT1H", "RRULE:"+rule))))
	}
	for _, text := range []string{
		calendar(daily, change("STATUS:CANCELLED"), change("DTSTART:20260108T060000Z", "DURATION:PT2H"), daily+"\nEXDATE:"),
		calendar(allDay+";UNTIL=20260108T230000Z\nEXDATE;TZID=Europe/Berlin:20260108T000000,",
			"UID:a\nRECURRENCE-ID:20260107T230000Z\nDTSTART:20260108T020000\nDTEND:20260108T030000Z"),
		calendar(twoDays+"\nEXDATE:20260107\nRDATE:00010101T000000,20260110/PT1H", "BEGIN:VALARM\nEND: never\nBEGIN:X"),
		inZone("tzone://Microsoft/Utc") + inZone("W. Europe Standard Time") + "<!-- -->\n" + inZone("/a/b/Europe/Berlin"),
		withZone(observance("STANDARD", "19700101T000000", "+0100", "+0100", "RDATE:"), "20260701T120000"),
		strings.ReplaceAll(withZone(observance("STANDARD", "19700101T000000", "+0100", "+0100"), "20260701T120000"), "Ours",
			"GMT"),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ical.Parse(bytes.NewReader(data), "fuzz", ical.WithFloatingZone("Europe/Berlin"),
			ical.WithMaxOccurrences(500))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		from, to := instant(t, "2026-01-01T00:00:00Z"), instant(t, "2027-01-01T00:00:00Z")
		windows, err := s.Windows(t.Context(), from, to)
		warnings, failure := maintenance.SplitWarnings(err)
		require.True(t, failure == nil || len(windows) == 0 && strings.Contains(failure.Error(), "more than 5000 windows"),
			"%v", failure)
		for _, w := range warnings {
			require.NotContains(t, w.Error(), "\n")
		}
		_, err = maintenance.NewCalendar(windows)
		require.NoError(t, err, "ids are not repeated and windows are valid")
		for i, w := range windows {
			require.True(t, w.Start.Before(to) && w.End.After(from))
			require.True(t, i == 0 || !w.Start.Before(windows[i-1].Start))
		}
	})
}
