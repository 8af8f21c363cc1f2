// Package plan reads, writes, signs and compares plans: files with the decision for each failed order.
//
// A plan is a file of JSON lines that people can read: a [Header], one [Entry] per order, and a last line with counts
// and a digest. [Open] verifies all of it, so an edited, truncated or damaged file is rejected:
//
//	p, err := plan.Open("plan.jsonl")
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	fmt.Println(p.Counts(), p.Digest()) // 198 orders, resubmit 155, hold 43 sha256:…
//	for e, err := range p.Entries() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(e.Label(), e.Decision.Action, e.Decision.Why)
//	}
//
// Use resubmit.WritePlanFile to make a plan; a [Writer] writes one entry by entry. [Diff] compares two plans.
// [Plan.Index] lists the orders to resubmit, with what a run must know of all of them at once.
//
// [SignFile] signs a plan, and [Plan.SignedBy] checks whose signature it has. A signature is also how an approval is
// recorded: it is bound to every byte of the plan, and editing the files beside the plan cannot forge it, because the
// key is stored elsewhere (see [ApprovalKey]). Removing it withdraws the approval.
//
// # Errors and concurrency
//
// Errors are one line that names the file, the line in it, and what to do. Signature errors match [ErrUnsigned] or
// [ErrBadSignature]; a plan for another installation of Commerce is [ErrSystemMismatch], and one of an older version,
// which can be read and compared but not applied, is [ErrNoJournal]. A [Plan] is immutable and safe for concurrent use
// until it is closed; a [Writer] is not.
package plan
