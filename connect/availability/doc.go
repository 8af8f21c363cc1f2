// Package availability answers whether CloudBlue Connect is up, by looking at it.
//
// Announced windows drift, so a [Tracker] looks for itself. Its outages are windows
// from then on, and make the announced ones more exact:
//
//	tracker, err := availability.NewTracker(availability.TrackerConfig{
//		Calendar: func() *maintenance.Calendar { return calendar },
//	})
//	go tracker.Run(ctx, client) // until ctx ends
//	fmt.Println(tracker.Status(time.Now()))
//	observed, err := tracker.Windows(ctx, from, to)
//	exact, err := calendar.WithObserved(observed, time.Now())
//
// [WaitUntilUp] waits for the end of a maintenance, and [CheckReadiness] tells in
// parts whether Connect is back. A time in which nothing answers at all is kept
// apart from outages: it may be the network on this side.
package availability
