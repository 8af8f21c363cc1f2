// Package maintenance answers when CloudBlue Connect is under maintenance, from announced
// and observed windows.
//
// Connect does not announce maintenance in its API (documented, connect/WIRE.md#0.1) and has
// no known status page (inferred, connect/WIRE.md#0.4), so the operator supplies the
// windows, in code or in a file:
//
//	calendar, err := maintenance.LoadCalendarFile("windows.json")
//	if err != nil {
//		return err
//	}
//	if window, ok := calendar.WithMargins(0, 10*time.Minute).At(order.FailedAt); ok {
//		fmt.Println("failed during", window)
//	}
//
// A [Calendar] holds single and weekly windows. It finds the window in effect at an
// instant, those in a range, the next one and the last one. It is immutable and safe for
// concurrent use.
//
// Windows that change at run time come from a [WindowSource]: a [FileSource], a status page
// (package statuspage), an iCalendar feed (package ical), or a [Multi] of several, which
// uses the last good answer of a source that fails:
//
//	multi, err := maintenance.NewMulti([]maintenance.NamedSource{
//		{Name: "file", Source: maintenance.NewFileSource("windows.json")},
//		{Name: "page", Source: page},
//	}, maintenance.WithCacheDir("/var/lib/billing/windows"))
//	...
//	calendar, err := maintenance.QueryCalendar(ctx, multi, now.AddDate(0, 0, -30), now.AddDate(0, 0, 60))
//	warnings, failure := maintenance.SplitWarnings(err) // usable if failure is nil
//
// Time zones are IANA names and need time zone data: of the machine, or of a program that
// imports _ "time/tzdata" (450 KB), which this package does not.
//
// Errors have one line: the file, the place in it, what is wrong and what to do.
package maintenance
