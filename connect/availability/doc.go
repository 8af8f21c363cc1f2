// Package availability answers whether CloudBlue Connect is up, by probing it.
//
// Announced windows are not exact, so a [Tracker] probes Connect regularly. The outages
// that it observes correct the announced windows:
//
//	tracker, err := availability.NewTracker(availability.TrackerConfig{
//		Calendar: func() *maintenance.Calendar { return calendar },
//	})
//	if err != nil {
//		return err
//	}
//	go tracker.Run(ctx, client) // until ctx ends
//	...
//	fmt.Println(tracker.Status(time.Now()))
//	observed, err := tracker.Windows(ctx, from, to)
//	exact, err := calendar.WithObserved(observed, time.Now())
//
// [WaitUntilUp] blocks until a tracker finds Connect up. [CheckReadiness] also checks the
// API key, requests and the hub. A time in which nothing answers is kept apart from
// outages: the cause may be the local network.
//
// Errors have one line. A [Tracker] is safe for concurrent use.
package availability
