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
// Use resubmit.WritePlanFile to make a plan; a [Writer] writes one entry by entry. [SignFile] signs a plan, and
// [Plan.SignedBy] checks whose signature it has. [Diff] compares two plans.
//
// # Errors and concurrency
//
// Errors are one line that names the file, the line in it, and what to do. Signature errors match [ErrUnsigned] or
// [ErrBadSignature]; a plan for another installation of Commerce is [ErrSystemMismatch]. A [Plan] is immutable and safe
// for concurrent use until it is closed; a [Writer] is not.
package plan
