// Package journal stores the journal of a run in a file, so that a run that was killed at
// any point resumes without sending anything twice. A [Journal] is a [resubmit.Journal]
// on bbolt.
//
//	j, err := journal.Open("maintenance.journal")
//	if err != nil {
//		return err // locked by another process, damaged, or not a journal
//	}
//	defer j.Close()
//	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Journal: j})
//	report, err := runner.Apply(ctx, plan)
//
// A record is on disk when Put returns. Concurrent calls share one write (group commit); a
// lone writer commits immediately. New records are in a log inside the file and in a few
// MiB of memory, until some thousand of them are merged into the table of all records.
// Opening a journal therefore takes the same time for any size.
//
// One process writes a journal at a time. A second one gets a [*HeldError] that names the
// first. The lock of a killed process is released.
//
// Errors are one line with the path and what to do. A file that was truncated, overwritten
// or belongs to another program is an error and not changed; [ErrDamaged] marks damage.
// Every record has a checksum, and in the table a hash of the next key, so that neither a
// wrong record nor a missing one goes unnoticed. Only damage to the last write of the log
// looks like a crash before it.
//
// A Journal is safe for concurrent use.
package journal
