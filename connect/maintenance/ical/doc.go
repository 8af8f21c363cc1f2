// Package ical reads maintenance windows from iCalendar feeds and files (RFC 5545), as Google,
// Outlook and Apple export them.
//
//	source, err := ical.New("webcal://calendar.example.com/private-…/basic.ics",
//		ical.WithSummary("Connect maintenance"), ical.WithFloatingZone("Europe/Berlin"))
//	if err != nil {
//		return err
//	}
//	windows, err := source.Windows(ctx, now.AddDate(0, -1, 0), now.AddDate(0, 3, 0))
//	warnings, failure := maintenance.SplitWarnings(err)
//	if failure != nil {
//		return failure
//	}
//
// An event is a [maintenance.Window] with its UID as the id and its SUMMARY as the title. A
// recurring event is one window per occurrence, with the id "<UID>@<time>": the time at
// which the rule starts it, in UTC, or the date. An occurrence that was moved keeps its id.
// Cancelled events and occurrences are cancelled windows.
//
// Times are local to their zone. A time that clocks skip is that much later, one that they
// show twice is the first (RFC 5545 3.3.5). A DURATION in days follows local time; a DTEND
// is elapsed time after DTSTART. Zones are IANA names or defined in the calendar, as
// Outlook does, and then used from 1970 on.
//
// Rules may be daily, weekly, monthly and yearly, with all parts of RFC 5545. Rules finer than
// daily, EXRULE and RANGE=THISANDFUTURE are rejected.
//
// An invalid event is left out, with a [maintenance.SourceWarning] that names the line. An
// input that is no calendar or too large (see the options) is an error. Errors have one
// line, and only the host of an address.
//
// All types are safe for concurrent use. Zones need time zone data: of the machine, or of a
// program that imports _ "time/tzdata".
package ical
