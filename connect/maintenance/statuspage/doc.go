// Package statuspage reads maintenance windows from a status page that has the
// "status API v2" of Atlassian Statuspage, which others imitate
// (documented, connect/WIRE.md#10.2, https://confluence.status.atlassian.com/api).
//
//	page, err := statuspage.New("https://status.example.com",
//		statuspage.WithComponents("Connect API"))
//	if err != nil {
//		return err
//	}
//	windows, err := page.Windows(ctx, from, to)
//	warnings, failure := connect.SplitWarnings(err)
//
// CloudBlue is not known to have such a page for Connect: the address is the
// operator's to give. A [Source] is a [maintenance.WindowSource]; put it into a
// [maintenance.Multi], which keeps what it told last for when the page is down too.
//
// An error is one line. One maintenance that is announced in a form that cannot be
// used is a warning, and the others are told; an answer that is no feed at all, such as
// HTML with a good status, is a failure. A Source is immutable to its callers and safe for
// concurrent use. It needs the time zone data of the page's zone only to show times
// in it.
package statuspage
