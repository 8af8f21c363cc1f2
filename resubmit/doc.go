// Package resubmit finds the orders that failed because of a maintenance, says
// what to do with each of them and why, and resubmits those that resubmitting
// can help.
//
// A [Filter] selects orders. It is composed in code, or read from text in RQL:
//
//	filter := resubmit.All(
//		resubmit.Statuses(commerce.StatusProvisioningFailed),
//		resubmit.FailedDuring(window),
//		resubmit.Via(commerce.ChannelReseller),
//	)
//	same, err := resubmit.ParseFilter(filter.String())
//
// A [Classifier] tells from the text of a failure whether sending the order
// again can help.
//
// A [Runner] applies a plan: it resubmits the orders that the plan marks for it,
// each at most once, and proves in Commerce and in Connect what came of them.
//
//	runner, err := resubmit.NewRunner(resubmit.Config{Reader: orders, Pusher: orders, Requests: requests})
//	report, err := runner.Apply(ctx, plan)
//
// It begins carefully ([Canary]), stops when Connect turns out to be still down
// ([Breaker]), keeps a pace that gives way to servers in trouble (Config.Rate), and
// can be paused, slowed down and drained while it runs.
//
// A [Watcher] does all of that by itself, for months inside a service: it waits for
// the end of each maintenance and for Connect to be ready, makes the plan, has it
// approved and applied, and goes on where it stopped after a crash.
//
// Errors: whatever reads text (ParseFilter, LoadPatterns) answers with one line
// that says what is wrong and where. Filters and classifiers are immutable and
// safe for concurrent use. A Runner is too, and applies one plan at a time.
package resubmit
