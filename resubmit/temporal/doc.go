// Package temporal resubmits orders in Temporal workflows, for operators who run Temporal: several workers share a
// plan, and any of them may die. Each order is handled by the code of [resubmit.Runner], see [resubmit.Session.Step],
// with the same guarantees. The workflows only keep the time and the list of what is done.
//
//	w, err := temporal.NewWorkers(client, systems, journal, temporal.Options{Plans: temporal.Dir("/srv/plans")})
//	if err != nil {
//		return err
//	}
//	return w.Run(ctx) // in each process
//
// And in the program that has made a plan:
//
//	err := temporal.Dir("/srv/plans").Put(ctx, plan)
//	err = temporal.Start(ctx, client, plan, temporal.StartOptions{})
//	status, err := temporal.GetStatus(ctx, client, plan.Digest())
//
// # Workflows
//
// A plan is one workflow, and each chain, the orders that share subscriptions, another one: it handles a few orders one
// after the other and then ends. An order takes an activity that does everything from the re-read to the push, and
// others that only look. The first has one attempt, must begin within 30 s, and sends nothing 15 s after it began, by
// the clocks of the Temporal server and of the worker. If these differ by more, nothing is sent, and [Status].Problem
// says so. What became of an activity that was lost is found out as after a crash: the journal says what may have been
// sent.
//
// The journal is the memory, not the history of a workflow: a history ends with its retention, and a workflow may be
// reset. So all workers need one journal that they share ([sqljournal]), and [resubmit.Systems].SharedRate for one rate
// limit. A second start of a plan that is running is rejected; a plan that has ended may be started again and
// continues.
//
// The canary works across workers. Each worker has a circuit breaker of its own. Pause, SetRate and Cancel are signals
// to every chain, and take effect when the server delivers them. A plan whose workflow is cancelled in Temporal ends as
// after Cancel. One that is terminated cannot stop its chains, so before each push the worker looks whether it runs, at
// most once a second: then nothing is pushed, and the chains end. What was pushed is verified first.
//
// # After each maintenance
//
// With Options.Watch, the configuration of a [watch.Watcher], the workers also decide when to plan. [StartWatch] starts
// one workflow for an installation of Commerce: it waits for the end of a maintenance, for Commerce to settle and for
// Connect, makes a plan and stores it, and applies it if it is within the limits. Otherwise the plan waits for
// [ApprovePlan] or [RejectPlan], for its digest alone, or for what Options.Watch.Approve says:
//
//	err := temporal.StartWatch(ctx, client, temporal.WatchOptions{System: systems.Name})
//	status, err := temporal.GetWatchStatus(ctx, client, systems.Name)
//	err = temporal.ApprovePlan(ctx, client, temporal.Approval{System: systems.Name, Digest: status.Digest, By: "ana"})
//
// Whoever may signal the workflow may approve, and whoever may start workflows may start a plan without an approval. To
// require a person's key, set Options.Runner.Require, and send the signature of the plan with the approval. [WatchOnce]
// does the same by a schedule of Temporal, for one night after the other.
//
// What is waited for, a plan and its approval outlive all workers. A worker pushes nothing before it has read the
// windows. A plan that is being applied also outlives the workflow that watches, see [StopWatch].
//
// # Setting up
//
// Register the search attributes of [SearchAttributes] before the first start, or leave them out with
// [StartOptions].OmitSearchAttributes. Payloads have order ids, vendor ids and texts of errors, and no
// credentials. A worker must run the version that began a plan, or a later one: histories of earlier versions are
// replayed in the tests.
// Programs that need less may use [resubmit.Session] in workflows of their own.
//
// [sqljournal]: https://pkg.go.dev/github.com/cloudblue-go/cloudblue/resubmit/sqljournal
package temporal
