// Package journal keeps the memory of a run in a file, so that a run that was
// killed at any moment goes on without sending anything twice. A [Journal] is a
// [resubmit.Journal] on bbolt.
//
//	j, err := journal.Open("maintenance.journal")
//	if err != nil {
//		return err // in use by another process, of another program, damaged …
//	}
//	defer j.Close()
//	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Journal: j})
//	report, err := runner.Apply(ctx, plan)
//
// A record is on disk before Put returns. Callers that come while the disk is busy, or
// within a few milliseconds after many have come together, share the next write; who
// comes alone does not wait for company. It is kept in a log within the file
// and in memory, a few MiB at most, until some thousand records are merged into the
// table of all, so that a journal of any size is opened at once and costs no more.
//
// One process writes a journal at a time. A second one gets a [*HeldError] that
// names the first. What a killed process leaves behind blocks nobody.
//
// Errors: each is one line with the path of the journal and what to do. A file
// that was cut off, overwritten or is of another program is refused, and left as
// it is; [ErrDamaged] tells damage from the rest. Every record carries a checksum, and
// in the table the name of its successor, so that neither a wrong record nor a missing
// one is taken for the truth. Only damage to the very last write of the log looks as if
// the process had been killed before it.
//
// A Journal is safe for concurrent use.
package journal
