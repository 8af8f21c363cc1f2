package maintenance_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func Example_windows() {
	calendar, err := maintenance.LoadCalendar(strings.NewReader(`{
	  "windows": [
	    {"id": "upgrade", "title": "Connect 26.1", "start": "2026-01-14T22:00:00", "duration": "4h", "timezone": "Europe/Berlin"}
	  ],
	  "weekly": [
	    {"id": "weekly", "weekday": "saturday", "time": "02:00", "duration": "3h", "timezone": "Europe/Berlin"}
	  ]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	failedAt := time.Date(2026, 1, 15, 1, 4, 0, 0, time.UTC)
	window, ok := calendar.WithMargins(0, 10*time.Minute).At(failedAt)
	fmt.Println(ok, window)
	next, _ := calendar.Next(failedAt)
	fmt.Println(next)
	// Output:
	// true upgrade "Connect 26.1": 2026-01-14 22:00 CET to 2026-01-15 02:00 CET
	// weekly@2026-01-17: 2026-01-17 02:00 CET to 2026-01-17 05:00 CET
}

func ExampleNewCalendar() {
	calendar, err := maintenance.NewCalendar(
		[]maintenance.Window{{
			ID:        "weekly@2026-03-28", // in place of that day's occurrence
			Start:     time.Date(2026, 3, 28, 1, 0, 0, 0, time.UTC),
			End:       time.Date(2026, 3, 28, 4, 0, 0, 0, time.UTC),
			Cancelled: true,
		}},
		maintenance.Weekly{ID: "weekly", Weekday: time.Saturday, Time: "02:00", Duration: 3 * time.Hour,
			Zone: "Europe/Berlin"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	from := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	for window := range calendar.OverlappingSeq(from, from.AddDate(0, 0, 16)) {
		fmt.Println(window.ID, window.Start.Format(time.RFC3339))
	}
	// Output:
	// weekly@2026-03-21 2026-03-21T01:00:00Z
	// weekly@2026-04-04 2026-04-04T00:00:00Z
}

func ExampleCalendar_Spans() {
	day := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	calendar, err := maintenance.NewCalendar([]maintenance.Window{
		{ID: "database", Start: day.Add(2 * time.Hour), End: day.Add(5 * time.Hour)},
		{ID: "network", Start: day.Add(5 * time.Hour), End: day.Add(6 * time.Hour)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, span := range calendar.Spans(day, day.Add(24*time.Hour)) {
		fmt.Println(span.Start.Format("15:04"), span.End.Format("15:04"))
	}
	// Output: 02:00 06:00
}

func ExampleWindow_State() {
	window := maintenance.Window{
		ID:          "upgrade",
		Start:       time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC),
		End:         time.Date(2026, 1, 10, 5, 0, 0, 0, time.UTC),
		ActualStart: time.Date(2026, 1, 10, 2, 5, 0, 0, time.UTC),
	}
	fmt.Println(window.State(window.Start), window.State(window.ActualStart), window.State(window.End))
	// Output: planned ongoing overrun
}

func ExampleLoadCalendar_refused() {
	_, err := maintenance.LoadCalendar(strings.NewReader(`{"windows": [
	  {"id": "a", "start": "2026-01-10T05:00:00Z", "end": "2026-01-10T02:00:00Z"}
	]}`))
	fmt.Println(err)
	// Output: maintenance: windows: line 2: windows[0].end: 2026-01-10T02:00:00Z is not after the start, 2026-01-10T05:00:00Z
}

func ExampleSaveCalendar() {
	calendar, err := maintenance.NewCalendar(nil, maintenance.Weekly{
		ID: "weekly", Weekday: time.Saturday, Time: "02:00", Duration: 3 * time.Hour, Zone: "UTC",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := maintenance.SaveCalendar(os.Stdout, calendar); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {
	//   "windows": [],
	//   "weekly": [
	//     {
	//       "id": "weekly",
	//       "weekday": "saturday",
	//       "time": "02:00",
	//       "duration": "3h0m0s",
	//       "timezone": "UTC"
	//     }
	//   ]
	// }
}
