package availability_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// A service would call tracker.Run(ctx, client) in a goroutine of its own; here
// the looks of a night are given one by one.
func ExampleTracker() {
	start := time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC)
	announced, err := maintenance.NewCalendar([]maintenance.Window{{ID: "upgrade", Start: start,
		End: start.Add(time.Hour)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	tracker, err := availability.NewTracker(
		availability.TrackerConfig{Calendar: func() *maintenance.Calendar { return announced }})
	if err != nil {
		fmt.Println(err)
		return
	}
	for m := -10; m < 100; m++ {
		look := connect.Probe{Class: connect.ClassUp, Version: "26.0.12", At: start.Add(time.Duration(m) * time.Minute)}
		if m >= 5 && m < 75 {
			look.Class, look.Version = connect.ClassMaintenanceSuspected, ""
		}
		tracker.Observe(look)
	}
	now := start.Add(100 * time.Minute)
	fmt.Println(tracker.Status(now).Condition)
	for _, outage := range tracker.Outages() {
		fmt.Println(outage)
	}

	observed, err := tracker.Windows(context.Background(), start.AddDate(0, 0, -1), now)
	if err != nil {
		fmt.Println(err)
		return
	}
	exact, err := announced.WithObserved(observed, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(exact.Windows()[0])
	// Output:
	// up
	// Connect was down from 2026-01-10 02:05 UTC (last up at 2026-01-10 02:04 UTC) to 2026-01-10 03:15 UTC. Probes: 70 maintenance suspected.
	// upgrade: 2026-01-10 02:00 UTC to 2026-01-10 03:00 UTC, actually 2026-01-10 02:04 UTC to 2026-01-10 03:15 UTC
}

func ExampleTracker_MarshalJSON() {
	var before, after availability.Tracker
	for m := range 3 {
		before.Observe(connect.Probe{Class: connect.ClassUnavailable, At: time.Date(2026, 1, 10, 2, m, 0, 0, time.UTC)})
	}
	saved, err := json.Marshal(&before) // to a file, every now and then
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := json.Unmarshal(saved, &after); err != nil { // in the next process
		fmt.Println(err)
		return
	}
	fmt.Println(after.Outages()[0])
	// Output: Connect was down from 2026-01-10 02:00 UTC, ongoing at 2026-01-10 02:02 UTC. Probes: 3 unavailable.
}

func ExampleWaitUntilUp() {
	sys := connecttest.New(connecttest.Config{})
	client, err := connect.New("", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}))
	if err != nil {
		fmt.Println(err)
		return
	}
	seen, err := availability.WaitUntilUp(context.Background(), client, availability.WaitConfig{
		Threshold: 1, // 3 is better where time does not matter
		Progress:  func(w availability.WaitResult) { fmt.Println("probe:", w.Last.Class) },
	})
	if err != nil {
		fmt.Println(err) // a budget is spent, or ctx has ended
		return
	}
	fmt.Println(seen)
	// Output:
	// probe: up
	// Connect is up after 0s (maintenance 0s, other reasons 0s; probes: 1 up)
}

func ExampleCheckReadiness() {
	sys := connecttest.New(connecttest.Config{})
	client, err := connect.New("", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}))
	if err != nil {
		fmt.Println(err)
		return
	}
	sys.SetHealthCheck(time.Time{}) // Commerce has not called yet
	readiness := availability.CheckReadiness(context.Background(), client, availability.ReadinessConfig{
		Hub: connecttest.DefaultHubID, VersionBefore: "26.0.11",
	})
	fmt.Println(readiness.Ready(), readiness.VersionChanged())
	for _, part := range readiness.NotReady() {
		fmt.Println(part.Name+":", part.Why)
	}
	// Output:
	// false true
	// hub: Commerce does not report to Connect: hub HB-0000-0001 never reported.
}
