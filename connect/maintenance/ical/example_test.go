package ical_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

func ExampleParse() {
	invitation := `BEGIN:VCALENDAR
BEGIN:VEVENT
UID:connect-upgrade
SUMMARY:Connect upgrade
DTSTART;TZID=Europe/Berlin:20260328T020000
DURATION:PT3H
RRULE:FREQ=WEEKLY;COUNT=3
EXDATE;TZID=Europe/Berlin:20260404T020000
END:VEVENT
BEGIN:VEVENT
UID:birthday
SUMMARY:Birthday
DTSTART;VALUE=DATE:20260401
END:VEVENT
END:VCALENDAR
`
	schedule, err := ical.Parse(strings.NewReader(invitation), "mail of 5 January", ical.WithSummary("connect"))
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	windows, err := schedule.Windows(context.Background(), from, from.AddDate(1, 0, 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range windows {
		fmt.Println(w)
	}
	// Output:
	// connect-upgrade@20260328T010000Z "Connect upgrade": 2026-03-28 02:00 CET to 2026-03-28 05:00 CET
	// connect-upgrade@20260411T000000Z "Connect upgrade": 2026-04-11 02:00 CEST to 2026-04-11 05:00 CEST
}

func ExampleNewFile() {
	source, err := ical.NewFile("testdata/outlook.ics", ical.WithCategory("maintenance"),
		ical.WithZoneName("W. Europe Standard Time", "Europe/Berlin"))
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	windows, err := source.Windows(context.Background(), from, from.AddDate(0, 1, 0))
	if warnings, failure := maintenance.SplitWarnings(err); failure != nil {
		fmt.Println(failure)
		return
	} else if len(warnings) > 0 {
		fmt.Println("but:", warnings)
	}
	for _, w := range windows {
		fmt.Println(w.Title, w.Start.Format(time.RFC3339), w.End.Sub(w.Start))
	}
	// Output:
	// Wartung CloudBlue Connect 2026-03-20T01:00:00Z 3h0m0s
}
