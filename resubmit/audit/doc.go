// Package audit writes down who did what to which order, when and why, in a file
// whose lines vouch for each other.
//
//	log, err := audit.Open("maintenance.audit", audit.Who{User: "ana@provider"})
//	if err != nil {
//		return err
//	}
//	defer log.Close() // its error says that the log is not whole
//	runner, err := resubmit.NewRunner(log.Attach(cfg))
//	report, err := runner.Apply(ctx, plan)
//	head, err := audit.VerifyFile("maintenance.audit")
//
// A line is JSON: its number, its time, who, the event, and what belongs to it. The
// decision for each order of the plan is there, also for those that are left alone,
// then each call to Commerce and Connect with its answer, each outcome, and each time
// that the run waited or was told to. The last field of a line is a SHA-256 over the
// hash of the line before and the line itself:
//
//	{"n":7,"at":"…","who":"…","event":"push","order":"1000042","target":"PD","call":3,"hash":"…"}
//
// So [Verify] names the first line that was edited, removed, put in or moved. What
// remains of a log whose last lines were cut off is a whole log. That they are
// missing is seen from a [Head], the number and the hash of a last line: the log
// keeps its own beside it, in a file with the suffix ".head", which is enough against
// accidents. Against people keep heads where they cannot write: in a ticket, a mail,
// another system. Nothing else protects from somebody who writes the whole log anew.
//
// The line of a push is in the file before the push goes out. When a line cannot be
// written the run stops before the next push, with the reason as its error: there is
// no push without its line. Lines reach the disk itself once a second and at the end
// of a run; see [WithSyncInterval].
//
// A log goes on where it stopped. When a crash tore its last line, that line is cut
// off, and the next one says so and holds what was there.
//
// Errors are one line with the path, the number of the line and what to do. A Log is
// safe for concurrent use, by one process at a time.
package audit
