// Package filter selects orders, with conditions that are composed in code or parsed from text.
//
//	f := filter.And(
//		filter.Statuses(commerce.StatusProvisioningFailed),
//		filter.FailedDuring(window),
//		filter.Not(filter.Channel(commerce.ChannelReseller)),
//	)
//	if err := filter.Validate(f); err != nil {
//		return err
//	}
//	fmt.Println(f.Match(order), filter.Explain(f, order))
//	same, err := filter.Parse(f.String()) // the text form is RQL
//
// [ToQuery] moves conditions into a [commerce.Query], so that the server evaluates them. [Warnings] finds probable
// mistakes.
//
// # Errors and concurrency
//
// Constructors never fail: an invalid argument yields a filter that matches nothing, and [Validate] returns the error.
// [Parse] returns errors of one line with the position in the text. Filters are immutable and safe for concurrent use.
package filter
