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
// Of the versions of an event the latest counts (RFC 5546 2.1.5), across all calendars of a stream, and
// filters apply to it. Events that share a UID and a version, but not their times, are all used, with a
// warning and the ids of occurrences.
//
// Times are local to their zone. A time that clocks skip is that much later, one that they
// show twice is the first (RFC 5545 3.3.5). A DURATION in days follows local time; a DTEND
// is elapsed time after DTSTART. A time without a zone is in that of DTSTART, and that of a changed
// occurrence in that of its event; [WithFloatingZone] is for events that have none.
//
// Zones are IANA names, names of Windows (CLDR), or defined in the calendar, as Outlook does, and
// then used from 1970 on. If a definition contradicts the name, a warning says which one is used: for a
// place such as Europe/Berlin the name, for all others the definition.
//
// Rules may be daily, weekly, monthly and yearly, with all parts of RFC 5545. Rules finer than
// daily, EXRULE and RANGE=THISANDFUTURE are rejected.
//
// An invalid event is left out, with a [maintenance.SourceWarning] that names the line. What is
// certain is kept: empty values have no meaning, an RDATE that cannot be read is left out alone, and stray
// lines are ignored, with a warning if something may be missing. An input that is no calendar,
// truncated or too large (see the options) is an error. Errors have one line, and only the host of an
// address.
//
// All types are safe for concurrent use. Zones need time zone data: of the machine, or of a
// program that imports _ "time/tzdata".
package ical
