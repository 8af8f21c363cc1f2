// Package statuspage reads maintenance windows from a status page with the status API v2 of
// Atlassian Statuspage, which other products imitate (documented, connect/WIRE.md#10.2,
// https://confluence.status.atlassian.com/api).
//
//	page, err := statuspage.New("https://status.example.com",
//		statuspage.WithComponents("Connect API"))
//	if err != nil {
//		return err
//	}
//	windows, err := page.Windows(ctx, from, to)
//	warnings, failure := maintenance.SplitWarnings(err)
//	if failure != nil {
//		return failure
//	}
//
// CloudBlue is not known to have such a page for Connect (inferred): the operator gives the
// address. A [Source] is a [maintenance.WindowSource]; a [maintenance.Multi] also has the
// last good answer while the page is down.
//
// Errors have one line. A maintenance that cannot be used is left out with a warning; an
// answer that is no feed, such as an HTML page, is an error. A Source is safe for
// concurrent use. It needs time zone data for the zone of the page, only for display.
package statuspage
