// Package resubmit resubmits orders that failed because CloudBlue Connect was under maintenance.
//
//	systems := resubmit.SystemsOf(orders, orders)
//	systems.Requests, systems.Prober = vendors, vendors
//	j, err := journal.Open("commerce.journal") // the memory of all runs; close it in the end
//	if err != nil {
//		return err
//	}
//	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{ // only reads
//		Systems: systems, Journal: j, Calendar: windows, Filter: filter.Everything(),
//	})
//	if err != nil {
//		return err
//	}
//	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Journal: j})
//	if err != nil {
//		return err
//	}
//	result, err := runner.Apply(ctx, plan)
//	doc, docErr := report.New(report.Input{Plan: plan, Report: result})
//	if docErr == nil {
//		fmt.Print(doc.Text())
//	}
//	return errors.Join(err, docErr)
//
// Here orders is a client for Commerce, such as an ordermanager.Client, vendors is a connect.Client, and windows a
// maintenance.Calendar. To connect another ordering system, implement [Client] and [OrderLister], and test them with
// the suites of package resubmittest, as the guide examples/OWN-SYSTEM.md describes. The guide examples/EMBEDDING.md
// helps to choose between the ways to run all this in a service.
//
// # Plan
//
// [BuildPlan] lists the failed orders, selects some by a [filter.Filter], classifies why each failed
// ([failure.Classifier]), attributes the failure to a maintenance window or not, and decides by rules what to do
// ([rules.Rule]) and by the journal: what another run has in flight waits, and what failed again is held
// (resubmit/SAFETY.md#history). [WritePlanFile] writes the decisions and their evidence to a file for review,
// [plan.Open] opens it again, and [plan.SignFile] signs it for runners that require a signature. [CheckPlan] and
// [plan.Diff] show what has changed since.
//
// # Run
//
// A [Runner] applies a plan: it resubmits the orders that the plan marks for it, each at most once, and verifies the
// results in Commerce and in Connect. It resubmits a few orders of each group first ([CanaryConfig]), stops if Connect
// is still down ([BreakerConfig]), and respects rate limits, Retry-After and maintenance windows. It can be paused,
// slowed down and drained. [Runner.Open] starts a [Session] instead, for job queues that handle one order at a time.
//
// The [Journal] is the memory of one Commerce installation: a claim in it precedes each push, so that neither a second
// run nor a later plan pushes the same failure twice. Applying the same plan again resumes a run that was killed.
// Package journal has a journal in a file, and package protocol the rules. Package audit records who did what, package
// report renders the [Report], and package watch does all of this after each maintenance inside a service.
//
// # Errors and concurrency
//
// Errors are one line: what is wrong, where, and what to do. A Runner is safe for concurrent use and applies one plan
// at a time. Plans are immutable. SAFETY.md lists the invariants and what checks each.
package resubmit
