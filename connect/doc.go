// Package connect is CloudBlue Connect as a program next to Commerce sees it: when it
// is under maintenance, and what became of the fulfillment requests.
//
// # Windows
//
// Connect announces its maintenance to people, not in its API (facts/connect.md 0.4),
// so that the operator supplies the windows, in code or in a file:
//
//	calendar, err := connect.LoadCalendarFile("windows.json")
//	if err != nil {
//		return err
//	}
//	if window, ok := calendar.WithMargins(0, 10*time.Minute).At(order.FailedAt); ok {
//		fmt.Println("failed during", window)
//	}
//
// A [Calendar] holds single windows and weekly ones. It answers which window holds at
// an instant, which are in a range, which comes next and which ended last. It is
// immutable and safe for concurrent use.
//
// Zones are IANA names. They need time zone data: that of the machine, or that of
// the program if it has import _ "time/tzdata". The package does not import it,
// since it adds some 450 KB that most machines have already.
//
// Windows that change while a program runs come from a [WindowSource]: a [FileSource],
// a status page (connect/statuspage), a calendar that people keep (connect/ical), or a
// [Multi] of several, which also knows them while a source is down:
//
//	multi, err := connect.NewMulti([]connect.NamedSource{
//		{Name: "file", Source: connect.NewFileSource("windows.json")},
//		{Name: "page", Source: page},
//	}, connect.WithCacheDir("/var/lib/billing/windows"))
//	…
//	calendar, err := connect.CalendarOf(ctx, multi, now.AddDate(0, 0, -30), now.AddDate(0, 0, 60))
//	warnings, failure := connect.SplitWarnings(err) // the calendar is good for what is known
//
// Errors name the file, the place in it, what is wrong and what to do, in one line.
//
// # Availability
//
// Announced windows drift, so a [Tracker] looks for itself. Its outages are windows
// from then on, and make the announced ones more exact:
//
//	tracker, err := connect.NewTracker(connect.TrackerConfig{
//		Calendar: func() *connect.Calendar { return calendar },
//	})
//	go tracker.Run(ctx, client) // until ctx ends
//	fmt.Println(tracker.Status(time.Now()))
//	observed, err := tracker.Windows(ctx, from, to)
//	exact, err := calendar.WithObserved(observed, time.Now())
//
// [WaitUntilUp] waits for the end of a maintenance, and [Client.Readiness] tells in
// parts whether Connect is back. A time in which nothing answers at all is kept
// apart from outages: it may be the network on this side.
//
// # Requests
//
// A [Client] reads what Commerce has asked of the vendors, and changes nothing:
//
//	client, err := connect.New("", connect.APIKey(os.Getenv("CONNECT_API_KEY")))
//	if err != nil {
//		return err
//	}
//	key := connect.RequestKey{Tenant: order.TenantID, Type: connect.TypePurchase}
//	newest, found, err := client.NewestRequest(ctx, key)
//	switch {
//	case errors.Is(err, connect.ErrUnavailable): // still under maintenance: hold
//	case err != nil: // unknown: hold
//	case !found: // the order never reached Connect
//	default: // newest.Request.Status says who must act next
//	}
//
// [Client.NewestRequests] does that for many keys at once, [Client.Requests] lists,
// and [Client.Probe] looks from outside, without the key, whether Connect is up.
//
// Every failed call is an [*Error] on one line; errors.Is tells its kind. Reads are
// tried again while Connect is unavailable. A client is immutable and safe for
// concurrent use; the sequences that it returns start no goroutine.
package connect
