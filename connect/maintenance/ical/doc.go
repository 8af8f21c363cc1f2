// Package ical reads maintenance windows from calendars that people keep: iCalendar
// (RFC 5545), as Google, Outlook and Apple export it, from an address or a file.
//
//	source, err := ical.New("webcal://calendar.example.com/private-…/basic.ics",
//		ical.WithSummary("Connect maintenance"), ical.WithFloatingZone("Europe/Berlin"))
//	if err != nil {
//		return err
//	}
//	windows, err := source.Windows(ctx, now.AddDate(0, -1, 0), now.AddDate(0, 3, 0))
//	warnings, failure := connect.SplitWarnings(err)
//
// An event is a [maintenance.Window] with its UID as the id, and its SUMMARY as the
// title. One that recurs is a window for each occurrence, whose id is "<UID>@" and
// the time for which its rule has it, in UTC, or the day: an occurrence that was moved
// keeps its id. Cancelled events and occurrences are cancelled windows.
//
// Times keep what the clocks of their zone show; an hour that clocks skip is as
// much later, one that they show twice is the first (RFC 5545 3.3.5). A DURATION
// in days follows the clocks too; a DTEND is as far from DTSTART as time elapses.
// Zones are IANA names, or have their rules in the calendar, as Outlook's do, which are
// followed from 1970 on.
//
// Rules may be daily, weekly, monthly and yearly, with all that RFC 5545 has for
// these. Rules finer than daily, EXRULE, and changes of all following occurrences at
// once (RANGE=THISANDFUTURE) are refused.
//
// What is wrong with one event leaves that one out, and is a
// [maintenance.SourceWarning] beside the windows of the others, with the line of the
// calendar. What is no calendar is an error, and so is one that is too large, see
// the options. Errors have one line, and of an address only the host.
//
// All types are safe for concurrent use. Zones need time zone data: of the machine, or
// of the program if it has import _ "time/tzdata".
package ical
