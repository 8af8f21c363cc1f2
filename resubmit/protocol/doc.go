// Package protocol decides what may follow what when one failed order is resubmitted. It is a pure
// state machine: no I/O, no clock, no goroutines.
//
// A [Machine] is the resubmission of one order by one run. Whoever runs it asks for the next [Step],
// carries it out, and reports what happened:
//
//	m := protocol.Start(planned, &policy, owner, record, leaseEnd, now)
//	for {
//		switch step := m.Next(now); step.Kind {
//		case protocol.StepAdmit: // wait until pushes are allowed
//			m.Admitted()
//		case protocol.StepRead:
//			m.Read(reading, now)
//		case protocol.StepClaim: // with the lanes as they are in the journal
//			records := m.Claim(lanes, now, time.Time{})
//			…
//		}
//	}
//
// The Runner and the Session of package resubmit, the Temporal workflow and the model checker in
// package resubmittest run the same machine, so that every order of observations, crashes and
// suspensions can be explored and checked against the invariants (resubmit/SAFETY.md#invariants).
//
// [Record] is what a journal keeps. [HoldReason] decides whether a failure may be resubmitted by a new
// plan. [Settle] and [Policy.Resolve] end an order without a run. [Policy] has the settings
// on which the planner and the Runner must agree.
//
// Nothing in this package is safe for concurrent use.
package protocol
