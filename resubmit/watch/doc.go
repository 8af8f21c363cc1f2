// Package watch resubmits the orders that failed in a maintenance, after each
// maintenance, for as long as a service runs.
//
// A [Watcher] follows the announced windows and the observed outages. After a
// maintenance it waits until Connect is ready, writes a plan, asks for approval and
// applies the plan:
//
//	w, err := watch.New(watch.Config{
//		Dir:     "/var/lib/orders/watch",
//		Windows: windows, // a maintenance.WindowSource
//		Ready:   ready,   // calls availability.CheckReadiness
//		Plan:    func(context.Context, watch.Episode) (resubmit.PlanConfig, error) { return planConfig, nil },
//		Approve: approve, // returns Approved, Rejected or Pending
//		Runner:  resubmit.Config{Systems: systems, Journal: file}, // of journal.Open
//		Logger:  slog.Default(),
//
//		ApprovalKey: key, // of plan.ApprovalKey, from a file outside of Dir
//	})
//	if err != nil {
//		return err
//	}
//	return w.Run(ctx) // until ctx is cancelled
//
// Errors: [New] returns an error for an incomplete configuration or an unreadable
// state. [Watcher.Run] returns only the error of its context: it logs any other error,
// shows it in [Watcher.Status] and retries. A [Watcher] is safe for concurrent use.
package watch
