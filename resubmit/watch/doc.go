// Package watch resubmits the orders that failed in a maintenance, after each
// maintenance, for as long as a service runs.
//
// A [Watcher] follows the announced windows and the observed outages. After a
// maintenance it waits until Connect is ready, and makes and applies a plan in a state
// directory (package state):
//
//	w, err := watch.New(ctx, watch.Config{
//		Dir:     "/var/lib/resubmit",
//		State:   state.Config{Systems: systems, Limits: state.Limits{MaxOrders: 50}},
//		Windows: windows, // a maintenance.WindowSource
//		Ready:   ready,   // calls availability.CheckReadiness
//		Logger:  slog.Default(),
//	})
//	if err != nil {
//		return err
//	}
//	return w.Run(ctx) // until ctx is cancelled
//
// A plan beyond the limits waits for an approval, by Config.Approve or by [state.Dir.Approve], also
// of another process: aftermaintenance -state /var/lib/resubmit sign DIGEST -key FILE. State.Limits.Exceeded
// says which limits a plan is beyond; [Watcher.Wake] has Approve called as soon as a person has decided.
//
// What happens to orders is reported to State.Runner.OnEvent, the steps of the watcher to the Logger and in
// [Watcher.Status], and the end of each episode to OnClosed.
//
// Errors: [New] returns an error for an incomplete configuration, an unreadable state, or a
// journal that is missing or older than its anchor. [Watcher.Run] returns only the error of its
// context: it logs any other error, shows it in [Watcher.Status] and retries. A [Watcher] is
// safe for concurrent use.
package watch
