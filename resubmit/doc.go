// Package resubmit finds the orders that failed because of a maintenance, says what to
// do with each of them and why, and resubmits those that resubmitting can help.
//
//	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{ // reads only
//		Lister: orders, Reader: orders, Requests: vendors, Calendar: windows,
//		Filter: filter.Everything(),
//	})
//	if err != nil {
//		return err
//	}
//	runner, err := resubmit.NewRunner(resubmit.Config{Reader: orders, Pusher: orders, Requests: vendors})
//	if err != nil {
//		return err
//	}
//	report, err := runner.Apply(ctx, plan)
//
// Here orders is a client for Commerce, such as an ordermanager.Client, vendors is a
// connect.Client, and windows a maintenance.Calendar. They come as small interfaces, so that
// another ordering system can stand in: [OrderLister], [OrderReader] and [Pusher], to be
// proved with resubmit/resubmittest, and [RequestFinder] for Connect.
//
// # The plan
//
// A [filter.Filter] selects orders. It is composed in code, or read from text in RQL:
//
//	failed := filter.And(
//		filter.Statuses(commerce.StatusProvisioningFailed),
//		filter.FailedDuring(window),
//		filter.Channel(commerce.ChannelReseller),
//	)
//	same, err := filter.Parse(failed.String())
//
// A [failure.Classifier] tells from the text of a failure whether sending the order again can
// help, a [failure.Attributor] whether a maintenance caused it, and [rules.Decide] what follows, by rules
// (see [rules.Rule]). [BuildPlan] keeps the decisions in memory. [WritePlanFile] makes a file
// of them that a person can read, [plan.Open] reads it, and [plan.SignFile] signs it for
// runners that demand it (Config.Require).
//
// Before a plan, [failure.GroupOrders] shows which kinds of failures there are, and
// [MeasureBaseline] counts them over the days, so that the plan can tell what always fails
// from what failed in a window. Between a plan and its run, [CheckPlan] and [plan.Diff]
// tell what changed.
//
// # The run
//
// A [Runner] applies a plan: it resubmits the orders that the plan marks for it, each at
// most once, and proves in Commerce and in Connect what came of them. It begins
// carefully ([CanaryConfig]), stops when Connect turns out to be still down ([BreakerConfig]), keeps a
// pace that gives way to servers in trouble (Config.RateLimit), and can be paused, slowed
// down and drained while it runs. [Runner.Open] begins a [Session] instead, in which a
// job queue takes one order at a time.
//
// Give Config.Journal a journal of resubmit/journal, and a run that was killed goes on
// where it stopped. The Log of resubmit/audit attaches itself to a Config and writes down
// who did what.
//
// A [watch.Watcher] does all of that by itself, for months inside a service: it waits for the
// end of each maintenance and for Connect to be ready, makes the plan, has it approved and
// applied, and goes on where it stopped after a crash.
//
// # Errors and concurrency
//
// Errors are one line that says what is wrong, where, and what to do. Filters, classifiers,
// rates that are complete and plans are safe for concurrent use. A Runner is too, and
// applies one plan at a time.
package resubmit
