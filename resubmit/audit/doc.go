// Package audit records who did what to which order, when and why, in a hash-chained,
// tamper-evident log.
//
//	log, err := audit.Open("maintenance.audit", audit.Who{User: "ana@provider"})
//	if err != nil {
//		return err
//	}
//	defer log.Close() // an error means that the log is incomplete
//	runner, err := resubmit.NewRunner(log.Wrap(cfg))
//	report, err := runner.Apply(ctx, plan)
//	head, err := audit.VerifyFile("maintenance.audit")
//
// A log has one JSON object per line: the decision for each order of the plan, each call
// to Commerce and Connect with its answer, each outcome, and each pause of the run. See
// [Line] for its fields. The last field is the SHA-256 of the previous hash and the line:
//
//	{"n":7,"at":"…","who":"…","event":"push","order":"1000042","target":"PD","call":3,"hash":"…"}
//
// [Verify] therefore names the first line that was edited, removed, inserted or moved.
// Lines cut off at the end are only noticed with a [Head], the number and hash of a last
// line. The log keeps its own in a file with the suffix ".head", which protects against
// accidents. To protect against people, keep heads where they cannot write, such as in a
// ticket: whoever can write both files can replace the whole log. [WithAnchor] sends heads
// there every minute, and [WithKey] signs them.
//
// With [WithPrevious] a log begins with the head of the log before it, and [VerifyFiles]
// verifies all of them together.
//
// The line of a push is written before the push is sent. If a line cannot be written, the
// run stops before the next push with that error. Lines are synced to disk within a second
// and at the end of a run; see [WithSyncInterval].
//
// Opening an existing log appends to it. A last line torn by a crash is cut off and
// quoted in a line of the event [EventRecovered].
//
// Errors are one line with the path, the line number and what to do. A [Log] is safe for
// concurrent use by one process.
package audit
