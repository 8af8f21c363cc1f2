// Package state keeps everything about one Commerce installation in a directory: the journal, a lock, and each run with
// its plan, audit log and report. [Dir.Once] is the nightly job. It can be started at any time, by any number of
// processes, and repeated after any error or crash:
//
//	dir, err := state.Open(ctx, "/var/lib/resubmit", state.Config{
//		Systems: systems, Plan: resubmit.PlanConfig{Filter: filter.Everything()},
//		Calendar: func() *maintenance.Calendar { return windows },
//	})
//	if err != nil {
//		return err
//	}
//	result, err := dir.Once(ctx, state.OnceOptions{})
//	if errors.Is(err, state.ErrApprovalRequired) {
//		// a person reviews the plan; then: dir.Approve(digest, "ana", nil)
//	}
//	fmt.Println(result)
//
// The directory has:
//
//	journal                 what was done to each order, see package journal
//	journal.lock, lock      who uses the journal, and who plans or applies
//	control/                commands that were not obeyed yet, see Command
//	runs/<time>-<digest>/   one plan: plan.jsonl, plan.jsonl.sig, run.json, audit.jsonl, report.json, .csv, .html
//	overview.jsonl, .json   the failed orders as read by Dir.Read, and when that was or why it failed
//
// # Life cycle
//
// A call of Once holds the lock from planning to the end of the run, and never while it waits. A run ends when its
// plan was applied, or when an operator drains or cancels it. A run that ended early, for example because the
// process was killed or Commerce did not answer, is continued by the next call. A plan beyond [Limits] is kept
// until it is approved with [Dir.Approve]. Package watch calls Once after each maintenance. Other processes see a
// run with [Dir.Status] and control it with [Dir.Control]; a pause lasts until a resume, also if the process
// restarts.
//
// # People
//
// [Dir.Read] lists the failed orders for [Dir.Overview]. [Dir.Plan] makes a plan that is applied only after an
// approval, which [Dir.Revoke] withdraws. [Dir.Resolve] settles an order whose push has no known outcome.
// [Dir.Document] is the report of a run, [Dir.Order] the history of an order. Whatever a person does to a run is in
// its audit log before it takes effect; without the record it is not done.
//
// # Loss of the journal
//
// An [Anchor] outside of the directory has the position of the journal. A journal that is missing, was restored from a
// backup or belongs to another directory is rejected, because orders might be sent twice; [Recover] continues then. The
// anchor is written before the first push of a run, at least once per second and at the end: a copy of the journal that
// is less than a second old is not noticed, nor is a directory that was restored together with its anchor. The default
// anchor is that of one user on one host.
//
// # Errors and concurrency
//
// Errors are one line: what failed, where, and what to do. A Dir is safe for concurrent use.
package state
