// Package maintenance knows when CloudBlue Connect is under maintenance: announced
// windows, from a file, a status page or a calendar that people keep, and observed ones.
//
// Connect does not announce its maintenance in its API (documented, connect/WIRE.md#0.1) and has no
// known status page (connect/WIRE.md#0.4), so that the operator supplies the windows, in code or in
// a file:
//
//	calendar, err := LoadCalendarFile("windows.json")
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
// a status page (statuspage), a calendar that people keep (ical), or a
// [Multi] of several, which also knows them while a source is down:
//
//	multi, err := NewMulti([]NamedSource{
//		{Name: "file", Source: NewFileSource("windows.json")},
//		{Name: "page", Source: page},
//	}, WithCacheDir("/var/lib/billing/windows"))
//	…
//	calendar, err := CalendarOf(ctx, multi, now.AddDate(0, 0, -30), now.AddDate(0, 0, 60))
//	warnings, failure := SplitWarnings(err) // the calendar is good for what is known
//
// Errors name the file, the place in it, what is wrong and what to do, in one line.
package maintenance
